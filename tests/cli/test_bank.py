#!/usr/bin/env python3
"""Prompt banks of the `cliptag` command: written, brought from elsewhere, used, and refused."""
import json
import math
import os
import struct
import unittest

import tool
from tool import SOURCE, FolderCase, dot, read_npy, run, run_json, run_ok

TINY = os.path.join(SOURCE, "tests", "data", "models", "hf")


def write_npy(path, rows, code="f", fortran=False, dtype=None):
    """Rows as numpy saves them."""
    dtype = dtype or {"e": "<f2", "f": "<f4", "d": "<f8"}[code]
    header = "{'descr': '%s', 'fortran_order': %s, 'shape': (%d, %d), }" % (dtype, fortran, len(rows), len(rows[0]))
    rows = list(zip(*rows)) if fortran else rows
    header = header.ljust(117) + "\n"
    with open(path, "wb") as f:
        f.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
        for row in rows:
            f.write(struct.pack(f"<{len(row)}{code}", *row))


def read_bank(path):
    """Labels and rows of a bank, read as any reader of safetensors would."""
    with open(path, "rb") as f:
        data = f.read()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + length])
    tensor = header["embeddings"]
    rows, dim = tensor["shape"]
    begin, end = (8 + length + offset for offset in tensor["data_offsets"])
    values = struct.unpack(f"<{rows * dim}f", data[begin:end])
    prompts = json.loads(header["__metadata__"]["prompts"])
    return ([tag["label"] for tag in prompts["tags"]],
            [values[i * dim:(i + 1) * dim] for i in range(rows)], header["__metadata__"])


class Banks(FolderCase):
    def test_a_bank_answers_as_its_prompts_do(self):
        prompts = self.write("p.json", json.dumps(
            {"templates": ["an emoji of a {}.", "a {}"], "background": ["a wall", "sky"],
             "tags": [{"label": "fire", "prompts": ["fire", "flames"], "negative": ["a lamp"]},
                      {"label": "dog"}, {"label": "car"}]}))
        bank = self.at("bank.safetensors")
        run_ok("bank", "export", "--prompts-file", prompts, "--output", bank)
        picture = tool.write_png(self.at("a.png"), 1)
        for scoring in ("contrast", "softmax", "cosine"):
            answers = [run_json("classify", "--prompts-file", file, "--scoring", scoring, "--json", picture)[0]
                       for file in (prompts, bank)]
            for of_text, of_bank in zip(*(answer["tags"] for answer in answers)):
                self.assertEqual(of_text["label"], of_bank["label"])
                self.assertAlmostEqual(of_text["score"], of_bank["score"], places=5)
                self.assertAlmostEqual(of_text["cosine"], of_bank["cosine"], places=5)

    def test_rows_are_the_texts_embeddings(self):
        bank = self.at("bank.safetensors")
        run_ok("bank", "export", "--prompts", "cat; dog", "--templates", "a {}", "--output", bank)
        run_ok("embed", "--text", "a cat", "--text", "a dog", "--output", self.at("t.npy"))
        labels, rows, metadata = read_bank(bank)
        self.assertEqual(["cat", "dog"], labels)
        for row, wanted in zip(rows, read_npy(self.at("t.npy"))):
            self.assertGreater(dot(row, wanted), 0.999999)
        info = run_json("bank", "info", bank, "--json")
        self.assertEqual("starter", info["model"])
        self.assertEqual(metadata["model_identity"], info["model_identity"])
        self.assertEqual(["a {}"], info["templates"])
        self.assertEqual(["cat", "dog"], info["labels"])
        self.assertIn("cat; dog", run_ok("bank", "info", bank))

    def test_another_models_bank_is_refused(self):
        bank = self.at("bank.safetensors")
        run_ok("bank", "export", "--model", TINY, "--prompts", "cat", "--output", bank)
        picture = tool.write_png(self.at("a.png"), 1)
        self.assert_complains(run("classify", "--prompts-file", bank, picture), bank,
                              "was made for the model hf", "not for starter")

    def test_import_for_a_model_and_for_an_identity(self):
        run_ok("embed", "--text", "a cat", "--text", "a dog", "--output", self.at("t.npy"))
        rows = [[3 * value for value in row] for row in read_npy(self.at("t.npy"))]
        labels = self.write("labels.txt", "cat\ndog\n")
        run_ok("bank", "export", "--prompts", "cat; dog", "--templates", "a {}", "--output",
               self.at("wanted.safetensors"))
        wanted = read_bank(self.at("wanted.safetensors"))
        for code, model, fortran in (("f", "starter", False), ("d", wanted[2]["model_identity"], False),
                                     ("e", "starter", False), ("f", "starter", True), ("d", "starter", True)):
            write_npy(self.at("e.npy"), rows, code, fortran)
            run_ok("bank", "import", "--embeddings", self.at("e.npy"), "--labels", labels, "--for-model", model,
                   "--templates", "a {}", "--output", self.at("b.safetensors"))
            found = read_bank(self.at("b.safetensors"))
            self.assertEqual(wanted[0], found[0])
            self.assertEqual(wanted[2]["model_identity"], found[2]["model_identity"])
            for row, other in zip(wanted[1], found[1]):
                self.assertGreater(dot(row, other), 0.99999)

    def test_what_cannot_be_imported(self):
        labels = self.write("labels.txt", "cat\ndog\n")

        def arguments(rows=((1, 2), (3, 4)), model="a" * 64, labels=labels, code="f"):
            write_npy(self.at("e.npy"), rows, code)
            return ["bank", "import", "--embeddings", self.at("e.npy"), "--labels", labels, "--for-model", model,
                    "--output", self.at("b.safetensors")]

        self.assert_complains(run(*arguments(rows=[(1, 2)])), "e.npy has 1 rows", "2 labels")
        whole = arguments()
        write_npy(self.at("e.npy"), ((1, 2), (3, 4)), "i", dtype="<i4")
        self.assert_complains(run(*whole), "e.npy holds numbers of type '<i4'", "astype('<f4')")
        self.assert_complains(run(*arguments(model="starter")), "rows of 2 numbers", "starter makes")
        self.assert_complains(run(*arguments(model="nobody")), "There is no model 'nobody'")
        self.assert_complains(run(*arguments(model="A" * 64)), "There is no model")
        self.assert_complains(run(*arguments(rows=[(1, 2), (0, 0)])), "dog", "no direction")
        self.assert_complains(run(*arguments(rows=[(1, 2), (math.nan, 0)])), "dog", "no direction")
        self.assert_complains(run(*arguments(labels=self.at("none.txt"))), "none.txt")
        for data, part in ((b"hello", "no NPY file"), (b"\x93NUMPY\x01\x00\xff\xff", "no NPY file"),
                           (b"\x93NUMPY\x01\x00\xff\xff{}", "within its header")):
            right = arguments()
            with open(self.at("e.npy"), "wb") as f:
                f.write(data)
            self.assert_complains(run(*right), "e.npy", part)
        for old, new, part in ((b"<f4", b"<i4", "numbers of type"), (b"(2, 2)", b"(2,  )", "no matrix"),
                               (b"(2, 2)", b"(9, 9)", "truncated"),
                               (b"(2, 2)", b"(-2,2)", "no matrix")):
            right = arguments()
            with open(self.at("e.npy"), "rb") as f:
                data = f.read()
            with open(self.at("e.npy"), "wb") as f:
                f.write(data.replace(old, new))
            self.assert_complains(run(*right), "e.npy", part)
        self.assertFalse(os.path.exists(self.at("b.safetensors")))

    def test_what_cannot_be_exported_or_used(self):
        prompts = self.write("p.json", '{"tags": [{"label": "x", "images": ["x.png"]}]}')
        tool.write_png(self.at("x.png"), 1)
        self.assert_complains(run("bank", "export", "--prompts-file", prompts, "--output", self.at("b")),
                              "\"x\" has pictures")
        self.assert_complains(run("bank", "export", "--prompts", "x", "--output", self.at("none", "b")),
                              "none/b")
        self.assert_complains(run("bank", "info", os.path.join(TINY, "model.safetensors")), "is no prompt bank")
        self.assert_complains(run("bank", "info", self.at("none")), "none")
        os.mkdir(self.at("footage"))
        os.mkdir(self.at("footage", "cat"))
        tool.write_png(self.at("footage", "cat", "1.png"), 1)
        run_ok("bank", "export", "--prompts", "cat", "--output", self.at("b.safetensors"))
        self.assert_complains(run("eval", "--calibrate", "--prompts-file", self.at("b.safetensors"), "--dataset",
                                  self.at("footage"), "--output", self.at("o.json")), "into the bank")

    def test_the_element_takes_a_bank(self):
        for model, fits in (("starter", True), (TINY, False)):
            bank = self.at("bank.safetensors")
            run_ok("bank", "export", "--model", model, "--prompts", "zebra; lighthouse", "--output", bank)
            line = (f"videotestsrc num-buffers=1 ! videoconvert ! cliptag mode=exact prompts-file={bank} "
                    "! fakesink")
            done = self.launch("-m", *line.split())
            if fits:
                self.assertEqual(0, done.returncode, done.stderr)
                self.assertIn("zebra", done.stdout)
                self.assertIn("lighthouse", done.stdout)
            else:
                self.assertNotEqual(0, done.returncode)
                self.assertIn("was made for the model hf", done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
