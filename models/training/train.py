#!/usr/bin/env python3
"""Trains a CLIP on pictures with captions, from nothing or from a model, and leaves one that `cliptag` loads.

    train.py --data PATH... --output DIR [--shape NAME | --config FILE | --from MODEL] ...
    torchrun --nproc-per-node 8 train.py ...                several GPUs, or several processes on a CPU

DIR gets model/ (Hugging Face's layout, written anew at each save), state.pt (to go on with --resume) and
log.jsonl (a line for each step that is logged).
"""
import argparse
import contextlib
import json
import math
import os
import sys
import time

import torch

import checkpoint
import distributed
import tokenizer as tokenizers
from accumulate import backward
from data import Pairs, Schedule, loader, open_sources
from model import Clip, ModelConfig, Tower, freeze, parameter_groups
from plot import plot

HERE = os.path.dirname(os.path.abspath(__file__))
STARTER = os.path.join(HERE, '..', 'starter')
# (image, patch, vision width, layers, heads, text width, layers, heads, context, joint dimensions)
SHAPES = {
    'tiny': (32, 8, 64, 2, 2, 64, 2, 2, 16, 32),
    'starter': (112, 16, 192, 8, 3, 192, 4, 3, 24, 192),
    'vit-s-16': (224, 16, 384, 12, 6, 384, 12, 6, 77, 384),
    'vit-b-32': (224, 32, 768, 12, 12, 512, 12, 8, 77, 512),
    'vit-b-16': (224, 16, 768, 12, 12, 512, 12, 8, 77, 512),
    'vit-l-14': (224, 14, 1024, 24, 16, 768, 12, 12, 77, 768),
}
# What a run has to be resumed with: the rest may change.
RECIPE = ('shape', 'activation', 'config', 'from', 'merges', 'batch', 'steps', 'epochs', 'lr', 'warmup',
          'weight_decay', 'beta1', 'beta2', 'eps', 'clip_grad', 'loss', 'soft_targets', 'freeze', 'seed',
          'precision', 'crop_scale', 'flip')


def shape_config(name, activation):
    image, patch, width, layers, heads, text_width, text_layers, text_heads, context, dim = SHAPES[name]
    return ModelConfig(vision=Tower(width, layers, heads, 4 * width, activation),
                       text=Tower(text_width, text_layers, text_heads, 4 * text_width, activation),
                       image_size=image, patch_size=patch, context=context, dim=dim)


def parse(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0],
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add = parser.add_argument
    add('--data', nargs='+', required=True, help='tar shards, folders of them, folders of captioned pictures')
    add('--output', required=True, help='the directory of the run')
    start = parser.add_mutually_exclusive_group()
    start.add_argument('--shape', choices=SHAPES, default='starter', help='a new model of this shape')
    start.add_argument('--config', help='a new model of the shape in this config.json')
    start.add_argument('--from', metavar='MODEL', help='fine-tune this model directory')
    add('--resume', action='store_true', help='go on where the run in --output stopped')
    add('--tokenizer', default=STARTER, help='of a new model: a directory with vocab.json and merges.txt')
    add('--merges', type=int, default=0, help='only the first so many merges of it; 0 = all')
    add('--activation', choices=('quick_gelu', 'gelu'), default='quick_gelu', help='of a --shape')
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument('--steps', type=int)
    length.add_argument('--epochs', type=float, default=None)
    add('--batch', type=int, default=256, help='pairs that are compared with each other, over all processes')
    add('--micro-batch', type=int, default=0, help='pairs that a process embeds together; 0 = all of its')
    add('--loss', choices=('clip', 'siglip'), default='clip')
    add('--soft-targets', action='store_true',
        help='pairs of the same concept (or caption) are right for each other')
    add('--lr', type=float, default=1e-3, help='the highest learning rate')
    add('--warmup', type=int, default=100, help='steps until it is reached')
    add('--weight-decay', type=float, default=0.2)
    add('--beta1', type=float, default=0.9)
    add('--beta2', type=float, default=0.98)
    add('--eps', type=float, default=1e-6)
    add('--clip-grad', type=float, default=1.0, help='largest norm of the gradient; 0 = any')
    add('--freeze', nargs='*', choices=('vision', 'text'), default=[], help='towers that stay as they are')
    add('--crop-scale', type=float, nargs=2, default=(0.5, 1.0), metavar=('LEAST', 'MOST'),
        help='share of the picture that is shown')
    add('--flip', action='store_true', help='mirror half of the pictures; not where captions say left')
    add('--precision', choices=('bf16', 'fp32'), default='bf16',
        help='of the products; weights are kept in fp32')
    add('--save-precision', choices=('fp16', 'fp32'), default='fp16', help='of the weights in model/')
    add('--device', choices=('auto', 'cpu', 'cuda'), default='auto')
    add('--workers', type=int, default=2, help='processes that read pictures, for each that trains')
    add('--threads', type=int, default=0, help='CPU threads of each process; 0 = PyTorch\'s choice')
    add('--seed', type=int, default=1)
    add('--save-every', type=int, default=1000, help='steps; the last one is always saved')
    add('--log-every', type=int, default=10, help='steps')
    add('--stop-after', type=int, default=0, help='save and end after so many steps of this call; 0 = all')
    add('--plot', metavar='SVG', help='draw the loss at the end')
    return parser.parse_args(argv)


def build(args):
    """(model, tokenizer, pixels) to begin with."""
    torch.manual_seed(args.seed)
    siglip = args.loss == 'siglip'
    source = getattr(args, 'from')
    if source:
        model, tokenizer, pixels = checkpoint.load_model(source, bias=siglip)
    else:
        config = (checkpoint.read_config(args.config) if args.config
                  else shape_config(args.shape, args.activation))
        tokenizer = tokenizers.read(args.tokenizer, config.context, args.merges)
        config.vocab_size = max(tokenizer.vocab.values()) + 1
        config.bias = siglip
        if siglip:
            config.log_scale = math.log(10)
        model, pixels = Clip(config), checkpoint.Pixels()
    model.set_pixels(pixels.mean, pixels.std)
    freeze(model, args.freeze)
    return model, tokenizer, pixels


def rate(step, steps, warmup, highest):
    """Up in a line, down in half a cosine."""
    if step < warmup:
        return highest * (step + 1) / warmup
    return highest * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def autocast_for(device, precision):
    if precision == 'fp32':
        return contextlib.nullcontext
    return lambda: torch.autocast(device.type, torch.bfloat16)


class Run:
    def __init__(self, args):
        self.args = args
        kind = args.device if args.device != 'auto' else 'cuda' if torch.cuda.is_available() else 'cpu'
        if args.threads:
            torch.set_num_threads(args.threads)
        self.device = distributed.start(kind)
        self.model, self.tokenizer, self.pixels = build(args)
        self.model.to(self.device)
        self.pairs = Pairs(open_sources(args.data), self.tokenizer, self.model.config.image_size, args.seed,
                           tuple(args.crop_scale), args.flip, self.pixels.resample)
        per_epoch = max(1, len(self.pairs) // args.batch)
        self.steps = args.steps or max(1, round(args.epochs * per_epoch))
        self.optimizer = torch.optim.AdamW(parameter_groups(self.model, args.weight_decay), lr=args.lr,
                                           betas=(args.beta1, args.beta2), eps=args.eps)
        self.recipe = {k: list(v) if isinstance(v, tuple) else v for k in RECIPE for v in [getattr(args, k)]}
        self.recipe |= {'data': self.pairs.signature()}
        self.first = 0
        if args.resume:
            self.first = checkpoint.load_state(args.output, self.model, self.optimizer, self.recipe)
        elif os.path.exists(os.path.join(args.output, checkpoint.STATE)):
            raise ValueError(f'{args.output} holds a run already: go on with --resume, or name another one.')
        distributed.same_everywhere(self.model.parameters())
        self.schedule = Schedule(len(self.pairs), args.batch, args.seed, self.first, self.steps,
                                 distributed.rank(), distributed.world())

    def step(self, number, batch):
        """One step; returns what is logged of it."""
        args = self.args
        speed = rate(number, self.steps, args.warmup, args.lr)
        for group in self.optimizer.param_groups:
            group['lr'] = speed
        self.optimizer.zero_grad(set_to_none=True)
        loss = backward(self.model, batch, args.loss, args.micro_batch, args.soft_targets,
                        autocast_for(self.device, args.precision))
        trained = [p for p in self.model.parameters() if p.grad is not None]
        norm = torch.nn.utils.clip_grad_norm_(trained, args.clip_grad or math.inf)
        if not (loss.isfinite() and norm.isfinite()):
            raise ValueError(f'Step {number + 1}: the loss or its gradient is no finite number; lower --lr, '
                             'or use --precision fp32. The last save is untouched.')
        self.optimizer.step()
        self.model.clamp_scale()
        done = number + 1
        return {'step': done, 'epoch': round(done / self.schedule.steps_per_epoch, 3), 'loss': loss.item(),
                'lr': speed, 'scale': self.model.logit_scale.exp().item(), 'gradient': norm.item()}

    def save(self, done):
        distributed.barrier()
        if distributed.rank() == 0:
            dtype = torch.float16 if self.args.save_precision == 'fp16' else torch.float32
            output = self.args.output
            checkpoint.save_model(os.path.join(output, checkpoint.MODEL), self.model, self.tokenizer,
                                  self.pixels, dtype)
            checkpoint.save_state(output, self.model, self.optimizer, done, self.recipe)
        distributed.barrier()

    def train(self):
        args, leader = self.args, distributed.rank() == 0
        last = min(self.steps, self.first + args.stop_after) if args.stop_after else self.steps
        if leader:
            os.makedirs(args.output, exist_ok=True)
            count = sum(p.numel() for p in self.model.parameters())
            print(f'{count / 1e6:.1f} million parameters, {len(self.pairs)} pairs, steps {self.first + 1} to '
                  f'{last} of {self.steps}, {distributed.world()} x {self.device}', flush=True)
        log = open(os.path.join(args.output, 'log.jsonl'), 'a', encoding='utf-8') if leader else None
        self.schedule.steps = last
        began, since = time.monotonic(), self.first
        batches = loader(self.pairs, self.schedule, args.workers, self.device.type == 'cuda')
        for number, batch in enumerate(batches, self.first):
            row = self.step(number, batch)
            done = number + 1
            if leader and (done % args.log_every == 0 or done == last):
                now = time.monotonic()
                row['pairs_per_second'] = round((done - since) * args.batch / max(1e-9, now - began), 1)
                began, since = now, done
                log.write(json.dumps(row) + '\n')
                log.flush()
                print(f'{done}/{self.steps}  loss {row["loss"]:.4f}  scale {row["scale"]:.1f}  '
                      f'{row["pairs_per_second"]:.0f} pairs/s', flush=True)
            if done % args.save_every == 0 or done == last:
                self.save(done)
        if leader:
            log.close()
            if args.plot:
                plot(os.path.join(args.output, 'log.jsonl'), args.plot)


def main(argv=None):
    args = parse(argv)
    try:
        Run(args).train()
    except (ValueError, OSError) as e:
        print(f'train.py: {e}', file=sys.stderr)
        return 1
    finally:
        distributed.stop()
    return 0


if __name__ == '__main__':
    sys.exit(main())
