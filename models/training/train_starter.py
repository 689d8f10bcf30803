#!/usr/bin/env python3
"""Trains the starter on pictures that are composed as it goes, on a GPU some ten thousand a second.

    sprites.py --output sprites.zip
    train_starter.py --sprites sprites.zip --output DIR --seconds 600 [--from models/starter --keep 2]

The learning rate falls to nothing over the seconds given, however many steps fit in. DIR gets model/ (Hugging
Face's layout), log.jsonl and, at the end, evaluation.json (evaluate_starter.py).
"""
import argparse
import copy
import json
import math
import os
import sys
import time

import torch
from torch.nn import functional as F

import checkpoint
import compose
import evaluate_starter
import starter_captions as words
import tokenizer as tokenizers
import train
from loss import clip_loss
from model import Clip, parameter_groups

BEGAN = time.monotonic()
LEAST_BATCH = 32
WRONG_WEIGHT = 4  # of texts that do not belong to a picture, of which there are many


def parse(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0],
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add = parser.add_argument
    add('--sprites', required=True, help='file of sprites.py')
    add('--output', required=True, help='the directory of the run')
    add('--from', metavar='MODEL', help='train this model directory further; else one of the starter\'s shape')
    add('--shape', choices=train.SHAPES, default='starter', help='of a new model')
    add('--tokenizer', default=train.STARTER, help='of a new model')
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument('--seconds', type=float, help='how long it may take from its start to the last save')
    length.add_argument('--steps', type=int)
    add('--batch', type=int, default=2048)
    add('--lr', type=float, default=1e-3, help='the highest learning rate')
    add('--warmup', type=int, default=100, help='steps until it is reached')
    add('--weight-decay', type=float, default=0.1)
    add('--keep', type=float, default=0.0, help='how much it is held to what the model it is trained from makes '
        'of coarse pictures and of the things that it knows from photographs')
    add('--background', type=float, default=0.0, help='weight of what is shown being above cliptag\'s built-in '
        'background, and what is not being below it')
    add('--device', choices=('auto', 'cpu', 'cuda'), default='auto')
    add('--precision', choices=('bf16', 'fp32'), default='bf16')
    add('--compile', action='store_true', help='compile the layers; worth it from a minute on')
    add('--threads', type=int, default=0, help='CPU threads; 0 = PyTorch\'s choice')
    add('--seed', type=int, default=1)
    add('--save-every', type=float, default=40, help='seconds')
    add('--log-every', type=int, default=20, help='steps')
    add('--folders', help='also evaluate on pictures in folders named after what they show')
    return parser.parse_args(argv)


def tokens(tokenizer, texts, device):
    return [torch.tensor(column, device=device) for column in zip(*map(tokenizer.encode, texts))]


def background_loss(images, texts, background, scale, concepts):
    """The binary cross entropy of cliptag's scores: is this in the picture, or one of the background's?"""
    against = torch.logsumexp(scale * images @ background.T, 1, keepdim=True)
    against = against - math.log(len(background) / len(words.BACKGROUND))  # as if in one template
    scores = scale * images @ texts.T - against
    same = concepts[:, None] == concepts[None, :]
    missed = F.softplus(-scores.diagonal()).mean()
    return missed + WRONG_WEIGHT * (F.softplus(scores) * ~same).sum() / (~same).sum()


class Keeper:
    """Holds a model to what it was: for pictures as coarse as small photographs, and for the names of what it
    has seen in photographs, its embeddings shall stay."""

    def __init__(self, model, tokenizer, count):
        self.old = copy.deepcopy(model).requires_grad_(False)
        self.count = count
        device = model.mean.device
        texts = [words.fill(t, n) for n in words.PHOTO_THINGS for t in words.PHOTO_TEMPLATES]
        texts += [t.format(n) for n in (*words.PHOTO_THINGS, *words.BACKGROUND) for t in words.PHOTO_TEMPLATES[:1]]
        self.ids, self.ends = tokens(tokenizer, texts, device)
        with torch.no_grad():
            self.texts = self.old.encode_texts(self.ids, self.ends)

    def extend(self, composer, pixels, ids, ends):
        """Pictures and texts with those that are to be kept behind them."""
        coarse = composer.coarse(pixels[self.count:2 * self.count])
        return torch.cat([pixels, coarse]), torch.cat([ids, self.ids]), torch.cat([ends, self.ends])

    def loss(self, images, texts, pixels):
        """How far what stands behind the batch has moved."""
        with torch.no_grad():
            before = self.old.encode_images(pixels)
        return 2 - (images * before).sum(1).mean() - (texts * self.texts).sum(1).mean()


class Run:
    def __init__(self, args):
        self.args = args
        kind = args.device if args.device != 'auto' else 'cuda' if torch.cuda.is_available() else 'cpu'
        self.device = torch.device(kind)
        if args.threads:
            torch.set_num_threads(args.threads)
        torch.manual_seed(args.seed)
        torch.set_float32_matmul_precision('high')
        self.index, self.sprites = compose.read_sprites(args.sprites)
        source = getattr(args, 'from')
        if source:
            self.model, self.tokenizer, self.pixels = checkpoint.load_model(source)
        else:
            config = train.shape_config(args.shape, 'quick_gelu')
            self.tokenizer = tokenizers.read(args.tokenizer, config.context)
            config.vocab_size = max(self.tokenizer.vocab.values()) + 1
            self.model, self.pixels = Clip(config), checkpoint.Pixels()
        self.model.set_pixels(self.pixels.mean, self.pixels.std)
        self.model.to(self.device)
        side = self.model.config.image_size
        self.composer = compose.Composer(self.index, self.sprites, self.tokenizer, self.device, args.seed, side)
        if args.batch < LEAST_BATCH:
            raise ValueError(f'--batch {args.batch}: a batch has pictures of every kind, so at least {LEAST_BATCH}.')
        if args.keep and not source:
            raise ValueError('--keep needs a model to keep: name it with --from.')
        self.keeper = Keeper(self.model, self.tokenizer, args.batch // 4) if args.keep else None
        self.optimizer = torch.optim.AdamW(
            parameter_groups(self.model, args.weight_decay), lr=args.lr, betas=(0.9, 0.98), eps=1e-6,
            fused=self.device.type == 'cuda')
        self.background = tokens(self.tokenizer, [t.format(n) for t in words.BACKGROUND_TEMPLATES
                                                  for n in words.BACKGROUND], self.device)
        self.autocast = train.autocast_for(self.device, args.precision)
        self.layers = [layer for tower in (self.model.text_model, self.model.vision_model)
                       for layer in tower.encoder.layers]

    def backward(self, batch):
        """Gradients of one batch; returns its contrastive loss, what was kept badly and that of the background."""
        pixels, ids, ends = batch['pixels'], batch['ids'], batch['ends']
        size, extra = len(pixels), len(self.background[0])
        ids, ends = torch.cat([ids, self.background[0]]), torch.cat([ends, self.background[1]])
        if self.keeper:
            pixels, ids, ends = self.keeper.extend(self.composer, pixels, ids, ends)
        pixels = (pixels - self.model.mean) / self.model.std
        with self.autocast():
            images, texts = self.model(pixels, ids, ends)
        scale = self.model.logit_scale
        loss = clip_loss(images[:size], texts[:size], scale, batch['concepts'])
        against = background_loss(images[:size], texts[:size], texts[size:size + extra], scale.detach().exp(),
                                  batch['concepts'])
        moved = torch.zeros((), device=self.device)
        if self.keeper:
            with self.autocast():
                moved = self.keeper.loss(images[size:], texts[size + extra:], pixels[size:])
        (loss + self.args.keep * moved + self.args.background * against).backward()
        return loss.detach(), moved.detach(), against.detach()

    def step(self, rate):
        for group in self.optimizer.param_groups:
            group['lr'] = rate
        self.optimizer.zero_grad(set_to_none=True)
        losses = self.backward(self.composer.batch(self.args.batch))
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.model.clamp_scale()
        return torch.stack([*losses, norm])

    def compile(self):
        """Compiled layers, or plain ones where the compiler does not work."""
        for layer in self.layers:
            layer.compile(dynamic=False)
        try:
            self.backward(self.composer.batch(self.args.batch))
        except Exception as e:  # whatever a compiler may raise; the plain layers do the same
            print(f'train_starter: the layers are not compiled: {str(e).splitlines()[0]}', file=sys.stderr)
            for layer in self.layers:
                layer._compiled_call_impl = None
        self.optimizer.zero_grad(set_to_none=True)

    def progress(self, step, start):
        """From 0 at the first step to 1 at the end."""
        if self.args.steps:
            return step / self.args.steps
        now = time.monotonic() - BEGAN
        return (now - start) / max(1e-9, self.args.seconds - start)

    def save(self):
        checkpoint.save_model(os.path.join(self.args.output, checkpoint.MODEL), self.model, self.tokenizer,
                              self.pixels)

    def train(self):
        args = self.args
        os.makedirs(args.output, exist_ok=True)
        if args.compile:
            self.compile()
        start = saved = logged = time.monotonic() - BEGAN
        print(f'{len(self.index)} sprites, {self.device}, ready after {start:.0f} s', flush=True)
        step = since = 0
        with open(os.path.join(args.output, 'log.jsonl'), 'w', encoding='utf-8') as log:
            while (done := self.progress(step, start)) < 1:
                rate = args.lr * min(1, (step + 1) / args.warmup) * 0.5 * (1 + math.cos(math.pi * done))
                figures = self.step(rate)
                step += 1
                if step % args.log_every and step != args.steps:
                    continue
                loss, moved, against, norm = figures.tolist()
                if not math.isfinite(loss + norm):
                    raise ValueError(f'Step {step}: the loss or its gradient is no finite number; lower --lr. '
                                     'The last save is untouched.')
                now = time.monotonic() - BEGAN
                row = {'step': step, 'seconds': round(now, 1), 'loss': loss, 'moved': moved, 'background': against, 'lr': rate,
                       'scale': self.model.logit_scale.exp().item(), 'gradient': norm,
                       'pairs_per_second': round((step - since) * args.batch / (now - logged), 1)}
                logged, since = now, step
                log.write(json.dumps(row) + '\n')
                log.flush()
                print(' '.join(f'{k} {v:.4g}' for k, v in row.items()), flush=True)
                if now - saved > args.save_every:
                    saved = now
                    self.save()
        self.save()
        memory = ''
        if self.device.type == 'cuda':
            memory = f', {torch.cuda.max_memory_reserved() / 2 ** 30:.1f} GiB of GPU memory'
        print(f'{step * args.batch} pairs in {time.monotonic() - BEGAN:.0f} s{memory}', flush=True)

    def evaluate(self):
        model, tokenizer, pixels = checkpoint.load_model(os.path.join(self.args.output, checkpoint.MODEL))
        model.set_pixels(pixels.mean, pixels.std)
        composer = compose.Composer(self.index, self.sprites, tokenizer, self.device, 7, model.config.image_size)
        found = evaluate_starter.evaluate(model.to(self.device), tokenizer, self.index, self.sprites, composer,
                                          self.args.folders)
        with open(os.path.join(self.args.output, 'evaluation.json'), 'w', encoding='utf-8') as f:
            json.dump(found, f, indent=1)
        print(json.dumps(found), flush=True)


def main(argv=None):
    args = parse(argv)
    try:
        run = Run(args)
        run.train()
        run.evaluate()
    except (ValueError, OSError) as e:
        print(f'train_starter: {e}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
