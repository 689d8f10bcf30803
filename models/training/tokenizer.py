"""CLIP's byte-level BPE, token for token as cliptag's C++ has it (models/text/tokenizer.cc).

Texts are cleaned as open_clip cleans them, but for ftfy's guessing of wrong encodings, which cliptag
leaves out.
"""
import functools
import html
import json
import os

import ftfy
import regex

MAX_TEXT_BYTES = 16384  # longer texts are cut before anything else, as in models/text/text_clean.h
BOS, EOS = '<|startoftext|>', '<|endoftext|>'


def clean(text):
    text = text.encode('utf-8', 'replace')[:MAX_TEXT_BYTES].decode('utf-8', 'ignore')
    text = ftfy.fix_text(text, fix_encoding=False)
    text = html.unescape(html.unescape(text))
    return ' '.join(text.split()).lower()


@functools.lru_cache
def byte_symbols():
    """The printable character that stands for each byte, in the order of the vocabulary."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    symbols = {b: chr(b) for b in printable}
    for b in range(256):
        if b not in symbols:
            symbols[b] = chr(256 + len(symbols) - len(printable))
    return symbols


class Tokenizer:
    """vocab: token -> id. merges: pairs of tokens, the most frequent first."""

    def __init__(self, vocab, merges, context, bos=BOS, eos=EOS):
        for token in (bos, eos, 'a</w>'):
            if token not in vocab:
                raise ValueError(f'The vocabulary lacks the token "{token}"; only CLIP\'s BPE is supported.')
        if context < 2:
            raise ValueError(f'A context of {context} tokens is too short for any text.')
        self.vocab, self.merges, self.context = vocab, merges, context
        self.bos, self.eos = bos, eos
        self.ranks = {pair: i for i, pair in enumerate(merges)}
        self.pattern = regex.compile(
            '|'.join(map(regex.escape, (bos, eos)))
            + r"|'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+", regex.IGNORECASE)
        self.words = {}

    @property
    def bos_id(self):
        return self.vocab[self.bos]

    @property
    def eos_id(self):
        return self.vocab[self.eos]

    def word(self, word):
        """The ids of one word; merges the best pair, everywhere in it, until none is left."""
        if word in self.words:
            return self.words[word]
        parts = [byte_symbols()[b] for b in word.encode('utf-8')]
        parts[-1] += '</w>'
        while len(parts) > 1:
            best = min(zip(parts, parts[1:]), key=lambda pair: self.ranks.get(pair, len(self.ranks)))
            if best not in self.ranks:
                break
            merged, i = [], 0
            while i < len(parts):
                if tuple(parts[i:i + 2]) == best:
                    merged.append(parts[i] + parts[i + 1])
                    i += 2
                else:
                    merged.append(parts[i])
                    i += 1
            parts = merged
        ids = [self.vocab.get(part, self.eos_id) for part in parts]
        if len(self.words) < 1_000_000:
            self.words[word] = ids
        return ids

    def split(self, text):
        """The words and marks that are tokenized each by itself."""
        return self.pattern.findall(clean(text))

    def encode(self, text):
        """(ids, end): `context` ids padded with 0, and where the first end token stands."""
        ids = [self.bos_id]
        for word in self.split(text):
            ids += [self.vocab[word]] if word in (self.bos, self.eos) else self.word(word)
        ids.append(self.eos_id)
        if len(ids) > self.context:
            ids = ids[:self.context - 1] + [self.eos_id]
        return ids + [0] * (self.context - len(ids)), ids.index(self.eos_id)

    def save(self, directory):
        with open(os.path.join(directory, 'vocab.json'), 'w', encoding='utf-8') as f:
            json.dump(self.vocab, f, ensure_ascii=False)
        with open(os.path.join(directory, 'merges.txt'), 'w', encoding='utf-8') as f:
            f.write('#version: 0.2\n' + ''.join(f'{a} {b}\n' for a, b in self.merges))
        with open(os.path.join(directory, 'tokenizer_config.json'), 'w', encoding='utf-8') as f:
            json.dump({'tokenizer_class': 'CLIPTokenizer', 'bos_token': self.bos, 'eos_token': self.eos,
                       'pad_token': self.eos, 'unk_token': self.eos, 'model_max_length': self.context,
                       'do_lower_case': True}, f, indent=1)


def first_merges(merges, count):
    """The vocabulary that the first `count` merges make, numbered as CLIP's."""
    symbols = list(byte_symbols().values())
    tokens = symbols + [s + '</w>' for s in symbols] + [a + b for a, b in merges[:count]] + [BOS, EOS]
    return {token: i for i, token in enumerate(tokens)}


def read(directory, context, merge_count=0):
    """The tokenizer of a model directory with vocab.json and merges.txt; `merge_count` > 0 keeps only the
    first so many merges, for a smaller vocabulary."""
    paths = [os.path.join(directory, name) for name in ('vocab.json', 'merges.txt')]
    for path in paths:
        if not os.path.exists(path):
            raise ValueError(f'{directory} has no {os.path.basename(path)}; a tokenizer needs vocab.json and '
                             'merges.txt (models/starter has the first 8,000 merges of CLIP\'s).')
    with open(paths[0], encoding='utf-8') as f:
        vocab = json.load(f)
    with open(paths[1], encoding='utf-8') as f:
        lines = [line.rstrip('\n') for line in f]
    pairs = [tuple(line.split(' ')) for line in lines if line and not line.startswith('#version')]
    bad = [pair for pair in pairs if len(pair) != 2]
    if bad:
        raise ValueError(f'{paths[1]}: a merge is two tokens with a space between them, not '
                         f'"{" ".join(bad[0])}".')
    if merge_count > len(pairs):
        raise ValueError(f'{paths[1]} has {len(pairs)} merges, fewer than the {merge_count} asked for.')
    if merge_count:
        pairs = pairs[:merge_count]
        vocab = first_merges(pairs, merge_count)
    names = {'bos_token': BOS, 'eos_token': EOS}
    for file in ('special_tokens_map.json', 'tokenizer_config.json'):
        path = os.path.join(directory, file)
        if os.path.exists(path) and not merge_count:
            with open(path, encoding='utf-8') as f:
                said = json.load(f)
            for key in names:
                value = said.get(key)
                value = value.get('content') if isinstance(value, dict) else value
                names[key] = value or names[key]
    return Tokenizer(vocab, pairs, context, names['bos_token'], names['eos_token'])
