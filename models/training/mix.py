#!/usr/bin/env python3
"""A model between two of the same shape: weights (1 - SHARE) of the first and SHARE of the second. What was trained
further from the first gains most of what it learnt and keeps most of what the first knew (Wortsman et al., Robust
fine-tuning of zero-shot models, 2022).

    mix.py --from models/starter --to runs/starter/model --share 0.7 --output mixed
"""
import argparse
import os
import shutil
import sys

from safetensors.torch import load_file, save_file

WEIGHTS = 'model.safetensors'


def load(directory):
    path = os.path.join(directory, WEIGHTS)
    try:
        return load_file(path)
    except Exception as e:  # each of the library's own kind
        raise ValueError(f'{path} cannot be read: {e}.') from e


def mix(first, second, share):
    """Tensors of the second's types. ValueError, with its name, where one is not in both alike."""
    for name in sorted(first.keys() | second.keys()):
        if name not in first or name not in second:
            raise ValueError(f'"{name}" is in one of the two models only.')
        if first[name].shape != second[name].shape:
            raise ValueError(f'"{name}" has shape {list(first[name].shape)} in the one model and '
                             f'{list(second[name].shape)} in the other.')
    return {name: ((1 - share) * first[name].float() + share * second[name].float()).to(second[name].dtype).contiguous()
            for name in second}


def parse(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n', 1)[0])
    parser.add_argument('--from', dest='first', required=True, metavar='DIR')
    parser.add_argument('--to', dest='second', required=True, metavar='DIR')
    parser.add_argument('--share', type=float, required=True, help='of the second, 0 to 1')
    parser.add_argument('--output', required=True, metavar='DIR')
    options = parser.parse_args(argv)
    if not 0 <= options.share <= 1:
        parser.error('--share is a number from 0 to 1')
    return options


def main(argv=None):
    options = parse(argv)
    try:
        mixed = mix(load(options.first), load(options.second), options.share)
        shutil.copytree(options.second, options.output)
        save_file(mixed, os.path.join(options.output, WEIGHTS), metadata={'format': 'pt'})
    except (ValueError, OSError) as e:
        sys.exit(f'mix.py: {e}')


if __name__ == '__main__':
    main()
