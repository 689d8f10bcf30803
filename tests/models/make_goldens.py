#!/usr/bin/env python3
"""Writes tests/data/models: tiny models in both layouts with the references' answers.

Made with open_clip_torch 3.3.0, transformers 5.23.0, torch 2.15, ftfy 6.3.1. Needs those; the tests
need only what it wrote. Usage: make_goldens.py tests/data/models VOCABULARY (CLIP's merges.txt).
"""
import gzip
import io
import json
import os
import sys
import tempfile

import numpy as np
import open_clip
import torch
import transformers
from open_clip.model import CLIP, CustomTextCLIP
from open_clip.tokenizer import SimpleTokenizer, bytes_to_unicode
from PIL import Image
from safetensors.torch import save_file

OUT, MERGES = sys.argv[1:3]
MERGE_COUNT = 300
TEXTS = ['', 'a photo of a cat', 'the thing and the other', 'naïve café 12', "it's a <|endoftext|> b",
         'one two three four five six seven eight nine ten eleven twelve thirteen']
CONTEXT = 20
SIZE = 32


def merges():
    with open(MERGES, encoding='utf-8') as f:
        lines = f.read().split('\n')[1:]
    return lines[:MERGE_COUNT]


def vocabulary():
    letters = list(bytes_to_unicode().values())
    tokens = letters + [c + '</w>' for c in letters] + [m.replace(' ', '') for m in merges()]
    tokens += ['<|startoftext|>', '<|endoftext|>']
    assert len(set(tokens)) == len(tokens)
    return {t: i for i, t in enumerate(tokens)}


def tokenize(texts):
    """SimpleTokenizer's algorithm with the small vocabulary and the names of its special tokens."""
    vocab = vocabulary()
    tokenizer = SimpleTokenizer()
    tokenizer.encoder = vocab
    tokenizer.bpe_ranks = {tuple(m.split()): i for i, m in enumerate(merges())}
    special = ['<|startoftext|>', '<|endoftext|>']
    tokenizer.cache = {t: t for t in special}
    import regex
    tokenizer.pat = regex.compile(
        '|'.join(regex.escape(s) for s in special)
        + r"""|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+""", regex.IGNORECASE)
    tokenizer.sot_token_id, tokenizer.eot_token_id = (vocab[t] for t in special)
    return tokenizer(texts, context_length=CONTEXT)


def pictures(size=SIZE):
    """Three small pictures of the models' size, as written to pictures-SIZE.npy: uint8 (3, size, size, 3)."""
    rng = np.random.default_rng(7)
    y, x = np.mgrid[0:size, 0:size]
    a = np.stack([x * 256 // size, y * 256 // size, 255 - x * 128 // size], -1)
    b = rng.integers(0, 256, (size, size, 3))
    c = np.where(((x // 8 + y // 8) % 2)[..., None] > 0, [250, 20, 60], [10, 200, 120])
    return np.stack([a, b, c]).astype(np.uint8)


def pixels(mean, std, size=SIZE):
    x = torch.from_numpy(pictures(size).astype(np.float32) / 255)
    return ((x - torch.tensor(mean)) / torch.tensor(std)).permute(0, 3, 1, 2).contiguous()


def randomize(model, seed):
    """Weights large enough that every part of the model shows in the answers."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            if p.ndim == 0 or 'logit' in name or not p.requires_grad:
                continue
            noise = torch.randn(p.shape, generator=generator)
            if 'gamma' in name:
                p.copy_(0.3 + 0.1 * noise)
            elif p.ndim == 1 and name.endswith('weight'):
                p.copy_(1 + 0.2 * noise)
            elif p.ndim == 1:
                p.copy_(0.1 * noise)
            else:
                fan = p.shape[-1] if p.ndim == 2 else p[0].numel()
                p.copy_(noise * (1.4 / fan**0.5 if 'embedding' not in name else 0.3))
        for name, b in sorted(model.named_buffers()):  # what batch norms have seen
            if name.endswith('running_mean'):
                b.copy_(0.2 * torch.randn(b.shape, generator=generator))
            elif name.endswith('running_var'):
                b.copy_(0.5 + torch.rand(b.shape, generator=generator))


def save_texts(directory):
    with open(f'{directory}/vocab.json', 'w', encoding='utf-8') as f:
        json.dump(vocabulary(), f, ensure_ascii=False)
    with open(f'{directory}/merges.txt', 'w', encoding='utf-8') as f:
        f.write('#version: 0.2\n' + '\n'.join(merges()) + '\n')


def unit(x):
    return (x / x.norm(dim=-1, keepdim=True)).detach().to(torch.float32).numpy()


def write_answers(directory, image, text):
    np.save(f'{directory}/images.npy', unit(image))
    np.save(f'{directory}/texts.npy', unit(text))


def rounded(model, dtype):
    """Rounds the matrices to what the file holds, so that the answers belong to the file."""
    state = {}
    with torch.no_grad():
        for name, p in model.state_dict(keep_vars=True).items():
            keep = p.ndim < 2 or not p.is_floating_point()
            stored = p.detach().contiguous() if keep else p.detach().to(dtype).contiguous()
            p.copy_(stored.to(p.dtype))
            state[name] = stored
    return state


def hugging_face(name, dtype=torch.float16, shards=1, legacy=False, **changes):
    directory = f'{OUT}/{name}'
    os.makedirs(directory, exist_ok=True)
    vocab = vocabulary()
    text = dict(vocab_size=len(vocab), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
                num_attention_heads=2, max_position_embeddings=CONTEXT, projection_dim=99,
                bos_token_id=vocab['<|startoftext|>'], eos_token_id=vocab['<|endoftext|>'],
                pad_token_id=1)
    vision = dict(hidden_size=48, intermediate_size=96, num_hidden_layers=2, num_attention_heads=3,
                  image_size=SIZE, patch_size=8, projection_dim=77)
    for part in (text, vision):
        part.update(changes)
    if legacy:
        text['eos_token_id'] = 2
    config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=24)
    config._attn_implementation = 'eager'
    model = transformers.CLIPModel(config).eval()
    randomize(model, 1)
    state = rounded(model, dtype)
    with torch.no_grad():
        image = model.visual_projection(
            model.vision_model(pixel_values=pixels([0.5, 0.4, 0.3], [0.2, 0.25, 0.3])).pooler_output)
        words = model.text_projection(model.text_model(input_ids=tokenize(TEXTS)).pooler_output)
    written = {'model_type': 'clip', 'projection_dim': 24, 'text_config': text,
               'vision_config': vision}
    with open(f'{directory}/config.json', 'w') as f:
        json.dump(written, f, indent=1)
    with open(f'{directory}/preprocessor_config.json', 'w') as f:
        json.dump({'size': SIZE, 'crop_size': SIZE, 'resample': 3, 'image_mean': [0.5, 0.4, 0.3],
                   'image_std': [0.2, 0.25, 0.3]}, f)
    names = sorted(state)
    if shards == 1:
        save_file(state, f'{directory}/model.safetensors')
    else:
        index = {}
        for i in range(shards):
            part = names[i::shards]
            file = f'model-{i + 1:05d}-of-{shards:05d}.safetensors'
            save_file({n: state[n] for n in part}, f'{directory}/{file}')
            index.update({n: file for n in part})
        with open(f'{directory}/model.safetensors.index.json', 'w') as f:
            json.dump({'metadata': {}, 'weight_map': index}, f, indent=0)
    save_texts(directory)
    write_answers(directory, image, words)


def openclip(name, vision=None, text=None, custom=False, quick_gelu=None, dtype=torch.float16):
    directory = f'{OUT}/{name}'
    os.makedirs(directory, exist_ok=True)
    vision_cfg = dict(image_size=SIZE, patch_size=8, width=48, layers=2, head_width=16)
    text_cfg = dict(context_length=CONTEXT, vocab_size=len(vocabulary()), width=32, heads=2, layers=2)
    vision_cfg.update(vision or {})
    text_cfg.update(text or {})
    cfg = dict(embed_dim=24, vision_cfg=vision_cfg, text_cfg=text_cfg)
    if quick_gelu is not None:
        cfg['quick_gelu'] = quick_gelu
    model = (CustomTextCLIP if custom else CLIP)(**json.loads(json.dumps(cfg))).eval()
    randomize(model, 2)
    state = rounded(model, dtype)
    with torch.no_grad():
        image = model.encode_image(pixels([0.48145466, 0.4578275, 0.40821073],
                                          [0.26862954, 0.26130258, 0.27577711],
                                          vision_cfg['image_size']))
        words = model.encode_text(tokenize(TEXTS))
    if custom:
        cfg['custom_text'] = True
    with open(f'{directory}/open_clip_config.json', 'w') as f:
        json.dump({'model_cfg': cfg}, f, indent=1)
    save_file(state, f'{directory}/open_clip_model.safetensors')
    save_texts(directory)
    write_answers(directory, image, words)


def cleaning():
    """Texts that the cleaning changes, with what open_clip makes of them."""
    texts = [
        'AT&amp;T &lt;b&gt;', 'a &amp;amp; b', '&amp;lt;', '&eacute;&EACUTE; &NTILDE;', '&szlig;&SZLIG;',
        '&notit; &not &copy 2020&reg', '&#65;&#x42;&#X43', '&#0;&#128;&#x9F;&#xD800;&#1114112;',
        '&#99999999999999999999;', '&#x1F600;', '&nbsp;a&nbsp;b&nbsp;', '&CounterClockwiseContourIntegral;',
        '&fjlig; &NotEqualTilde;', 'a<b & c&lt;d', 'x &amp; y < z', '&;&#;&#x;', '&ampx; &amplt;',
        '&GTDOT; &LTDOT;', 'fish &amp', '&#59; &#38;amp;', '&#13;x&#10;y', '&#x85;y', '&hellip;',
        '“curly” ‘quotes’ ʼn', 'it’s don’t we’ll', 'ﬁre ﬂame ﬀ ﬃ ﬄ ﬆ ﬅ', 'Ĳssel Ǆ ǆ ŉ Ǳ Lj Ǌ',
        'ＬＯＵＤ　ＮＯＩＳＥＳ', 'Ｕﾀｰﾝ ﾊﾟ', '！＂＃ ￠￡￥', 'a\u2028b\u2029c', 'a\r\nb\rc\n\nd', 'a\x1b[36;44mblue\x1b[0m b',
        'a\x00b\x07c\x7fd', '\ufeffbom', 'a\u206ab\ufff9c\ufffcd', 'e\u0301 cafe\u0301', 'A\u030a \u212b',
        '\u1e9b\u0323', 'ΟΔΟΣ ΣΑΣ Σ ὈΔΥΣΣΕΎΣ', 'İstanbul IĞDIR ı', 'ẞ Straße', 'Ǆ Ⅷ ⅷ Ⓐ', 'ÀÉÎÕÜ ÝÞ',
        'tab\tand\x0bvt\x0cff', 'nb\u00a0sp\u2003em\u3000ideo\u205fmm', '\u200bzero\u200cwidth\u200d', '\u180emvs',
        '   lots   of   space   ', "'s 'S 'T 'RE 'Ve 'M 'LL 'd", "'\u017f x\u017f", '<start_of_text> a <end_of_text>',
        '<START_OF_TEXT>', '<\u017ftart_of_text>', '!!<end_of_text>', '<|startoftext|> <|endoftext|>',
        'x²y³ ½ ¼ ٣٤ ९', '1234 5.6', 'a_b-c+d=e', '👩\u200d👩\u200d👧 👍🏽 🇩🇪', 'नमस्ते สวัสดี', '日本語、テキスト。', 'مرحبا بالعالم',
        'Привет, Мир!', 'x\u0301\u0302y', '\U0001d56c\U0001d4b6', '\U00010400\U00010428', '…—–―', '¡¿«»', "o'clock o''clock",
        'C:\\path\\to /usr/bin', 'a@b.c #tag $5 100% ^_^ ~', '&lt;a href=&quot;x&quot;&gt;', '{"a": [1, 2]}',
    ]
    with open(f'{OUT}/cleaning.jsonl', 'w', encoding='utf-8') as f:
        for clean in ('lower', 'whitespace', 'canonicalize'):
            tokenizer = SimpleTokenizer(clean=clean)
            for text in texts:
                ids = tokenizer.encode(text)
                # Words only, up to the first end token: the tests look at nothing behind it.
                if tokenizer.eot_token_id in ids:
                    ids = ids[:ids.index(tokenizer.eot_token_id)]
                f.write(json.dumps({'clean': clean, 'text': text, 'ids': ids[:75]}) + '\n')


def main():
    os.makedirs(OUT, exist_ok=True)
    torch.manual_seed(0)
    for size in (SIZE, 2 * SIZE):
        np.save(f'{OUT}/pictures-{size}.npy', pictures(size))
    with open(f'{OUT}/texts.json', 'w', encoding='utf-8') as f:
        json.dump(TEXTS, f, ensure_ascii=False, indent=1)
    hugging_face('hf')
    hugging_face('hf-legacy-gelu-sharded-bf16', dtype=torch.bfloat16, shards=2, legacy=True,
                 hidden_act='gelu', layer_norm_eps=1e-3)
    openclip('openclip')
    openclip('openclip-no-pre-avg', vision=dict(no_ln_pre=True, pool_type='avg', mlp_ratio=2.5,
                                                norm_kwargs={'eps': 1e-3}), quick_gelu=True)
    openclip('openclip-avg-final-layerscale', custom=True, dtype=torch.float32,
             vision=dict(pool_type='avg', final_ln_after_pool=True, ls_init_value=0.1,
                         pos_embed_type='sin_cos_2d', layers=1, width=32),
             text=dict(pool_type='last', no_causal_mask=True, proj_bias=True, ls_init_value=0.1,
                       layers=1))
    openclip('openclip-first-noproj', custom=True, vision=dict(layers=1, final_ln_after_pool=True),
             text=dict(pool_type='eos', eos_id=len(vocabulary()) - 1, proj_type='none', width=24,
                       layers=1))
    # Every kind of block; channels and heads that are no multiples of what vectors hold.
    openclip('openclip-resnet', vision=dict(image_size=2 * SIZE, layers=[1, 2, 1, 1], width=5, head_width=40,
                                            patch_size=None))
    cleaning()


if __name__ == '__main__':
    main()
