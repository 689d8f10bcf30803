#!/usr/bin/env python3
"""Writes tests/data/models/added_tokens.json: tokens added to the vocabulary of tests/data/models/hf, and
what transformers' tokenizer makes of texts with them.

Made with transformers 5.24.0, which it needs (no torch). Usage: make_added_tokens.py tests/data/models
"""
import json
import sys
import tempfile

from transformers import AddedToken, CLIPTokenizer

TEXTS = ['a photo of a cat', 'a photo of <cat-toy>', 'a <my style> dog', 'a <MY Style> dog', '<my  style>',
         'x<cat-toy>y!!<cat>z', '<cat-toy><cat-toy>', '<big-one> <BIG-ONE> <Big-One>', '<|Pad|> <|pad|>',
         'the <cat toy>', '<cat', '', 'zed zeds azed Zed zed.', '<Raw> <raw> <RAW>', "a<Raw>'s zed"]


def main():
    models = sys.argv[1]
    tokenizer = CLIPTokenizer.from_pretrained(f'{models}/hf')
    tokenizer.add_tokens(['<cat-toy>', '<my style>', '<cat>', '<Big-One>', AddedToken('zed', single_word=True),
                          AddedToken('<Raw>', normalized=False)])
    tokenizer.add_special_tokens({'additional_special_tokens': ['<|Pad|>']})
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        with open(f'{folder}/tokenizer.json') as f:
            added = json.load(f)['added_tokens']
    texts = [{'text': text, 'ids': tokenizer(text)['input_ids'][1:-1]} for text in TEXTS]
    with open(f'{models}/added_tokens.json', 'w') as f:
        lines = lambda items: ',\n'.join('  ' + json.dumps(item) for item in items)
        f.write(f'{{"added_tokens": [\n{lines(added)}],\n "texts": [\n{lines(texts)}]}}\n')


if __name__ == '__main__':
    main()
