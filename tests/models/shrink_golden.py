#!/usr/bin/env python3
"""Makes a golden model of full picture size small enough for tests/data/goldens without changing any answer.

    shrink_golden.py GOLDEN OUTPUT VOCABULARY IMAGE...     VOCABULARY: a folder with CLIP's vocab.json and merges.txt

Most of such a model is the embedding of 49,408 tokens, of which the texts in expected.json use a hundred. The others
go, and with them their merges: the merges that remain make the same tokens of these texts, in the same order. The
expected embeddings are the reference's, of the pictures named alone. Needs only NumPy.
"""
import json
import os
import re
import shutil
import struct
import sys

import numpy as np

SPECIAL = ["<|startoftext|>", "<|endoftext|>"]
EMBEDDINGS = ("token_embedding.weight", "text_model.embeddings.token_embedding.weight")
# Enough of CLIP's pattern for the texts at hand, which the golden tests then hold to the reference.
WORDS = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d|[^\W\d_]+|\d|(?:[^\s\w]|_)+")


def letters():
    """GPT-2's printable letter of each byte."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in plain]
    return {**{b: chr(b) for b in plain}, **{b: chr(256 + i) for i, b in enumerate(others)}}


def merge(word, ranks, used):
    parts = [*word[:-1], word[-1] + "</w>"]
    while len(parts) > 1:
        rank, i = min((ranks.get(pair, len(ranks)), i) for i, pair in enumerate(zip(parts, parts[1:])))
        if rank == len(ranks):
            break
        used.add(rank)
        parts[i:i + 2] = [parts[i] + parts[i + 1]]
    return parts


def read_safetensors(path):
    with open(path, "rb") as f:
        data = f.read()
    length, = struct.unpack("<Q", data[:8])
    header, body = json.loads(data[8:8 + length]), data[8 + length:]
    return header, {name: body[slice(*entry["data_offsets"])] for name, entry in header.items()
                    if name != "__metadata__"}


def write_safetensors(path, header, tensors):
    at = 0
    for name, content in tensors.items():
        header[name]["data_offsets"] = [at, at + len(content)]
        at += len(content)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(tensors.values()))


def shrink_vocabulary(folder, texts):
    """(old ids of what is kept, the new vocabulary, its merges)."""
    with open(os.path.join(folder, "vocab.json"), encoding="utf-8") as f:
        vocabulary = json.load(f)
    with open(os.path.join(folder, "merges.txt"), encoding="utf-8") as f:
        merges = [tuple(line.split()) for line in f.read().split("\n")[1:] if line]
    letter_of, used = letters(), set()
    ranks = {pair: rank for rank, pair in enumerate(merges)}
    for text in texts:
        for word in WORDS.findall(text.lower()):
            merge([letter_of[b] for b in word.encode()], ranks, used)
    kept = [merges[rank] for rank in sorted(used)]
    names = {*letter_of.values(), *(letter + "</w>" for letter in letter_of.values()),
             *(left + right for left, right in kept), *SPECIAL}
    old = sorted(vocabulary[name] for name in names)
    name_of = {number: name for name, number in vocabulary.items()}
    return old, {name_of[number]: i for i, number in enumerate(old)}, kept


def shrink_config(path, size):
    with open(path, encoding="utf-8") as f:
        config = json.load(f)
    text = config["model_cfg"]["text_cfg"] if "model_cfg" in config else config["text_config"]
    text["vocab_size"] = size
    if "bos_token_id" in text:
        text["bos_token_id"], text["eos_token_id"] = size - 2, size - 1
    return config


def main():
    golden, output, vocabulary, *images = sys.argv[1:]
    os.makedirs(output)
    with open(os.path.join(golden, "expected.json"), encoding="utf-8") as f:
        expected = json.load(f)
    old, names, merges = shrink_vocabulary(vocabulary, expected["texts"])

    def write_json(name, content, **how):
        with open(os.path.join(output, name), "w", encoding="utf-8") as f:
            json.dump(content, f, ensure_ascii=False, **how)
            f.write("\n")

    for name in sorted(os.listdir(golden)):
        path = os.path.join(golden, name)
        if name.endswith(".safetensors"):
            header, tensors = read_safetensors(path)
            embedding, = [tensor for tensor in tensors if tensor in EMBEDDINGS]
            rows = len(tensors[embedding]) // header[embedding]["shape"][0]
            tensors[embedding] = b"".join(tensors[embedding][i * rows:(i + 1) * rows] for i in old)
            header[embedding]["shape"][0] = len(old)
            write_safetensors(os.path.join(output, name), header, tensors)
        elif name in ("config.json", "open_clip_config.json"):
            write_json(name, shrink_config(path, len(old)), indent=1)
        elif name == "expected_image_embeddings.npy":
            rows = [expected["images"].index(image) for image in images]
            np.save(os.path.join(output, name), np.load(path)[rows])
        elif name not in ("vocab.json", "merges.txt", "expected.json"):
            shutil.copyfile(path, os.path.join(output, name))
    write_json("expected.json", {"images": images, "texts": expected["texts"],
                                 "logit_scale": expected["logit_scale"]}, indent=1)
    write_json("vocab.json", names)
    with open(os.path.join(output, "merges.txt"), "w", encoding="utf-8") as f:
        f.write("#version: 0.2\n" + "".join(f"{left} {right}\n" for left, right in merges))


if __name__ == "__main__":
    main()
