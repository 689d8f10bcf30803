#!/usr/bin/env python3
"""Writes tests/data/torch/epoch_1.pt: a checkpoint as open_clip's training saved it until 2024, whose
cosine schedule left NumPy's numbers in the optimizer's state, with more that a training may leave.

PyTorch's archives without PyTorch: Python's own pickle, with stand-ins for the few names that state
dicts ask for. Needs NumPy alone. Usage: make_checkpoints.py tests/data
"""
import argparse
import collections
import pathlib
import pickle
import random
import sys
import types
import zipfile

import numpy as np

# Under these names classes and functions are written into the pickle.
TORCH, UTILS = types.ModuleType('torch'), types.ModuleType('torch._utils')
sys.modules.update({'torch': TORCH, 'torch._utils': UTILS})


def named(module, name):
    thing = type(name, (), {'__module__': module.__name__, '__qualname__': name})
    setattr(module, name, thing)
    return thing


STORAGE, REBUILD = named(TORCH, 'FloatStorage'), named(UTILS, '_rebuild_tensor_v2')


class Named:
    """Pickled as a name alone, as torch.bfloat16 is."""

    def __init__(self, name):
        self.name = name
        setattr(TORCH, name, self)

    def __reduce__(self):
        return self.name

    __module__ = 'torch'


class Device:
    def __reduce__(self):
        return DEVICE, ('cpu',)


DEVICE = named(TORCH, 'device')


class Storage:
    def __init__(self, values):
        self.values = np.asarray(values, np.float32)


class Tensor:
    def __init__(self, values, shape, strides=None):
        self.storage, self.shape = Storage(values), shape
        self.strides = strides or tuple(int(np.prod(shape[i + 1:])) for i in range(len(shape)))

    def __reduce__(self):
        return REBUILD, (self.storage, 0, self.shape, self.strides, False, collections.OrderedDict())


class Pickler(pickle.Pickler):
    def __init__(self, file, protocol):
        super().__init__(file, protocol)
        self.storages = []

    def persistent_id(self, value):
        if not isinstance(value, Storage):
            return None
        self.storages.append(value)
        return 'storage', STORAGE, str(len(self.storages) - 1), 'cpu', value.values.size


def save(path, value, protocol=2):
    """As torch.save does, which takes protocol 2."""
    with zipfile.ZipFile(path, 'w') as archive:
        def add(name, content):
            entry = zipfile.ZipInfo(f'{pathlib.Path(path).stem}/{name}', (1980, 0, 0, 0, 0, 0))
            archive.writestr(entry, content)
        from io import BytesIO
        program = BytesIO()
        pickler = Pickler(program, protocol)
        pickler.dump(value)
        add('data.pkl', program.getvalue())
        for i, storage in enumerate(pickler.storages):
            add(f'data/{i}', storage.values.tobytes())


def state_dict(prefix=''):
    state = collections.OrderedDict()
    state[prefix + 'visual.conv1.weight'] = Tensor([-3, -2, -1, 0, 1, 2], (2, 3))
    state[prefix + 'visual.expanded'] = Tensor([4, 5], (3, 2), (0, 1))
    state[prefix + 'logit_scale'] = Tensor([2], ())
    return state


def training():
    """What stands beside the weights: 0.0005 times NumPy's cosine, moments, and a random state."""
    lr = 0.5 * (1 + np.cos(np.pi * 3 / 10)) * 5e-4
    group = {'lr': lr, 'betas': (0.9, 0.98), 'params': [0], 'fused': None, 'step': np.int64(7)}
    moments = {0: {'step': Tensor([7], ()), 'exp_avg': Tensor(np.zeros(6), (2, 3))}}
    random.seed(1)
    return {
        'epoch': 1, 'name': 'run', 'optimizer': {'state': moments, 'param_groups': [group]},
        'dtype': Named('bfloat16'), 'device': Device(), 'args': argparse.Namespace(lr=lr, gpus={0, 1}),
        'counts': collections.Counter('abca'), 'history': collections.defaultdict(list, {'loss': [lr]}),
        'numpy_rng': np.random.RandomState(1).get_state(), 'python_rng': random.getstate(),
        'path': pathlib.PurePosixPath('/tmp/run'), 'seed': 2 ** 70, 'frozen': frozenset('ab'), 'raw': b'abc',
        'masks': bytearray(b'abc'), 'loss': Tensor([1], ()), 'z': 1 + 2j,
    }


def main():
    out = pathlib.Path(sys.argv[1]) / 'torch'
    for protocol in 2, 4:
        save(out / f'epoch_{protocol}.pt', {**training(), 'state_dict': state_dict('module.')}, protocol)
        save(out / f'model_state_dict_{protocol}.pt', {**training(), 'model_state_dict': state_dict()}, protocol)
    save(out / 'two_models.pt', {'model': state_dict(), 'ema': {'shadow': state_dict()}})


if __name__ == '__main__':
    main()
