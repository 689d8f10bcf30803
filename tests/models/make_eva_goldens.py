#!/usr/bin/env python3
"""Writes into tests/data/models: tiny EVA CLIPs of each kind of block with the reference's answers.

Made with open_clip_torch 3.3.0, timm 1.0.31, torch 2.15. Needs those and what make_goldens.py needs;
the tests need only what it wrote.
Usage: make_eva_goldens.py tests/data/models VOCABULARY (CLIP's merges.txt).
"""
import json
import os

import timm
import torch
from open_clip.model import CustomTextCLIP
from safetensors.torch import save_file

from make_goldens import CONTEXT, OUT, SIZE, TEXTS, pixels, randomize, rounded, save_texts, tokenize, vocabulary, \
    write_answers

MEAN, STD = [0.5, 0.45, 0.4], [0.25, 0.26, 0.27]


def eva(name, timm_name, arguments):
    directory = f'{OUT}/{name}'
    os.makedirs(directory, exist_ok=True)
    embed = 24
    text = dict(context_length=CONTEXT, vocab_size=len(vocabulary()), width=32, heads=2, layers=1)
    plain = dict(image_size=SIZE, patch_size=8, width=48, layers=1, head_width=16)
    model = CustomTextCLIP(embed_dim=embed, vision_cfg=plain, text_cfg=dict(text)).eval()
    # open_clip knows timm's models by their names alone: a small one takes the tower's place.
    trunk = timm.create_model(timm_name, img_size=SIZE, num_classes=embed, global_pool='token', **arguments).eval()
    model.visual = torch.nn.Module()
    model.visual.trunk = trunk
    randomize(model, 8)
    for part in (trunk.pos_embed, trunk.cls_token):
        torch.nn.init.normal_(part, std=0.5, generator=torch.Generator().manual_seed(9))
    state = rounded(model, torch.float16)
    with torch.no_grad():
        image = trunk(pixels(MEAN, STD))
        words = model.encode_text(tokenize(TEXTS))
    cfg = dict(embed_dim=embed, custom_text=True, text_cfg=text,
               vision_cfg=dict(image_size=SIZE, timm_model_name=timm_name, timm_model_pretrained=False,
                               timm_pool='token', timm_proj=None, timm_kwargs=arguments))
    with open(f'{directory}/open_clip_config.json', 'w') as f:
        json.dump({'model_cfg': cfg, 'preprocess_cfg': {'mean': MEAN, 'std': STD}}, f, indent=1)
    save_file(state, f'{directory}/open_clip_model.safetensors')
    save_texts(directory)
    write_answers(directory, image, words)


def main():
    # The middle of its MLP, 129 columns, is as odd as the 2,730 of the large one.
    eva('eva02', 'eva02_base_patch16_clip_224',
        dict(patch_size=8, embed_dim=48, depth=2, num_heads=3, mlp_ratio=2.7, ref_feat_shape=6))
    eva('eva02-post-norm', 'eva02_enormous_patch14_clip_224',
        dict(patch_size=8, embed_dim=48, depth=2, num_heads=3, mlp_ratio=2.7))
    eva('eva01', 'eva_giant_patch14_224',
        dict(patch_size=8, embed_dim=48, depth=2, num_heads=3, mlp_ratio=2.7))


if __name__ == '__main__':
    main()
