"""tests/gpu/run.sh with everything that it calls made of paper: what it does with each outcome."""
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
SCRIPTS = ("run.sh", "report.py", "bench_torch.py", "complete_toolkit.py")
PASSES = "echo '[  PASSED  ] 12 tests.'"
BENCH = """echo '{"kind": "limit", "name": "copy", "gb_s": 4300}'
echo '{"kind": "limit", "name": "product", "tflops": 790}'"""
SANITIZER = """case $1 in --help) echo ' --kernel-name arg' ;; *) echo "$@" >>"$LOG"; shift $(($# - 2)); "$@" ;; esac"""


class RunTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        (self.root / "tests/gpu").mkdir(parents=True)
        for name in SCRIPTS:
            (self.root / "tests/gpu" / name).symlink_to(HERE / name)
        self.programs = self.root / "build-gpu/build/tests/gpu/device"
        self.put(self.programs / "gpu_backend_test", PASSES)
        self.put(self.programs / "gpu_goldens_test", PASSES)
        self.put(self.programs / "gpu_bench", BENCH)
        self.bin = self.root / "bin"
        self.put(self.bin / "nvidia-smi", "echo 'NVIDIA H200'")
        self.put(self.bin / "nvcc", "echo 'Cuda compilation tools, release 13.0, V13.0.88'")
        self.put(self.bin / "compute-sanitizer", SANITIZER)
        (self.root / ".gpu").mkdir()
        (self.root / ".gpu/commit").write_text("abcdef012345\n")
        self.out = self.root / "out"
        self.out.mkdir()

    def put(self, path, script):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/bash\n" + script + "\n")
        path.chmod(0o755)

    def run_stages(self, *stages, **environment):
        result = subprocess.run(
            ["bash", str(self.root / "tests/gpu/run.sh"), *stages], capture_output=True, text=True, check=False,
            env={**os.environ, "PATH": f"{self.bin}:{os.environ['PATH']}", "OUT": str(self.out),
                 "LOG": str(self.root / "log"), "GIT_DIR": "/nowhere", **environment})
        return result.returncode, result.stdout + result.stderr

    def checks(self):
        lines = (self.root / "build-gpu/results/checks.jsonl").read_text().splitlines()
        return {check["name"]: (check["status"], check["detail"]) for check in map(json.loads, lines)}

    def test_all_goes_well(self):
        code, text = self.run_stages("test", "sanitize", "bench", "report")
        self.assertEqual(code, 0, text)
        self.assertIn("nothing failed", text)
        checks = self.checks()
        for name in ("operations", "goldens", "memcheck", "racecheck", "synccheck"):
            self.assertEqual(checks[name], ("passed", "12 cases"))
        calls = (self.root / "log").read_text().splitlines()
        self.assertEqual(["kernel_substring=cliptag" in call for call in calls], [False, True, True])
        self.assertEqual(["=-*Gemm*" in call for call in calls], [False, True, True])
        self.assertEqual([call.split()[1] for call in calls], ["memcheck", "racecheck", "synccheck"])
        [report] = (self.root / "tests/gpu/results").glob("*.json")
        data = json.loads(report.read_text())
        self.assertEqual((data["machine"]["gpu"], data["machine"]["nvcc"], data["machine"]["commit"]),
                         ("NVIDIA H200", "13.0", "abcdef012345"))
        self.assertEqual(len(data["limit"]), 2)
        brought = {path.name for path in self.out.iterdir()}
        self.assertLessEqual(len(brought), 8)  # what a lent machine gives back
        self.assertLessEqual({report.name, report.stem + ".md", "log.txt", "cliptag.jsonl"}, brought)

    def test_a_failing_test_fails_the_run_and_not_the_rest(self):
        self.put(self.programs / "gpu_backend_test", "echo '[  FAILED  ] 1 test'; exit 1")
        code, text = self.run_stages("test", "bench", "report")
        self.assertEqual(code, 1, text)
        self.assertIn("failed: operations", text)
        self.assertEqual(self.checks()["operations"], ("failed", "exit status 1"))
        self.assertEqual(self.checks()["goldens"][0], "passed")
        self.assertIn("| operations | failed |", next((self.root / "tests/gpu/results").glob("*.md")).read_text())

    def test_no_test_at_all_is_a_failure(self):
        self.put(self.programs / "gpu_goldens_test", "echo 'skipped: no driver'; exit 77")
        self.put(self.programs / "gpu_backend_test", "echo '[  PASSED  ] 0 tests.'")
        self.assertEqual(self.run_stages("test")[0], 1)
        self.assertEqual({status for status, _ in self.checks().values()}, {"failed"})

    def test_a_sanitizer_that_cannot_work_is_skipped(self):
        self.put(self.bin / "compute-sanitizer", "echo 'Error: Device not supported. '; exit 1")
        code, text = self.run_stages("sanitize")
        self.assertEqual(code, 0, text)
        self.assertEqual([status for status, _ in self.checks().values()], ["skipped"] * 3)

    def test_what_a_sanitizer_finds_fails(self):
        self.put(self.bin / "compute-sanitizer", PASSES + "; echo '= ERROR SUMMARY: 3 errors'; exit 1")
        code, text = self.run_stages("sanitize")
        self.assertEqual(code, 1, text)
        self.assertIn("ERROR SUMMARY: 3 errors", text)

    def test_a_benchmark_that_breaks_off_leaves_what_it_has(self):
        self.put(self.programs / "gpu_bench", BENCH + "; echo 'out of memory' >&2; exit 1")
        code, text = self.run_stages("bench", "report")
        self.assertEqual(code, 1, text)
        self.assertIn("out of memory", text)
        self.assertIn("790 TFLOP/s", next((self.root / "tests/gpu/results").glob("*.md")).read_text())

    def test_the_time_is_kept(self):
        self.put(self.programs / "gpu_backend_test", "sleep 60")
        code, text = self.run_stages("test", GPU_RUN_SECONDS="11")
        self.assertEqual(code, 1, text)
        self.assertEqual(self.checks()["operations"], ("failed", "exit status 124"))

    def test_without_a_gpu(self):
        self.put(self.bin / "nvidia-smi", "exit 9")
        code, text = self.run_stages("test", "bench")
        self.assertEqual(code, 77, text)
        self.assertIn("no NVIDIA GPU", text)

    def test_without_nvcc_or_what_was_gathered(self):
        (self.programs / "gpu_bench").unlink()
        (self.root / "tests/gpu/collect.sh").write_text("echo 'run ./pipelines/setup.sh first' >&2; exit 1\n")
        (self.root / "tests/gpu/collect.sh").chmod(0o755)
        code, text = self.run_stages("bench")
        self.assertEqual(code, 1, text)
        self.assertIn("setup.sh", text)
        self.assertEqual(self.checks()["build"][0], "failed")

    def test_help_and_unknown_stages(self):
        code, text = self.run_stages("--help")
        self.assertEqual(code, 0)
        self.assertIn("compute-sanitizer", text)
        self.assertEqual(self.run_stages("build", "x")[0], 2)


if __name__ == "__main__":
    unittest.main()
