"""The recipes in pipelines/: each runs, on pictures that are made up, and says so when it cannot."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = os.path.abspath(os.environ.get("CLIPTAG_SOURCE_ROOT",
                                      os.path.join(os.path.dirname(__file__), "..", "..")))
SERVER = os.path.join(ROOT, "tests", "pipelines", "rtsp_server.py")
TIMEOUT_S = 120


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class RecipeTest(unittest.TestCase):
    def setUp(self):
        if not shutil.which("gst-launch-1.0"):
            self.skipTest("no gst-launch-1.0 here")
        folder = tempfile.TemporaryDirectory(prefix="cliptag-test.")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.environment = dict(os.environ, CLIPTAG_PROMPTS="moon; car", CLIPTAG_TEST_FRAMES="25",
                                CLIPTAG_RATE="10/1")
        if preload := os.environ.get("CLIPTAG_PRELOAD"):
            self.environment["LD_PRELOAD"] = preload

    def start(self, *args, **environment):
        """Of a process group of its own, ended after the test."""
        process = subprocess.Popen(args, cwd=self.folder, stdin=subprocess.DEVNULL, text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
                                   env={**self.environment, **environment})
        self.addCleanup(self.end, process)
        return process

    @staticmethod
    def end(process):
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
        for pipe in (process.stdout, process.stderr):
            pipe.close()

    def recipe(self, name, *args, **environment):
        return self.start(os.path.join(ROOT, "pipelines", name), *args, **environment)

    def run_recipe(self, name, *args, code=0, **environment):
        """stdout and stderr of a recipe that ends by itself."""
        process = self.recipe(name, *args, **environment)
        out, err = process.communicate(timeout=TIMEOUT_S)
        self.assertEqual(code, process.returncode, out + err)
        return out, err

    def rows(self, name):
        path = os.path.join(self.folder, name)
        if not os.path.exists(path):
            return []
        with open(path, encoding="utf-8") as f:
            # The last line may be half written.
            return [json.loads(line) for line in f if line.endswith("\n")]

    def wait_for(self, condition, what):
        end = time.monotonic() + TIMEOUT_S
        while not condition():
            self.assertLess(time.monotonic(), end, f"waited in vain for {what}")
            time.sleep(0.05)


class CameraTest(RecipeTest):
    def serve(self, port):
        python = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
        server = self.start(python, SERVER, str(port), LD_PRELOAD="")
        if server.stdout.readline() != "ready\n":
            if server.wait() == 77:
                self.skipTest(server.stderr.read().strip())
            self.fail(server.stderr.read())
        return server

    def test_a_camera_that_goes_and_comes_back(self):
        port = free_port()
        server = self.serve(port)
        camera = self.recipe("camera.sh", f"rtsp://127.0.0.1:{port}/camera", "tags.jsonl",
                             CLIPTAG_RETRY="0.2 1", CLIPTAG_SILENCE="2000")
        self.wait_for(lambda: len(self.rows("tags.jsonl")) >= 3, "the first tags")
        self.assertEqual("moon", self.rows("tags.jsonl")[0]["tags"][0]["label"])
        self.end(server)
        line = camera.stderr.readline()
        while line and "broke off" not in line:
            line = camera.stderr.readline()
        self.assertIn("again in 0.2 s", line)
        seen = len(self.rows("tags.jsonl"))
        time.sleep(1)  # some tries in vain
        self.serve(port)
        self.wait_for(lambda: len(self.rows("tags.jsonl")) >= seen + 3, "tags after it had come back")
        camera.send_signal(signal.SIGTERM)
        self.assertEqual(0, camera.wait(TIMEOUT_S))
        # It has taken what it had started with it.
        with self.assertRaises(ProcessLookupError):
            os.killpg(camera.pid, 0)

    def test_pauses_grow_up_to_the_longest(self):
        out, err = self.run_recipe("camera.sh", f"rtsp://127.0.0.1:{free_port()}/camera",
                                   CLIPTAG_RETRY="0.1 0.3", CLIPTAG_TRIES="5")
        pauses = [line.split()[-2] for line in err.splitlines() if "broke off" in line]
        self.assertEqual(["0.1", "0.2", "0.3", "0.3"], pauses, err)

    def test_a_picture_that_moves(self):
        out, _ = self.run_recipe("camera.sh", "test", "tags.jsonl", CLIPTAG_TRIES="1")
        self.assertGreaterEqual(len(self.rows("tags.jsonl")), 3)
        self.assertIn("moon", out)

    def test_errors(self):
        for args, part in [(("no-such-file.mp4",), "no-such-file.mp4"), (("a", "b", "c"), "no more")]:
            with self.subTest(args=args):
                out, err = self.run_recipe("camera.sh", *args, code=1)
                self.assertEqual(1, len(err.splitlines()), err)
                self.assertIn(part, err)


class MosaicTest(RecipeTest):
    def test_four_tagged_pictures_in_one(self):
        path = os.path.join(self.folder, "mosaic.jpg")
        self.run_recipe("mosaic.sh", *["test"] * 4,
                        CLIPTAG_SINK=f"jpegenc snapshot=true ! filesink location={path}")
        with open(path, "rb") as f:
            self.assertEqual(b"\xff\xd8", f.read(2))
        self.assertGreater(os.path.getsize(path), 5000)

    def test_errors(self):
        out, err = self.run_recipe("mosaic.sh", "test", "test", code=1)
        self.assertIn("four sources, not 2", err)


class ManyTest(RecipeTest):
    def test_every_camera_is_tagged(self):
        out, _ = self.run_recipe("many.sh", "6")
        # The first line, before a second camera is known, has no name yet.
        self.assertGreaterEqual(len(set(re.findall(r"(?m)^camera[1-6] ", out))), 5, out)

    def test_sixty_four_by_default(self):
        out, _ = self.run_recipe("many.sh", "--print", CLIPTAG_SIZE="1280x720")
        self.assertEqual(64, out.count(" cliptag "))
        self.assertEqual(64, out.count("width=1280\\,height=720"))
        self.assertIn("name=camera64", out)

    def test_errors(self):
        for args, environment, part in [(("none",), {}, "none"), (("0",), {}, "0 is no number"),
                                        (("2",), {"CLIPTAG_SIZE": "large"}, "large")]:
            with self.subTest(args=args):
                out, err = self.run_recipe("many.sh", *args, code=1, **environment)
                self.assertIn(part, err)


class ArchiveTest(RecipeTest):
    def test_files_one_after_the_other(self):
        out, err = self.run_recipe("archive.sh", "test", CLIPTAG_OUT=".", CLIPTAG_INTERVAL="5",
                                   CLIPTAG_TEST_FRAMES="100")
        rows = self.rows("test.tags.jsonl")
        self.assertEqual(20, len(rows))
        self.assertEqual(list(range(0, 100, 5)), [row["frame"] for row in rows])
        self.assertIn("20 looks", err)

    def test_one_that_cannot_be_read_does_not_stop_the_others(self):
        broken = os.path.join(self.folder, "broken.mp4")
        with open(broken, "w") as f:
            f.write("no video")
        out, err = self.run_recipe("archive.sh", "gone.mp4", broken, "test", CLIPTAG_OUT=".", code=1)
        self.assertIn("there is no file gone.mp4", err)
        self.assertIn("broken.mp4: ", err)
        self.assertIn("2 of 3 could not be tagged", err)
        self.assertEqual(3, len(self.rows("test.tags.jsonl")))
        self.assertEqual(["broken.mp4", "test.tags.jsonl"], sorted(os.listdir(self.folder)))


class SplitTest(RecipeTest):
    def test_sources_are_dealt_out(self):
        out, err = self.run_recipe("split.sh", "local", "test", "test", "test")
        streams = {row["stream"] for i in range(1, 4) for row in self.rows(f"tags-{i}.jsonl")}
        self.assertEqual({"source1", "source2", "source3"}, streams)

    def test_from_one_machine_to_another(self):
        port = free_port()
        receiver = self.recipe("split.sh", "receive", str(port), "tags.jsonl", CLIPTAG_TRIES="1")

        def listens():
            with socket.socket() as s:
                s.settimeout(1)
                # Bound and not connected to: a connection would be the one that it serves.
                try:
                    s.bind(("0.0.0.0", port))
                except OSError:
                    return True
            return False
        self.wait_for(listens, "the receiver")
        self.run_recipe("split.sh", "send", f"127.0.0.1:{port}", "test", CLIPTAG_TEST_FRAMES="75")
        self.assertEqual(0, receiver.wait(TIMEOUT_S), "the receiver")
        rows = self.rows("tags.jsonl")
        self.assertGreaterEqual(len(rows), 5)
        self.assertEqual("moon", rows[-1]["tags"][0]["label"])
        self.assertLess(rows[-1]["pts"], 1e12)

    def test_errors(self):
        for args, part in [(("fly",), "local, send or receive"), (("local",), "SOURCE"),
                           (("send", "nowhere", "test"), "HOST:PORT"), (("receive", "x"), "no port")]:
            with self.subTest(args=args):
                out, err = self.run_recipe("split.sh", *args, code=1)
                self.assertIn(part, err)


class HelpTest(RecipeTest):
    def test_every_recipe_explains_itself(self):
        for name in ("camera.sh", "mosaic.sh", "many.sh", "archive.sh", "split.sh"):
            with self.subTest(name=name):
                out, err = self.run_recipe(name, "--help")
                self.assertEqual("", err)
                self.assertIn(f"pipelines/{name}", out)
                self.assertIn("CLIPTAG_MODEL", out)


if __name__ == "__main__":
    unittest.main(verbosity=2)
