#!/usr/bin/env python3
"""Writes tests/data/models/starter-answers.json: what the starter says of the pictures of tests/data/starter,
in transformers and PyTorch, fp32. To be run whenever models/starter changes.

Made with transformers 5.24.0 and torch 2.15. Needs those; the tests need only what it wrote.
Usage: make_starter_answers.py [MODEL [OUTPUT]]
"""
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
sys.path.insert(0, os.path.join(HERE, "..", "cli"))

from compare_eval import Reference  # noqa: E402
from tool import DATA  # noqa: E402

EVAL = os.path.join(DATA, "starter")
TEMPLATES = {
    "emoji": ["a picture of a {}.", "an emoji of a {}.", "a {} icon."],
    "clipart-heldout": ["a drawing of a {}.", "a clip art of a {}.", "an illustration of a {}."],
}


def answers(reference, name):
    folder = os.path.join(EVAL, name)
    labels = sorted(os.listdir(folder))
    files = [f"{label}/{file}" for label in labels for file in sorted(os.listdir(os.path.join(folder, label)))]
    texts = reference.texts([t.format(label) for label in labels for t in TEMPLATES[name]])
    classes = reference.unit(texts.view(len(labels), len(TEMPLATES[name]), -1).mean(1))
    cosines = reference.images([os.path.join(folder, file) for file in files]) @ classes.T
    order = cosines.argsort(dim=1, descending=True)
    own = [labels.index(file.partition("/")[0]) for file in files]
    right = sum(row[0] == label for row, label in zip(order.tolist(), own))
    return {"classes": len(labels), "pictures": len(files),
            "top1": round(right / len(files), 4),
            "answers": {file: {"answer": labels[row[0]], "cosine": round(cosine.max().item(), 5)}
                        for file, row, cosine in zip(files, order.tolist(), cosines)}}


def main():
    model = sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, "models", "starter")
    output = sys.argv[2] if len(sys.argv) > 2 else os.path.join(ROOT, "tests", "data", "models",
                                                                "starter-answers.json")
    reference = Reference(model)
    sets = {name: answers(reference, name) for name in TEMPLATES}
    with open(output, "w", encoding="utf-8") as f:
        json.dump({"reference": "transformers, PyTorch fp32; a class is the mean of the unit vectors of its templates, "
                                "renormalised; answer = argmax of cosine", "templates": TEMPLATES, "sets": sets}, f,
                  indent=0)
        f.write("\n")
    for name, found in sets.items():
        print(f"{name}: top-1 {found['top1']:.1%}")


if __name__ == "__main__":
    main()
