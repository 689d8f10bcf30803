"""The CPU benchmark with everything tiny: that it runs, and what it prints."""
import json
import math
import os
import subprocess
import sys
import tempfile
import unittest

BENCH = ""
OPERATIONS = ["gemm/patch", "gemm/qkv", "gemm/out", "gemm/fc1", "gemm/fc2", "gemm/projection", "attention",
              "attention_pooled", "layer_norm", "assemble_tokens", "embed_tokens", "gather_rows",
              "normalize_rows", "similarity_1000", "similarity_10000", "copy_to_host",
              "copy_from_host", "pack_linear"]


def run(*arguments, **environment):
    return subprocess.run([BENCH, *arguments], capture_output=True, text=True, check=False,
                          env={**os.environ, **environment})


class BenchTest(unittest.TestCase):
    def results(self, *arguments, **environment):
        done = run("--small", *arguments, **environment)
        self.assertEqual(0, done.returncode, done.stderr)
        return json.loads(done.stdout)

    def assert_numbers(self, value, where):
        """No number in it is negative, infinite or NaN."""
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(inner, (dict, list)):
                self.assert_numbers(inner, f"{where}.{key}")
            elif isinstance(inner, (int, float)):
                self.assertTrue(math.isfinite(inner) and inner >= 0, f"{where}.{key} is {inner}")
            else:
                self.assertIsInstance(inner, str, f"{where}.{key}")

    def test_every_operation_in_every_precision(self):
        report = self.results("--batch", "2")
        self.assertEqual({"machine", "limits", "results"}, set(report))
        self.assertTrue(report["machine"]["cpu"] and report["machine"]["date"])
        self.assertIn("commit", report["machine"])
        self.assertGreater(report["limits"]["fp32"]["gflops"], 0)
        self.assertGreater(report["limits"]["memory_gb_s"], 0)
        self.assert_numbers(report, "report")
        for precision in ("fp32", "bf16", "int8"):
            here = [r for r in report["results"] if r["precision"] == precision]
            if any(r["name"] == "backend" for r in here):
                self.assertEqual(["backend"], [r["name"] for r in here])
                self.assertTrue(here[0]["unsupported"])
                continue
            names = {r["name"] for r in here}
            for operation in OPERATIONS:
                self.assertIn(f"{operation}/tiny/2", names)
            for r in here:
                if "unsupported" in r:
                    continue
                self.assertGreater(r["ms"], 0, r)
                self.assertGreaterEqual(r["ms"], r["best_ms"], r)
                if r["name"].startswith("gemm/"):
                    self.assertGreater(r["gflops"], 0, r)
                    self.assertGreater(r["gb_s"], 0, r)
            for convolution in ("stem1", "stage1_in", "stage2_window", "stage4_out"):
                found = [r for r in here if r["name"] == f"convolution/{convolution}/tiny/2"]
                self.assertTrue(found and all(r["gflops"] > 0 for r in found), found)
            self.assertIn("average_pool/tiny/2", names)
            fc1 = [r["cache"] for r in here if r["name"] == "gemm/fc1/tiny/2"]
            self.assertEqual(["cold", "warm"], fc1)
            self.assertEqual(2, sum(n.startswith("preprocess/") for n in names))

    def test_a_model_has_a_profile_that_adds_up(self):
        for model in ("tiny", "starter"):
            report = self.results("--no-limits", "--filter", "model/", "--precision", "fp32", "--batch", "1",
                                  "--model", model, "--threads", "1")
            self.assertNotIn("limits", report)
            [result] = report["results"]
            self.assertEqual((f"model/{model}/1", "fp32", 1),
                             (result["name"], result["precision"], result["threads"]))
            self.assertGreater(result["images_per_second"], 0)
            shares = {row["operation"]: row["share"] for row in result["profile"]}
            self.assertAlmostEqual(1, sum(shares.values()), places=6)
            self.assertTrue({"patch embedding", "norms", "qkv", "attention", "out", "fc1", "fc2", "rest"}
                            <= set(shares), shares)
            calls = {row["operation"]: row["calls"] for row in result["profile"]}
            self.assertEqual(1, calls["patch embedding"])
            self.assertEqual(calls["fc1"], calls["fc2"])
            self.assertEqual(calls["fc1"], calls["attention"])

    def test_names_are_listed_and_filtered(self):
        done = run("--small", "--list", "--batch", "3", "--filter", "gemm/", "--filter", "model/")
        self.assertEqual(0, done.returncode, done.stderr)
        names = done.stdout.split()
        self.assertEqual(7, len(names), names)
        self.assertIn("gemm/qkv/tiny/3", names)
        self.assertIn("model/tiny/3", names)

    def test_json_goes_into_a_file(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "b.json")
            done = run("--small", "--no-limits", "--filter", "layer_norm", "--precision", "fp32", "--json", path)
            self.assertEqual((0, ""), (done.returncode, done.stdout))
            with open(path, encoding="utf-8") as f:
                self.assertEqual(["layer_norm/tiny/1", "layer_norm/tiny/8"],
                                 sorted({r["name"] for r in json.load(f)["results"]}))
            self.assertEqual(1, run("--small", "--no-limits", "--filter", "gather_rows", "--precision", "fp32",
                                    "--json", folder).returncode)

    def test_comparison_of_preprocessing(self):
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "compare_preprocess.py")
        done = subprocess.run([sys.executable, script, BENCH, "--small", "--rounds", "1", "--seconds", "0"],
                              capture_output=True, text=True, check=False)
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertRegex(done.stdout, r"cliptag, NV12 +\d+\.\d+ ms")

    def test_what_it_cannot_read(self):
        for arguments in (["--precision", "x"], ["--batch", "0"], ["--batch"], ["--x", "y"], ["--threads", "-1"]):
            done = run(*arguments)
            self.assertEqual(2, done.returncode, arguments)
            self.assertIn("usage", done.stderr)
        self.assertEqual(1, run("--small", "--no-limits", "--model", "no-such-model").returncode)


if __name__ == "__main__":
    BENCH = sys.argv.pop(1)
    unittest.main()
