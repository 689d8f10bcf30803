#!/usr/bin/env python3
"""What a starter can do, in PyTorch: the names of all emoji, combinations of things that were never shown
together, and folders of pictures that are named after what they show.

    evaluate_starter.py --model models/starter --sprites sprites.zip [--folders EVAL]
"""
import argparse
import json
import os
import sys

import torch
from PIL import Image
from torch.nn import functional as F

import checkpoint
import compose
import starter_captions as words

TEMPLATES = {'emoji': ['a picture of a {}.', 'an emoji of a {}.', 'a {} icon.'],
             'clipart-heldout': ['a drawing of a {}.', 'a clip art of a {}.', 'an illustration of a {}.'],
             'photos': ['a photo of a {}.', 'a blurry photo of a {}.', 'a close-up photo of a {}.']}
CHOICES = 64  # captions that a picture of two things is held against


def encode(model, tokenizer, texts):
    device = model.mean.device
    out = []
    for first in range(0, len(texts), 1024):
        ids, ends = zip(*map(tokenizer.encode, texts[first:first + 1024]))
        out.append(model.encode_texts(torch.tensor(ids, device=device), torch.tensor(ends, device=device)))
    return torch.cat(out)


def see(model, pictures):
    """Unit vectors of pictures of 0..1."""
    return torch.cat([model.encode_images((part - model.mean) / model.std) for part in pictures.split(512)])


def classes(model, tokenizer, names, templates, fill=words.fill):
    """A unit vector for each name: the mean over the templates."""
    vectors = encode(model, tokenizer, [fill(t, name) for name in names for t in templates])
    return F.normalize(vectors.view(len(names), len(templates), -1).mean(1), dim=-1)


def share(hits):
    return round(hits.float().mean().item(), 4)


def top(logits, truth):
    best = logits.topk(min(5, logits.shape[1]), dim=1).indices == truth[:, None]
    return {'pictures': len(truth), 'classes': logits.shape[1], 'top1': share(best[:, 0]), 'top5': share(best.any(1))}


def emoji_names(model, tokenizer, index, sprites):
    """Every emoji on white, all of their names to choose from."""
    emoji = [i for i, row in enumerate(index) if row['kind'] == 'emoji']
    if not emoji:
        return None
    names = [index[i]['names'][0] for i in emoji]
    kinds = {name: number for number, name in enumerate(dict.fromkeys(names))}
    side, seen = model.config.image_size, []
    for part in torch.tensor(emoji).split(256):
        layer = F.interpolate(compose.premultiplied(sprites[part]), size=side, mode='bilinear', antialias=True)
        seen.append(see(model, (1 - layer[:, 3:] + layer[:, :3]).clamp(0, 1).to(model.mean.device)))
    named = classes(model, tokenizer, list(kinds), TEMPLATES['emoji'])
    truth = torch.tensor([kinds[n] for n in names], device=model.mean.device)
    return top(torch.cat(seen) @ named.T, truth)


def combinations(model, tokenizer, index, composer, count):
    """Pictures of two things that training never put together, against CHOICES captions of such, and against
    the caption that has the two the wrong way round."""
    a, b = composer.held_out_pairs(count)
    stacked = torch.arange(count, device=a.device) % 2 == 1
    with torch.no_grad():
        pictures, _, _ = composer.pair(count, (a, b), stacked)
        seen = see(model, pictures.clamp(0, 1))
    names = [[words.article(index[i]['names'][0]) for i in column.tolist()] for column in (a, b)]
    forward = [words.RELATIONS['stack' if s else 'side'][0] for s in stacked.tolist()]
    right = encode(model, tokenizer, [f.format(x, y) for f, x, y in zip(forward, *names)])
    wrong = encode(model, tokenizer, [f.format(y, x) for f, x, y in zip(forward, *names)])
    own = (seen * right).sum(1)
    found = []
    for first in range(0, count - CHOICES + 1, CHOICES):
        part = slice(first, first + CHOICES)
        found.append((seen[part] @ right[part].T).argmax(1) == torch.arange(CHOICES, device=a.device))
    return {'pictures': count, 'the right way round': share(own > (seen * wrong).sum(1)),
            f'caption among {CHOICES}': share(torch.cat(found))}


def folders(model, tokenizer, path, templates):
    """Pictures in a folder for each class; prepared as cliptag does, shorter side and middle."""
    names = sorted(os.listdir(path))
    side, pictures, truth = model.config.image_size, [], []
    for number, name in enumerate(names):
        for file in sorted(os.listdir(os.path.join(path, name))):
            with Image.open(os.path.join(path, name, file)) as image:
                image = image.convert('RGB')
            scale = side / min(image.size)
            image = image.resize([round(s * scale) for s in image.size], Image.BICUBIC)
            x, y = ((s - side) // 2 for s in image.size)
            image = image.crop((x, y, x + side, y + side))
            pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).view(side, side, 3)
            pictures.append(pixels.permute(2, 0, 1).float() / 255)
            truth.append(number)
    device = model.mean.device
    named = classes(model, tokenizer, names, templates, lambda t, n: t.format(n))
    return top(see(model, torch.stack(pictures).to(device)) @ named.T, torch.tensor(truth, device=device))


@torch.no_grad()
def evaluate(model, tokenizer, index=None, sprites=None, composer=None, path=None, count=2048):
    model.eval()
    found = {}
    if composer:
        found['emoji names'] = emoji_names(model, tokenizer, index, sprites)
        found['combinations'] = combinations(model, tokenizer, index, composer, count)
    if path:
        for name, templates in TEMPLATES.items():
            if os.path.isdir(os.path.join(path, name)):
                found[name] = folders(model, tokenizer, os.path.join(path, name), templates)
    model.train()
    return found


def parse(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--model', required=True, nargs='+', help='directories in Hugging Face\'s layout')
    parser.add_argument('--sprites', help='file of sprites.py')
    parser.add_argument('--folders', help='directory with emoji/, clipart-heldout/ and photos/')
    parser.add_argument('--threads', type=int, default=0, help='CPU threads; 0 = PyTorch\'s choice')
    return parser.parse_args(argv)


def main(argv=None):
    args = parse(argv)
    if args.threads:
        torch.set_num_threads(args.threads)
    try:
        index, sprites = compose.read_sprites(args.sprites) if args.sprites else (None, None)
        for path in args.model:
            model, tokenizer, pixels = checkpoint.load_model(path)
            model.set_pixels(pixels.mean, pixels.std)
            composer = None
            if index:
                composer = compose.Composer(index, sprites, tokenizer, torch.device('cpu'), 7, model.config.image_size)
            found = evaluate(model, tokenizer, index, sprites, composer, args.folders)
            print(json.dumps({'model': path} | found), flush=True)
    except (ValueError, OSError) as e:
        print(f'evaluate_starter: {e}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
