#!/usr/bin/env python3
"""Every configuration that open_clip names, through the tool and beside open_clip itself.

A model with random weights is made of each, of its own widths, heads, patches and sizes but with two
layers a tower (--layers; 0 = all of them) and, for tokenizers from elsewhere, a small vocabulary; the
tool embeds photos and texts, and the worst cosine to open_clip's fp32 is told. What the tool does not
support has to be refused by a sentence. Not a part of the suite: it takes an hour on two cores.

Usage: every_config.py --cliptag CMD [--layers N] [--precision P] [--json FILE] [NAME...]
CMD runs the tool, for example "meson devenv -C build -w $PWD cliptag". Needs torch, open_clip_torch
3.3, timm, transformers 5.
"""
import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import open_clip
import open_clip.timm_model
import torch
from open_clip.coca_model import CoCa
from open_clip.model import CLIP, CustomTextCLIP
from open_clip.tokenizer import HFTokenizer, SimpleTokenizer
from PIL import Image
from safetensors.torch import save_file
from timm.models.eva import Eva

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.path.join(HERE, '..', 'data', 'models')
TEXTS = ['a photo of a cat', 'two dogs on a beach', 'an empty street at night, in the rain', 'x', 'a ' * 90]
MEAN, STD = [0.5, 0.45, 0.4], [0.25, 0.26, 0.27]


def tool(command, *arguments):
    run = subprocess.run([*shlex.split(command), *arguments], capture_output=True, text=True)
    return run.returncode, run.stdout, run.stderr.strip()


def cut(config, layers):
    """The configuration with fewer layers and, where the tokenizer is not built in, tokens."""
    vision, text = config['vision_cfg'], config['text_cfg']
    if layers:
        timm_name = vision.get('timm_model_name', '')
        if timm_name.startswith('fastvit_'):
            stages = 5 if timm_name in ('fastvit_mci3', 'fastvit_mci4') else 4
            vision['timm_kwargs'] = {'layers': [layers] * stages}
        elif timm_name:
            vision['timm_kwargs'] = {'depth': layers}
        elif isinstance(vision.get('layers'), int):
            vision['layers'] = layers
        text['layers'] = layers
        if 'multimodal_cfg' in config:
            config['multimodal_cfg']['layers'] = 1
        if text.get('hf_tokenizer_name'):
            text['vocab_size'] = 1000
    return config


def reference(config):
    """open_clip's own model; timm's depth has to be told behind its back."""
    plain = json.loads(json.dumps(config))
    custom = plain.pop('custom_text', False)
    arguments = plain['vision_cfg'].pop('timm_kwargs', {})
    create = open_clip.timm_model.timm.create_model
    open_clip.timm_model.timm.create_model = lambda name, **kw: create(name, **kw, **arguments)
    try:
        kind = CoCa if 'multimodal_cfg' in plain else CustomTextCLIP if custom else CLIP
        return kind(**plain).eval()
    finally:
        open_clip.timm_model.timm.create_model = create


def randomize(model):
    """Louder than at the start of a training, so that every part shows in the answers."""
    torch.manual_seed(3)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.ndim == 2 and name.startswith('visual.trunk.') and isinstance(model.visual.trunk, Eva):
                p.copy_(torch.randn(p.shape) * 1.4 / p.shape[1]**0.5)  # timm begins with next to nothing
            elif name.endswith('gamma'):  # layer scales
                p.copy_(0.3 + 0.1 * torch.randn(p.shape))
            elif p.ndim >= 2 and 'embedding' not in name:
                p.mul_(1.6)
            if name.endswith(('latent', 'cls_emb', 'cls_token', 'attn_pool.query', 'pos_embed', 'positional_embedding')):
                p.copy_(torch.randn(p.shape) * 0.3)
            elif p.ndim == 1 and p.requires_grad:
                p.add_(torch.randn(p.shape) * 0.05)
        for name, b in model.named_buffers():  # what batch norms have seen
            if name.endswith('running_mean'):
                b.copy_(0.2 * torch.randn(b.shape))
            elif name.endswith('running_var'):
                b.copy_(0.5 + torch.rand(b.shape))


def write(directory, config, model):
    state = {k: v.contiguous() for k, v in model.state_dict().items()
             if not k.endswith('attn_mask') and not k.startswith('text_decoder.')}
    save_file(state, f'{directory}/open_clip_model.safetensors')
    with open(f'{directory}/open_clip_config.json', 'w') as f:
        json.dump({'model_cfg': config, 'preprocess_cfg': {'mean': MEAN, 'std': STD}}, f)
    name = config['text_cfg'].get('hf_tokenizer_name', '')
    if name:
        folder = 'siglip2-timm' if 'SigLIP2' in name else 'siglip-timm'
        for file in ('tokenizer.json', 'tokenizer_config.json'):
            shutil.copy(f'{DATA}/{folder}/{file}', directory)


def tokens(directory, config):
    text = config['text_cfg']
    length = text.get('context_length', 77)
    if not text.get('hf_tokenizer_name'):
        return SimpleTokenizer(context_length=length)(TEXTS)
    clean = text.get('tokenizer_kwargs', {}).get('clean', 'whitespace')
    return HFTokenizer(directory, context_length=length, clean=clean)(TEXTS)


def worst(found, wanted):
    wanted = torch.nn.functional.normalize(wanted, dim=-1).numpy()
    return float((np.load(found) * wanted).sum(1).min())


def compare(name, config, command, precision, photos):
    with tempfile.TemporaryDirectory() as directory:
        model = reference(config)
        randomize(model)
        write(directory, config, model)
        size = config['vision_cfg'].get('image_size', 224)
        prepare = open_clip.image_transform(size, is_train=False, mean=MEAN, std=STD)
        with torch.inference_mode():
            image = model.encode_image(torch.stack([prepare(Image.open(p).convert('RGB')) for p in photos]))
            text = model.encode_text(tokens(directory, config))
        del model
        common = ['embed', '--model', directory, '--backend', 'cpu', '--precision', precision, '--output']
        code, _, error = tool(command, *common, f'{directory}/i.npy', *photos)
        if code == 0:
            said = [part for t in TEXTS for part in ('--text', t)]
            code, _, error = tool(command, *common, f'{directory}/t.npy', *said)
        if code:
            return {'error': error}
        unit = torch.nn.functional.normalize(image, dim=-1)
        return {'images': worst(f'{directory}/i.npy', image), 'texts': worst(f'{directory}/t.npy', text),
                'between_images': float((unit @ unit.T - 2 * torch.eye(len(unit))).max())}


def refusals(names, command):
    """What `cliptag models list` says of each configuration: None, or why not."""
    with tempfile.TemporaryDirectory() as root:
        for name in names:
            os.makedirs(f'{root}/{name}')
            with open(f'{root}/{name}/open_clip_config.json', 'w') as f:
                json.dump({'model_cfg': open_clip.get_model_config(name)}, f)
        code, out, error = tool(f'env CLIPTAG_MODEL_PATH={root} {command}', 'models', 'list', '--json')
        if code:
            sys.exit(f'cliptag models list failed: {error}')
        return {m['name']: m.get('error') for m in json.loads(out) if m['name'] in names}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--cliptag', required=True)
    parser.add_argument('--layers', type=int, default=2)
    parser.add_argument('--precision', default='fp32')
    parser.add_argument('--bound', type=float, default=0.9999)
    parser.add_argument('--json', default='')
    parser.add_argument('--photos', default=os.path.join(HERE, '..', 'data', 'photos'))
    parser.add_argument('names', nargs='*')
    args = parser.parse_args()
    photos = sorted(os.path.join(r, f) for r, _, files in os.walk(args.photos) for f in files
                    if f.endswith(('.png', '.jpg')))[:3]
    names = args.names or open_clip.list_models()
    said = refusals(names, args.cliptag)
    results, bad = {}, []
    for name in names:
        if name not in said or said[name]:
            results[name] = {'refused': said.get(name) or 'not listed'}
            if 'support' not in results[name]['refused']:
                bad.append(name)
        else:
            config = cut(open_clip.get_model_config(name), args.layers)
            results[name] = compare(name, config, args.cliptag, args.precision, photos)
            if not min(results[name].get('images', 0), results[name].get('texts', 0)) >= args.bound:
                bad.append(name)
        print(name, json.dumps(results[name]), flush=True)
        if args.json:
            with open(args.json, 'w') as f:
                json.dump(results, f, indent=1)
    print(f'{len(names) - len(bad)} of {len(names)} as they should be' + (f'; not: {" ".join(bad)}' if bad else ''))
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
