"""Runs the built `cliptag` as a user does, reads and makes the small files its tests need, and is what
these tests have in common. Only Python's own library."""
import json
import math
import os
import random
import shutil
import struct
import subprocess
import tempfile
import unittest
import zlib

SOURCE = os.environ.get("CLIPTAG_SOURCE_ROOT", os.path.join(os.path.dirname(__file__), "..", ".."))
DATA = os.path.join(SOURCE, "tests", "data")
TOOL = os.path.join(os.environ.get("CLIPTAG_BUILD_ROOT", os.path.join(SOURCE, "build")),
                    "plugin", "cli", "cliptag")
TIMEOUT_S = 120


def run(*args, **kwargs):
    """The finished process; stdout and stderr as text."""
    return subprocess.run([TOOL, *map(str, args)], capture_output=True, text=True, timeout=TIMEOUT_S,
                          stdin=subprocess.DEVNULL, **kwargs)


def run_ok(*args, **kwargs):
    """stdout of a run that must succeed and must not complain."""
    done = run(*args, **kwargs)
    assert done.returncode == 0, f"{args}: exit {done.returncode}: {done.stderr}"
    assert not done.stderr, f"{args} said: {done.stderr}"
    return done.stdout


def run_json(*args, **kwargs):
    return json.loads(run_ok(*args, **kwargs))


def read_npy(path):
    """The rows of a two-dimensional NPY 1.0 file of floats in C order."""
    with open(path, "rb") as f:
        data = f.read()
    assert data[:8] == b"\x93NUMPY\x01\x00", data[:8]
    length = struct.unpack("<H", data[8:10])[0]
    assert (10 + length) % 64 == 0
    header = eval(data[10:10 + length], {"__builtins__": {}})
    assert header["fortran_order"] is False
    rows, columns = header["shape"]
    code = {"<f2": "e", "<f4": "f", "<f8": "d"}[header["descr"]]
    body = data[10 + length:]
    assert len(body) == rows * columns * struct.calcsize(code), "length and shape disagree"
    values = struct.unpack(f"<{rows * columns}{code}", body)
    return [values[i * columns:(i + 1) * columns] for i in range(rows)]


def dot(a, b):
    return math.fsum(x * y for x, y in zip(a, b))


def write_png(path, seed, width=60, height=40, channels=3, cut=None):
    """A picture of a few random rectangles; `cut` leaves only that many bytes of the file."""
    rng = random.Random(seed)
    rows = [bytearray(rng.randrange(256) for _ in range(channels)) * width for _ in range(height)]
    for _ in range(6):
        colour = bytes(rng.randrange(256) for _ in range(channels))
        x, y = rng.randrange(width), rng.randrange(height)
        w, h = rng.randrange(1, width - x + 1), rng.randrange(1, height - y + 1)
        for row in rows[y:y + h]:
            row[x * channels:(x + w) * channels] = colour * w

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, {1: 0, 3: 2, 4: 6}[channels], 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    data += chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows))) + chunk(b"IEND", b"")
    with open(path, "wb") as f:
        f.write(data[:cut])
    return path


def write_video(path, frames):
    """VP8 at ten frames per second; None where this machine cannot make one."""
    launch = shutil.which("gst-launch-1.0")
    if not launch:
        return None
    line = (f"videotestsrc num-buffers={frames} ! video/x-raw,width=64,height=48,framerate=10/1 ! vp8enc"
            f" deadline=1 ! webmmux ! filesink location={path}")
    made = subprocess.run([launch, "-q", *line.split()], capture_output=True, timeout=TIMEOUT_S)
    return path if made.returncode == 0 else None


class FolderCase(unittest.TestCase):
    """Each test has a folder of its own, which is gone after it."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="cliptag-test.")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def at(self, *names):
        return os.path.join(self.folder, *names)

    def write(self, name, text):
        path = self.at(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def launch(self, *args):
        """What gst-launch-1.0 did, with the plugin that was built; skips where there is none."""
        gst_launch = shutil.which("gst-launch-1.0")
        if not gst_launch:
            self.skipTest("no gst-launch-1.0 here")
        environment = dict(os.environ)
        if preload := environment.get("CLIPTAG_PRELOAD"):
            environment["LD_PRELOAD"] = preload
        return subprocess.run([gst_launch, *args], capture_output=True, text=True, env=environment, timeout=120)

    def assert_complains(self, done, *parts, code=1):
        """Failed with one sentence that holds all parts."""
        self.assertEqual(code, done.returncode, done.stderr)
        lines = done.stderr.splitlines()
        self.assertEqual(1, len(lines), done.stderr)
        self.assertTrue(lines[0].startswith("cliptag: error: "), lines[0])
        for part in parts:
            self.assertIn(part, lines[0])
