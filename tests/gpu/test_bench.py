"""The GPU benchmark over the stand-in for CUDA, with everything tiny: that it runs, and what it prints."""
import json
import os
import subprocess
import sys
import unittest

BENCH = ""


def run(*arguments, **environment):
    return subprocess.run([BENCH, *arguments], capture_output=True, text=True, check=False,
                          env={**os.environ, **environment})


class BenchTest(unittest.TestCase):
    def test_every_part(self):
        result = run("--small")
        self.assertEqual(result.returncode, 0, result.stderr)
        lines = [json.loads(line) for line in result.stdout.splitlines()]
        self.assertEqual(lines[0]["kind"], "machine")
        self.assertIn("Stand-in GPU", lines[0]["description"])
        self.assertEqual({line["kind"] for line in lines},
                         {"machine", "limit", "op", "attention", "preprocess", "model"})
        for line in lines[1:]:
            for key, value in line.items():
                if isinstance(value, (int, float)):
                    self.assertGreater(value, 0, line)
                self.assertIsNotNone(value, f"{key} of {line}")
        self.assertEqual([line["batch"] for line in lines if line["kind"] == "model"], [1, 2])
        self.assertEqual({line["name"] for line in lines if line["kind"] == "op"},
                         {"layer_norm", "assemble_tokens", "normalize_rows", "product_qkv", "product_out",
                          "product_up", "product_down", "activation", "gather_rows", "attention_pooled",
                          "embed_tokens", "attention_text", "similarity"})

    def test_one_part_of_one_model(self):
        result = run("--small", "--part", "models", "--model", "tiny", "--batch", "3", "--precision", "fp16")
        self.assertEqual(result.returncode, 0, result.stderr)
        machine, model = [json.loads(line) for line in result.stdout.splitlines()]
        self.assertEqual(machine["precision"], "fp16")
        self.assertEqual((model["name"], model["batch"], model["precision"]), ("tiny", 3, "fp16"))

    def test_without_a_gpu(self):
        result = run("--small", CLIPTAG_STANDIN="devices=0")
        self.assertEqual(result.returncode, 77)
        self.assertIn("This machine has no NVIDIA GPU", result.stdout)

    def test_what_it_cannot_read(self):
        for arguments in (["--model", "ViT-Z"], ["--part", "x"], ["--batch", "0"], ["--batch"], ["--x", "y"]):
            result = run(*arguments)
            self.assertEqual(result.returncode, 2, arguments)
            self.assertTrue(result.stderr, arguments)


if __name__ == "__main__":
    BENCH = sys.argv.pop(1)
    unittest.main()
