#!/usr/bin/env python3
"""`cliptag embed` and `classify` against what the reference implementations answered."""
import json
import os
import tempfile
import unittest

from tool import DATA, dot, read_npy, run, run_json

GOLDENS = os.path.join(DATA, "goldens")
PHOTOS = os.path.join(DATA, "photos")
EVAL = os.path.join(DATA, "starter")
# Lowest cosine to the reference. Rounding to bf16 costs three to four digits; photos go through our own
# decoding and preprocessing, ready-made pictures are the reference's.
BOUNDS = {"fp32": {"texts": 0.9999, "ready": 0.9999, "photos": 0.9995},
          "bf16": {"texts": 0.995, "ready": 0.998, "photos": 0.998}}


def models():
    return sorted(name for name in os.listdir(GOLDENS)
                  if os.path.exists(os.path.join(GOLDENS, name, "expected.json")))


class Goldens(unittest.TestCase):
    def rows(self, model, precision, *args):
        with tempfile.TemporaryDirectory(prefix="cliptag-test.") as folder:
            output = os.path.join(folder, "rows.npy")
            done = run("embed", "--model", model, "--precision", precision, "--output", output, *args)
            self.assertEqual(0, done.returncode, done.stderr)
            # One of the texts is longer than any context.
            self.assertEqual(1 if "--text" in args else 0, done.stderr.count("\n"), done.stderr)
            return read_npy(output)

    def check(self, kind, arguments, expected_file):
        for name in models():
            model = os.path.join(GOLDENS, name)
            with open(os.path.join(model, "expected.json")) as f:
                expected = json.load(f)
            reference = read_npy(os.path.join(model, expected_file))
            for precision, bounds in BOUNDS.items():
                with self.subTest(model=name, precision=precision):
                    rows = self.rows(model, precision, *arguments(model, expected))
                    self.assertEqual(len(reference), len(rows))
                    worst = min(dot(a, b) for a, b in zip(rows, reference))
                    print(f"{name} {precision} {kind}: worst cosine {worst:.6f}")
                    self.assertGreaterEqual(worst, bounds[kind])

    def test_texts(self):
        def arguments(_, expected):
            return [arg for text in expected["texts"] for arg in ("--text", text)]
        self.check("texts", arguments, "expected_text_embeddings.npy")

    def test_photos(self):
        self.check("photos", lambda _, expected: [os.path.join(PHOTOS, f) for f in expected["images"]],
                   "expected_image_embeddings.npy")

    def test_ready_made_pictures(self):
        def arguments(model, expected):
            size = run_json("models", "info", model, "--json")["image"]["size"]
            return [os.path.join(GOLDENS, "preprocess",
                                 f"{os.path.splitext(f)[0]}-shortest-crop-{size}.png")
                    for f in expected["images"]]
        self.check("ready", arguments, "expected_image_embeddings.npy")


class StarterEvaluation(unittest.TestCase):
    """The same answers as PyTorch's. A picture between two classes may fall to either: a different
    answer must be as good as the expected one."""

    def check(self, set_name, tie=0.004):
        with open(os.path.join(DATA, "models", "starter-answers.json")) as f:
            expected = json.load(f)
        answers = expected["sets"][set_name]["answers"]
        folder = os.path.join(EVAL, set_name)
        labels = sorted(name for name in os.listdir(folder)
                        if os.path.isdir(os.path.join(folder, name)))
        entries = run_json("classify", "--precision", "fp32", "--prompts", ";".join(labels),
                           "--templates", ";".join(expected["templates"][set_name]), "--json",
                           *[os.path.join(folder, f) for f in answers])
        self.assertEqual(len(answers), len(entries))
        different = 0
        for (file, answer), entry in zip(answers.items(), entries):
            cosines = {tag["label"]: tag["cosine"] for tag in entry["tags"]}
            best = entry["tags"][0]
            self.assertAlmostEqual(answer["cosine"], cosines[answer["answer"]], delta=tie, msg=file)
            if best["label"] != answer["answer"]:
                different += 1
                self.assertLess(best["cosine"] - cosines[answer["answer"]], tie, file)
        print(f"{set_name}: {len(answers) - different} of {len(answers)} answers equal")
        self.assertLessEqual(different, len(answers) // 100)

    def test_emoji(self):
        self.check("emoji")

    def test_clipart(self):
        self.check("clipart-heldout")


if __name__ == "__main__":
    unittest.main(verbosity=2)
