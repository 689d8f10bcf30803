#!/usr/bin/env python3
"""Writes tests/data/torch: files as PyTorch writes them, for torch_file_test.cc and golden_test.cc.

Made with torch 2.15.0, open_clip_torch 3.3.0 and transformers 5.24.0, which it needs; the tests need
only what it wrote. Usage: make_torch_files.py tests/data
"""
import collections
import json
import os
import shutil
import sys

import numpy as np
import open_clip
import torch
from open_clip.model import build_model_from_openai_state_dict
from safetensors.torch import load_file

DATA = sys.argv[1]
OUT = f'{DATA}/torch'
MODELS = f'{DATA}/models'


def numbers(*shape, dtype=torch.float32):
    count = int(np.prod(shape))
    return (torch.arange(count, dtype=torch.float32) - 3).reshape(shape).to(dtype)


def tensors():
    """Every type and kind of view that a state dict may hold; element i of each is i - 3."""
    wide = torch.zeros(4, 10)
    wide[:, 2:5] = numbers(4, 3)
    state = collections.OrderedDict()
    state['f32'] = numbers(2, 3)
    state['f16'] = numbers(2, 3, dtype=torch.float16)
    state['bf16'] = numbers(2, 3, dtype=torch.bfloat16)
    state['f64'] = numbers(2, 3, dtype=torch.float64)
    state['scalar'] = torch.tensor(4.5)
    state['empty'] = torch.zeros(0, 4)
    state['transposed'] = numbers(3, 2).t().contiguous().t()
    state['columns'] = wide[:, 2:5]
    state['tail'] = torch.cat([torch.zeros(5), numbers(2, 3).flatten()])[5:].view(2, 3)
    state['transposed_f16'] = numbers(3, 2, dtype=torch.float16).t().contiguous().t()
    state['transposed_f64'] = numbers(3, 2, dtype=torch.float64).t().contiguous().t()
    state['expanded'] = torch.ones(1, 3).expand(5, 3)
    state['ids'] = torch.arange(6)
    state['flags'] = torch.tensor([True, False])
    state['parameter'] = torch.nn.Parameter(numbers(2, 3))
    state._metadata = collections.OrderedDict({'': {'version': 1}})  # as Module.state_dict() has it
    return state


class Outer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = torch.nn.Linear(3, 2)
        self.register_buffer('count', torch.tensor(7))
        self.scale = 2.0
        self.sizes = [1, 2, 3]

    def forward(self, x):
        return self.inner(x) * self.scale


class Printer:
    def __reduce__(self):
        return (print, ('this must never be printed',))


def kinds():
    torch.save(tensors(), f'{OUT}/kinds.bin')
    torch.save(tensors(), f'{OUT}/kinds-protocol-4.bin', pickle_protocol=4)
    torch.save(tensors(), f'{OUT}/old.bin', _use_new_zipfile_serialization=False)
    torch.save({'epoch': 3, 'name': 'run', 'state_dict': {'module.' + k: v for k, v in
                                                         list(tensors().items())[:2]}},
               f'{OUT}/checkpoint.pt')
    torch.save({'weights': torch.ones(2), 'oops': Printer()}, f'{OUT}/calls.bin')
    torch.save([torch.ones(2)], f'{OUT}/list.bin')
    torch.manual_seed(1)
    torch.jit.save(torch.jit.script(Outer().half().eval()), f'{OUT}/script.pt')


def hugging_face():
    """tests/data/models/hf again, as pytorch_model.bin, and in two shards."""
    state = load_file(f'{MODELS}/hf/model.safetensors')
    torch.save(state, f'{OUT}/pytorch_model.bin')


def open_ai(name, file, vision):
    """A small archive like OpenAI's own, with open_clip's answers: compiled, in half precision but for
    norms and biases, the three buffers that build_model drops. Heads are 64 wide."""
    directory = f'{MODELS}/{name}'
    os.makedirs(directory, exist_ok=True)
    sys.argv = ['', MODELS, f'{MODELS}/hf/merges.txt']
    import make_goldens as goldens

    vocabulary = len(goldens.vocabulary())
    model = open_clip.model.CLIP(
        24, vision,
        dict(context_length=20, vocab_size=vocabulary, width=64, heads=1, layers=1),
        quick_gelu=True).eval()
    goldens.randomize(model, 5)
    open_clip.model.convert_weights_to_fp16(model)

    class Holder(torch.nn.Module):
        """The tensors under their names: what OpenAI's code computes with them is not read."""

        def __init__(self, tree):
            super().__init__()
            for name, value in tree.items():
                if isinstance(value, dict):
                    self.add_module(name, Holder(value))
                elif value.dtype == torch.int64:
                    self.register_buffer(name, value)
                else:
                    self.register_parameter(name, torch.nn.Parameter(value, requires_grad=False))

        def forward(self, x):
            return x

    tree = {}
    state = {k: v for k, v in model.state_dict().items() if k != 'attn_mask'}
    state.update(input_resolution=torch.tensor(vision['image_size']), context_length=torch.tensor(20),
                 vocab_size=torch.tensor(vocabulary))
    for name, tensor in state.items():
        *path, leaf = name.split('.')
        node = tree
        for part in path:
            node = node.setdefault(part, {})
        node[leaf] = tensor
    torch.jit.save(torch.jit.script(Holder(tree).eval()), f'{directory}/{file}')

    loaded = torch.jit.load(f'{directory}/{file}').state_dict()
    reference = build_model_from_openai_state_dict(loaded, cast_dtype=torch.float32).float().eval()
    with torch.no_grad():
        image = reference.encode_image(goldens.pixels([0.48145466, 0.4578275, 0.40821073],
                                                      [0.26862954, 0.26130258, 0.27577711],
                                                      vision['image_size']))
        words = reference.encode_text(goldens.tokenize(goldens.TEXTS))
    goldens.save_texts(directory)
    goldens.write_answers(directory, image, words)


def tokenizer_json():
    """The hf model's tokenizer in one tokenizer.json, as transformers writes it."""
    from transformers import CLIPTokenizerFast
    shutil.rmtree('/tmp/tokenizer', ignore_errors=True)
    CLIPTokenizerFast.from_pretrained(f'{MODELS}/hf').save_pretrained('/tmp/tokenizer')
    shutil.copy('/tmp/tokenizer/tokenizer.json', f'{OUT}/tokenizer.json')


def main():
    os.makedirs(OUT, exist_ok=True)
    kinds()
    hugging_face()
    open_ai('openai', 'ViT-B-8.pt', dict(image_size=32, patch_size=8, width=64, layers=1, head_width=64))
    open_ai('openai-resnet', 'RN-4.pt', dict(image_size=64, layers=[1, 2, 1, 1], width=4, head_width=64,
                                             patch_size=None))
    tokenizer_json()
    print(json.dumps({f: os.path.getsize(f'{OUT}/{f}') for f in sorted(os.listdir(OUT))}, indent=1))


if __name__ == '__main__':
    main()
