"""The report of a GPU run, of made-up results."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

REPORT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "report.py")

MACHINE = {"kind": "machine", "gpu": "NVIDIA H100 80GB HBM3", "driver": "580", "nvcc": "13.0", "commit": "abc",
           "date": "2026-11-24"}
SHAPE = {"tokens": 257, "heads": 16, "head_dim": 64, "batch": 8}


def model(engine, batch, ms, name="ViT-L/14", precision="bf16"):
    return {"kind": "model", "name": name, "engine": engine, "precision": precision, "batch": batch, "ms": ms,
            "latency_ms": ms, "images_per_second": batch / ms * 1e3, "tflops": 162.0 * batch / ms / 1e3}


def attention(engine, us, layout=None, **shape):
    return {"kind": "attention", "engine": engine, "us": us, "tflops": 1.0, "layout": layout, **SHAPE, **shape}


def preprocess(gb_s):
    return {"kind": "preprocess", "name": "kernel", "width": 1920, "height": 1080, "frames": 64, "patch": 14,
            "us": 50, "frames_per_second": 1e6, "gb_s": gb_s}


LIMITS = [{"kind": "limit", "name": "copy", "gb_s": 3000}, {"kind": "limit", "name": "product", "tflops": 800}]


class ReportTest(unittest.TestCase):
    def report(self, *files):
        with tempfile.TemporaryDirectory() as folder:
            paths = []
            for i, lines in enumerate(files):
                paths.append(os.path.join(folder, f"{i}.jsonl"))
                with open(paths[-1], "w", encoding="utf-8") as f:
                    for line in lines:
                        f.write(line if isinstance(line, str) else json.dumps(line) + "\n")
            result = subprocess.run([sys.executable, REPORT, "--directory", folder, *paths],
                                    capture_output=True, text=True, check=False)
            self.assertEqual(result.returncode, 0, result.stderr)
            name = result.stdout.strip()
            with open(os.path.join(folder, name + ".json"), encoding="utf-8") as f:
                data = json.load(f)
            with open(os.path.join(folder, name + ".md"), encoding="utf-8") as f:
                return name, data, f.read()

    def marks(self, *lines):
        """{its first word: met}"""
        _, data, _ = self.report([MACHINE], lines)
        return {mark["mark"]: mark["met"] for mark in data["marks"]}

    def test_name_and_machine(self):
        described = {"kind": "machine", "description": "NVIDIA H100, cuBLASLt 130100", "precision": "bf16"}
        name, data, text = self.report([MACHINE], [described])
        self.assertEqual(name, "2026-11-24-NVIDIA-H100-80GB-HBM3")
        self.assertEqual(data["machine"]["driver"], "580")
        self.assertIn("cuBLASLt 130100", text)

    def test_encoders_beside_pytorch(self):
        mark = "ViT-L/14, batch {}: PyTorch's time over ours"
        for batch, wanted in ((1, 1.2), (8, 1.2), (32, 1.1), (256, 1.1)):
            for factor in (0.99, 1.01):
                met = self.marks(model("cliptag", batch, 2.0), model("pytorch", batch, 2.0 * wanted * factor))
                self.assertEqual(met[mark.format(batch)], factor > 1, (batch, factor))
        # Another precision is no comparison, and what was not measured is neither met nor missed.
        met = self.marks(model("cliptag", 1, 2.0), model("cliptag", 1, 1.0, precision="fp16"))
        self.assertEqual([met[m] for m in met if "PyTorch" in m], [None])

    def test_share_of_the_product(self):
        mark = "ViT-L/14, batch 64: share of the largest product's rate"
        for tflops, expected in ((430, False), (450, True)):
            self.assertIs(self.marks(*LIMITS, {**model("cliptag", 64, 20), "tflops": tflops})[mark], expected)
        self.assertIsNone(self.marks()[mark])

    def test_attention_beside_cudnn(self):
        def met(ours, *others, **shape):
            found = self.marks(attention("cliptag", ours, **shape), *others)
            return next(v for k, v in found.items() if k.startswith("attention"))
        self.assertTrue(met(10, attention("cudnn", 11, "packed")))
        self.assertFalse(met(10, attention("cudnn", 11, "packed"), attention("cudnn", 9, "contiguous")))
        self.assertTrue(met(10, attention("cudnn", 8.5, "packed", tokens=577), tokens=577))
        self.assertFalse(met(10, attention("cudnn", 7.9, "packed", tokens=577), tokens=577))
        self.assertIsNone(met(10, attention("cudnn", None, "packed"), attention("flash", 5, "packed"),
                              attention("cudnn", 5, "packed", batch=64)))

    def test_preprocessing(self):
        for gb_s, expected in ((1790, False), (1810, True)):
            found = self.marks(*LIMITS, preprocess(gb_s))
            self.assertIs(next(v for k, v in found.items() if k.startswith("preprocessing")), expected)

    def test_the_last_of_the_same_counts_and_broken_lines_do_not(self):
        _, data, text = self.report(
            [MACHINE, *LIMITS],
            [{"kind": "check", "name": "operations", "status": "failed", "detail": ""}, '{"kind": "mod'],
            [{"kind": "check", "name": "operations", "status": "passed", "detail": "30 cases"},
             {"kind": "op", "name": "layer_norm", "model": "ViT-L/14", "batch": 64, "us": 100.0, "gb_s": 1500},
             {"kind": "engines", "pytorch": "2.11", "onnxruntime": False},
             model("cliptag", 64, 20)])
        self.assertEqual([c["status"] for c in data["check"]], ["passed"])
        self.assertIn("| layer_norm | ViT-L/14 | 64 | 100.0 | 1 500 | 50 % | – | – |", text)
        self.assertIn("| operations | passed | 30 cases |", text)
        self.assertIn("not measured", text)


if __name__ == "__main__":
    unittest.main()
