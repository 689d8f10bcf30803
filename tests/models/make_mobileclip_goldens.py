#!/usr/bin/env python3
"""Writes into tests/data/models: tiny MobileCLIP and MobileCLIP 2 models with open_clip's answers.

Made with open_clip_torch 3.3.0, timm 1.0.31, torch 2.15. Needs those; the tests need only what it
wrote. Usage: make_mobileclip_goldens.py tests/data/models VOCABULARY (CLIP's merges.txt).
"""
import copy
import json
import os

import open_clip.timm_model
import torch
from open_clip.model import CustomTextCLIP
from safetensors.torch import save_file
from timm.models import vision_transformer_hybrid
from timm.utils import reparameterize_model

from make_goldens import (CONTEXT, OUT, SIZE, TEXTS, pixels, randomize, rounded, save_texts, tokenize, vocabulary,
                          write_answers)

EMBED = 24


def create(cfg, arguments, size):
    """open_clip's model; what timm's constructor is to make smaller has to be told behind its back."""
    timm = open_clip.timm_model.timm
    plain_create, plain_stem = timm.create_model, vision_transformer_hybrid.ConvStem
    vit = cfg['vision_cfg']['timm_model_name'].startswith('vit_')
    extra = dict(arguments, **(dict(img_size=size) if vit else {}))
    width = arguments.get('embed_dim', 768)

    def small_stem(channels, **kwargs):
        return plain_stem(channels=(width // 4, width // 4, width), **kwargs)

    timm.create_model = lambda name, **kw: plain_create(name, **kw, **extra)
    vision_transformer_hybrid.ConvStem = small_stem
    try:
        return CustomTextCLIP(**json.loads(json.dumps(cfg))).eval()
    finally:
        timm.create_model, vision_transformer_hybrid.ConvStem = plain_create, plain_stem


def golden(name, timm_name, arguments, size, causal, folded=False, seed=8):
    directory = f'{OUT}/{name}'
    os.makedirs(directory, exist_ok=True)
    pool = 'token' if timm_name.startswith('vit_') else 'avg'
    cfg = dict(embed_dim=EMBED,
               vision_cfg=dict(timm_model_name=timm_name, timm_model_pretrained=False, timm_pool=pool, timm_proj=None,
                               timm_drop=0.0, timm_drop_path=0.0, image_size=size),
               text_cfg=dict(context_length=CONTEXT, vocab_size=len(vocabulary()), width=32, heads=2, layers=2,
                             no_causal_mask=not causal))
    model = create(cfg, arguments, size)
    randomize(model, seed)
    with torch.no_grad():
        for part in ('pos_embed', 'cls_token'):
            if hasattr(model.visual.trunk, part):
                torch.nn.init.normal_(getattr(model.visual.trunk, part), std=0.5,
                                      generator=torch.Generator().manual_seed(4))
    if folded:
        model.visual.trunk = reparameterize_model(model.visual.trunk)
    state = rounded(model, torch.float16)
    with torch.no_grad():
        image = model.encode_image(pixels([0.0] * 3, [1.0] * 3, size))
        words = model.encode_text(tokenize(TEXTS))
    between = torch.nn.functional.cosine_similarity(image[:, None], image[None], dim=-1)
    print(name, 'cosines between pictures', (between - 2 * torch.eye(3)).max().item(),
          'parameters', sum(p.numel() for p in state.values()))
    # Random weights may multiply rounding; the answers are to tell it from a mistake.
    with torch.no_grad():
        trunk = copy.deepcopy(model.visual.trunk)
        trunk = (trunk if folded or pool == 'token' else reparameterize_model(trunk)).bfloat16()
        rough = trunk(pixels([0.0] * 3, [1.0] * 3, size).bfloat16()).float()
    worst = torch.nn.functional.cosine_similarity(image, rough, dim=-1).min().item()
    print('  PyTorch in bf16:', worst)
    assert worst > 0.998, 'another seed'
    written = dict(cfg, custom_text=True)
    written['vision_cfg'] = dict(cfg['vision_cfg'], timm_kwargs=arguments)
    with open(f'{directory}/open_clip_config.json', 'w') as f:
        json.dump({'model_cfg': written,
                   'preprocess_cfg': {'mean': [0, 0, 0], 'std': [1, 1, 1], 'interpolation': 'bilinear'}}, f, indent=1)
    save_file({k: v for k, v in state.items() if not k.endswith('attn_mask')},
              f'{directory}/open_clip_model.safetensors')
    save_texts(directory)
    write_answers(directory, image, words)


def main():
    fast = dict(layers=[1, 2, 1, 1], embed_dims=[8, 16, 32, 64])
    golden('mobileclip-b', 'vit_base_mci_224', dict(embed_dim=32, depth=2, num_heads=2), 2 * SIZE, True)
    golden('mobileclip-s', 'fastvit_mci2', fast, 2 * SIZE, False, seed=25)
    golden('mobileclip-s-folded', 'fastvit_mci0', dict(layers=[1, 1, 1, 2], embed_dims=[8, 16, 16, 32]), 2 * SIZE, False, folded=True, seed=2)
    golden('mobileclip2-s3', 'fastvit_mci3', dict(layers=[1, 1, 1, 2, 1], embed_dims=[8, 8, 16, 32, 64]), 2 * SIZE,
           False, seed=5)
    golden('mobileclip2-l', 'vit_large_patch14_clip_224', dict(patch_size=8, embed_dim=32, depth=2, num_heads=2), SIZE,
           False)


if __name__ == '__main__':
    main()
