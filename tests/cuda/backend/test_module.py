#!/usr/bin/env python3
"""The plugin and the tool with the CUDA backend: over the stand-in for CUDA ($CLIPTAG_CUDA_MODULE), and what
the real module says on a machine without a GPU or without CUDA's libraries."""
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = os.environ["CLIPTAG_SOURCE_ROOT"]
BUILD = os.environ["CLIPTAG_BUILD_ROOT"]
sys.path.insert(0, os.path.join(ROOT, "tests", "cli"))
from tool import TOOL, dot, read_npy, run, run_ok, write_png  # noqa: E402

PLUGIN = os.path.join(BUILD, "plugin", "elements", "libgstcliptag.so")
REAL_MODULE = os.path.join(BUILD, "kernels", "cuda", "libcliptag_cuda.so")
# Emulated kernels are slow, and slower with a sanitizer.
LONGEST = 240 if "CLIPTAG_PRELOAD" not in os.environ else 2400
LIBRARIES = re.compile(r"NEEDED.*\[lib(cuda|cublas|cudnn|nv)")


def needed(path):
    return subprocess.run(["readelf", "-d", path], capture_output=True, text=True, check=True).stdout


def environment(**changes):
    return {**os.environ, **changes}


class Plugin(unittest.TestCase):
    def test_links_no_library_of_cuda(self):
        for path in (PLUGIN, TOOL):
            self.assertIsNone(LIBRARIES.search(needed(path)), path)

    def test_tags_frames_on_the_stand_in(self):
        done = subprocess.run(
            ["gst-launch-1.0", "-m", "videotestsrc", "num-buffers=2", "!",
             "video/x-raw,format=NV12,width=160,height=120", "!", "cliptag", "backend=cuda",
             "prompts=car; dog", "background=a wall", "!", "fakesink"],
            capture_output=True, text=True, timeout=LONGEST,
            env=environment(LD_PRELOAD=os.environ.get("CLIPTAG_PRELOAD", "")))
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertEqual(2, len(re.findall(r"\): cliptag, ", done.stdout)), done.stdout)


class Tool(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="cliptag-test.")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def rows(self, backend, *args):
        output = os.path.join(self.folder, "rows.npy")
        run_ok("embed", "--backend", backend, "--output", output, *args)
        return read_npy(output)

    def test_gives_the_cpus_embeddings(self):
        picture = write_png(os.path.join(self.folder, "a.png"), seed=1, width=200, height=120)
        for args in ([picture], ["--text", "a dog", "--text", ""]):
            cuda, cpu = self.rows("cuda", *args), self.rows("cpu", *args)
            self.assertEqual(len(cpu), len(cuda))
            for a, b in zip(cuda, cpu):
                self.assertGreater(dot(a, b), 0.999)

    def test_says_which_backend_it_takes(self):
        for settings, backend in (("", "cuda"), ("devices=0", "cpu")):
            out = run_ok("bench", "--seconds", 0.05, "--batch", 1, "--json",
                         env=environment(CLIPTAG_STANDIN=settings))
            self.assertEqual(backend, json.loads(out)["backend"])

    def complaint(self, **changes):
        done = run("bench", "--backend", "cuda", "--seconds", 0.05, env=environment(**changes))
        self.assertEqual(1, done.returncode, done.stdout)
        self.assertEqual(1, len(done.stderr.splitlines()), done.stderr)
        return done.stderr

    def test_says_what_is_missing(self):
        self.assertIn("no NVIDIA GPU", self.complaint(CLIPTAG_STANDIN="devices=0"))
        self.assertIn("NVIDIA driver supports at most CUDA 11.4", self.complaint(CLIPTAG_STANDIN="driver=11040"))
        self.assertIn("MiB", self.complaint(CLIPTAG_STANDIN="memory_mb=40"))
        self.assertIn("/no/such.so", self.complaint(CLIPTAG_CUDA_MODULE="/no/such.so"))


@unittest.skipUnless(os.path.exists(REAL_MODULE), "the CUDA toolkit is not here: no real module was built")
class RealModule(Tool):
    def test_gives_the_cpus_embeddings(self):
        self.skipTest("needs a GPU: tests/gpu/run.sh")

    def test_says_which_backend_it_takes(self):
        """Without a driver, auto takes the CPU."""
        if os.path.exists("/dev/nvidia0"):
            self.skipTest("this machine has a GPU")
        out = run_ok("bench", "--seconds", 0.05, "--json", env=environment(CLIPTAG_CUDA_MODULE=REAL_MODULE))
        self.assertEqual("cpu", json.loads(out)["backend"])

    def test_says_what_is_missing(self):
        if not os.path.exists("/dev/nvidia0"):
            self.assertIn("NVIDIA", self.complaint(CLIPTAG_CUDA_MODULE=REAL_MODULE))
        # A library of CUDA that cannot be loaded, found before the real one.
        library = re.search(r"NEEDED.*\[(libcublasLt[^]]*)\]", needed(REAL_MODULE)).group(1)
        open(os.path.join(self.folder, library), "w", encoding="ascii").close()
        hidden = environment(CLIPTAG_CUDA_MODULE=REAL_MODULE, LD_LIBRARY_PATH=self.folder)
        done = run("bench", "--backend", "cuda", "--seconds", 0.05, env=hidden)
        self.assertEqual(1, done.returncode)
        self.assertIn("The CUDA backend cannot be loaded", done.stderr)
        self.assertIn(library, done.stderr)
        run_ok("bench", "--seconds", 0.05, env=hidden)


if __name__ == "__main__":
    unittest.main(verbosity=2)
