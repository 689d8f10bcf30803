#!/usr/bin/env python3
"""Writes into tests/data/models: tiny SigLIP, SigLIP 2 and CoCa models with the references' answers,
and what the references' tokenizers make of many texts (pieces.jsonl).

Made with open_clip_torch 3.3.0, timm 1.0.31, transformers 5.23.0, tokenizers 0.23.3, sentencepiece
0.2.3, torch 2.15, ftfy 6.3.1. Needs those; the tests need only what it wrote.
Usage: make_siglip_goldens.py tests/data/models VOCABULARY CORPUS
(CLIP's merges.txt, and any English text of some 100 kB to train the small tokenizers on).
"""
import json
import os
import shutil
import sys
import tempfile

import numpy as np
import sentencepiece
import timm
import torch
import transformers
from open_clip.coca_model import CoCa
from open_clip.model import CustomTextCLIP
from open_clip.tokenizer import HFTokenizer
from safetensors.torch import save_file
from sentencepiece import sentencepiece_model_pb2
from timm.models.vision_transformer import VisionTransformer
from transformers.tokenization_utils_sentencepiece import generate_merges

from make_goldens import (OUT, SIZE, pixels, randomize, rounded, save_texts, tokenize, vocabulary,
                          write_answers)

CORPUS = sys.argv[3]
CONTEXT = 16
TEXTS = ['', 'a photo of a cat', 'The Thing, and the other!', 'naïve café_12 ½ ﬁre', '日本語 テキスト 🙂',
         'one two three four five six seven eight nine ten eleven twelve thirteen fourteen']
MORE_TEXTS = [
    'A', 'a', ' spaces   everywhere\t\n', 'punctuation: (all) of "it" - gone?', "don't it's", '<eos> </s> <pad> <unk>',
    'UPPER lower MiXed', 'ΟΔΟΣ straße İstanbul', 'Привет, мир', 'مرحبا', 'नमस्ते', '½ ¼ x²',
    'Ｆｕｌｌ ｗｉｄｔｈ', 'ﬁne ﬂow', 'e\u0301 combining', '👩\u200d👩\u200d👧 family', 'tab\tand\x0bothers', 'nbsp\u00a0here', 'zero\u200bwidth',
    '1234567890', 'a.b.c/d\\e', 'snake_case_name', 'AT&amp;T &lt;b&gt;', '“curly” ‘quotes’', '…—–', '\u00b4 \u00a8',
    'license licensing licensed permission permissions', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'the the the the the',
    'software' * 12, 'x' * 300, '中文字符' * 10, 'end']


def train(folder, **options):
    prefix = f'{folder}/m'
    sentencepiece.SentencePieceTrainer.train(input=CORPUS, model_prefix=prefix, num_threads=1,
                                             minloglevel=2, **options)
    return prefix + '.model'


def rules(folder):
    """A small map of characters: the real ones have 240 kB."""
    pairs = {'½': '1⁄2', '¼': '1⁄4', '²': '2', '\u00a0': ' ', '\u00b4': ' \u0301', 'é': 'e\u0301', '…': '...'}
    pairs |= {chr(0xFF21 + i): chr(0x41 + i) for i in range(26)}
    with open(f'{folder}/rules.tsv', 'w', encoding='utf-8') as f:
        for source, target in pairs.items():
            f.write(' '.join(f'{ord(c):X}' for c in source) + '\t' +
                    ' '.join(f'{ord(c):X}' for c in target) + '\n')
    return f'{folder}/rules.tsv'


def proto(path):
    model = sentencepiece_model_pb2.ModelProto()
    with open(path, 'rb') as f:
        model.ParseFromString(f.read())
    return model


def unigram(folder):
    return train(folder, model_type='unigram', vocab_size=360, pad_id=0, eos_id=1, unk_id=2, bos_id=-1,
                 character_coverage=1.0, normalization_rule_tsv=rules(folder))


def save_spiece(directory):
    """As google/siglip-base-patch16-224 has it."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(unigram(folder), f'{directory}/spiece.model')
    with open(f'{directory}/tokenizer_config.json', 'w') as f:
        json.dump({'tokenizer_class': 'SiglipTokenizer', 'do_lower_case': True, 'eos_token': '</s>',
                   'pad_token': '</s>', 'unk_token': '<unk>', 'model_max_length': CONTEXT}, f)


def save_t5(directory):
    """As timm/ViT-B-16-SigLIP has it: a fast T5 tokenizer that pads with its end token."""
    with tempfile.TemporaryDirectory() as folder:
        model = proto(unigram(folder))
    tokenizer = transformers.T5Tokenizer(
        vocab=[(p.piece, p.score) for p in model.pieces], pad_token='</s>', extra_ids=0,
        additional_special_tokens=[], _spm_precompiled_charsmap=model.normalizer_spec.precompiled_charsmap)
    tokenizer.save_pretrained(directory)


def save_gemma(directory):
    """As timm/ViT-B-16-SigLIP2 has it."""
    with tempfile.TemporaryDirectory() as folder:
        model = proto(train(folder, model_type='bpe', vocab_size=560, byte_fallback=True, pad_id=0, eos_id=1,
                            bos_id=2, unk_id=3, normalization_rule_name='identity', add_dummy_prefix=False,
                            character_coverage=0.99))
    pieces = {p.piece: i for i, p in enumerate(model.pieces)}
    scores = {p.piece: p.score for p in model.pieces if p.type == p.NORMAL}
    tokenizer = transformers.GemmaTokenizer(vocab=pieces, merges=generate_merges(pieces, scores),
                                            mask_token=None, padding_side='right', add_bos_token=False,
                                            add_eos_token=True)
    tokenizer.save_pretrained(directory)


def configuration(directory, cfg):
    with open(f'{directory}/open_clip_config.json', 'w') as f:
        json.dump({'model_cfg': cfg, 'preprocess_cfg': {'mean': [0.5] * 3, 'std': [0.5] * 3, 'resize_mode': 'squash'}},
                  f, indent=1)


def own_texts(directory, texts):
    with open(f'{directory}/texts.json', 'w', encoding='utf-8') as f:
        json.dump(texts, f, ensure_ascii=False, indent=1)


def siglip_timm(name, timm_name, save_tokenizer, arguments, text, embed):
    directory = f'{OUT}/{name}'
    os.makedirs(directory, exist_ok=True)
    save_tokenizer(directory)
    tokens = HFTokenizer(directory, context_length=CONTEXT, clean='canonicalize')
    vocab = max(len(tokens.tokenizer), max(tokens.tokenizer.get_vocab().values()) + 1)
    text_cfg = dict(context_length=CONTEXT, vocab_size=vocab, hf_tokenizer_name=f'timm/{name}',
                    tokenizer_kwargs={'clean': 'canonicalize'}, width=32, heads=2, layers=2, no_causal_mask=True,
                    proj_bias=True, pool_type='last', norm_kwargs={'eps': 1e-6}, **text)
    plain = dict(image_size=SIZE, patch_size=8, width=48, layers=1, head_width=16)
    model = CustomTextCLIP(embed_dim=embed, vision_cfg=dict(plain), text_cfg=json.loads(json.dumps(text_cfg)),
                           init_logit_bias=-10).eval()
    # open_clip knows timm's models by their names alone: a small one takes the tower's place.
    trunk = VisionTransformer(img_size=SIZE, num_classes=0, global_pool='map', class_token=False, **arguments).eval()
    model.visual = torch.nn.Module()
    model.visual.trunk = trunk
    randomize(model, 3)
    for part in (trunk.pos_embed, trunk.attn_pool.latent):
        torch.nn.init.normal_(part, std=0.5, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        model.logit_scale.copy_(torch.tensor(2.0))
    state = rounded(model, torch.float16)
    with torch.no_grad():
        image = trunk(pixels([0.5] * 3, [0.5] * 3))
        words = model.encode_text(tokens(TEXTS))
    configuration(directory, dict(
        embed_dim=embed, init_logit_bias=-10, custom_text=True, text_cfg=text_cfg,
        vision_cfg=dict(image_size=SIZE, timm_model_name=timm_name, timm_model_pretrained=False, timm_pool='map',
                        timm_proj='none', timm_kwargs=arguments)))
    save_file(state, f'{directory}/open_clip_model.safetensors')
    own_texts(directory, TEXTS)
    write_answers(directory, image, words)
    return tokens


def siglip_hf(name):
    directory = f'{OUT}/{name}'
    os.makedirs(directory, exist_ok=True)
    save_spiece(directory)
    tokens = HFTokenizer(directory, context_length=CONTEXT, clean='canonicalize')
    text = dict(model_type='siglip_text_model', vocab_size=len(tokens.tokenizer), hidden_size=32, intermediate_size=72,
                num_hidden_layers=2, num_attention_heads=2, max_position_embeddings=CONTEXT, projection_size=48)
    vision = dict(model_type='siglip_vision_model', hidden_size=48, intermediate_size=104, num_hidden_layers=2,
                  num_attention_heads=3, image_size=SIZE, patch_size=8)
    config = transformers.SiglipConfig(text_config=dict(text), vision_config=dict(vision))
    config._attn_implementation = 'eager'
    model = transformers.SiglipModel(config).eval()
    randomize(model, 5)
    with torch.no_grad():
        torch.nn.init.normal_(model.vision_model.head.probe, std=1.0, generator=torch.Generator().manual_seed(4))
        model.logit_scale.copy_(torch.tensor([2.0]))
        model.logit_bias.copy_(torch.tensor([-10.0]))
    state = rounded(model, torch.float16)
    with torch.no_grad():
        image = model.vision_model(pixel_values=pixels([0.5] * 3, [0.5] * 3)).pooler_output
        words = model.text_model(input_ids=tokens(TEXTS)).pooler_output
    with open(f'{directory}/config.json', 'w') as f:
        json.dump({'architectures': ['SiglipModel'], 'model_type': 'siglip', 'text_config': text,
                   'vision_config': vision}, f, indent=1)
    with open(f'{directory}/preprocessor_config.json', 'w') as f:
        json.dump({'do_normalize': True, 'do_rescale': True, 'do_resize': True, 'image_mean': [0.5] * 3,
                   'image_std': [0.5] * 3, 'resample': 3, 'rescale_factor': 0.00392156862745098,
                   'size': {'height': SIZE, 'width': SIZE}}, f)
    save_file(state, f'{directory}/model.safetensors')
    own_texts(directory, TEXTS)
    write_answers(directory, image, words)
    return tokens


# '!' within a word is token 0, which CoCa takes for padding wherever it stands.
COCA_TEXTS = ['', 'a photo of a cat', 'what!? no!" yes', 'x' * 17, 'x' * 18, 'x' * 19,
              'one two three four five six seven eight nine ten eleven twelve thirteen']


def coca(name, width, correct):
    directory = f'{OUT}/{name}'
    os.makedirs(directory, exist_ok=True)
    vision = dict(image_size=SIZE, patch_size=8, width=width, layers=1, head_width=16, attentional_pool=True,
                  attn_pooler_heads=2, attn_pooler_queries=3, output_tokens=True)
    text = dict(context_length=20, vocab_size=len(vocabulary()), width=32, heads=2, layers=2, embed_cls=True,
                output_tokens=True)
    multimodal = dict(context_length=20, vocab_size=len(vocabulary()), width=32, heads=2, layers=1, attn_pooler_heads=2)
    cfg = dict(embed_dim=32, vision_cfg=vision, text_cfg=text, multimodal_cfg=multimodal, custom_text=True)
    plain = {k: v for k, v in json.loads(json.dumps(cfg)).items() if k != 'custom_text'}
    model = CoCa(**plain).eval()
    randomize(model, 6)
    for part in (model.text.cls_emb, model.visual.attn_pool.query):
        torch.nn.init.normal_(part, std=1.0, generator=torch.Generator().manual_seed(7))
    if correct:
        model.text.correct_cls_mask = text['correct_cls_mask'] = True
    state = {k: v for k, v in rounded(model, torch.float16).items() if not k.startswith('text_decoder.')}
    with torch.no_grad():
        image = model.encode_image(pixels([0.5] * 3, [0.5] * 3))
        words = model.encode_text(tokenize(COCA_TEXTS))
    configuration(directory, cfg)
    save_file(state, f'{directory}/open_clip_model.safetensors')
    save_texts(directory)
    own_texts(directory, COCA_TEXTS)
    write_answers(directory, image, words)


def main():
    gelu = dict(patch_size=8, embed_dim=48, depth=2, num_heads=2, mlp_ratio=3.7)
    tokenizers = {
        'siglip-timm': siglip_timm('siglip-timm', 'vit_base_patch16_siglip_224', save_t5, gelu, {}, 48),
        'siglip2-timm': siglip_timm('siglip2-timm', 'vit_giantopt_patch16_siglip_256', save_gemma,
                                    dict(patch_size=8, embed_dim=40, depth=2, num_heads=5, act_layer='gelu_tanh'),
                                    {'act_kwargs': {'approximate': 'tanh'}}, 40),
        'siglip-hf': siglip_hf('siglip-hf'),
    }
    coca('coca', 48, False)
    coca('coca-correct-mask', 32, True)
    with open(f'{OUT}/pieces.jsonl', 'w', encoding='utf-8') as f:
        for name, tokens in tokenizers.items():
            for text in TEXTS + MORE_TEXTS:
                # Normalised, it begins with a space, which SiglipTokenizer writes twice.
                if name == 'siglip-hf' and text == '\u00b4 \u00a8':
                    continue
                f.write(json.dumps({'model': name, 'text': text, 'ids': tokens([text])[0].tolist()}) + '\n')


if __name__ == '__main__':
    main()
