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

    def serve(self, port):
        python = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
        server = self.start(python, SERVER, str(port), LD_PRELOAD="")
        if server.stdout.readline() != "ready\n":
            if server.wait() == 77:
                self.skipTest(server.stderr.read().strip())
            self.fail(server.stderr.read())
        return server


class CameraTest(RecipeTest):
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
        for _ in range(3):  # tries in vain
            while " again in " not in line:
                line = camera.stderr.readline()
                self.assertTrue(line, "the camera has ended")
            line = ""
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
        pauses = [line.split()[-2] for line in err.splitlines() if "again in" in line]
        self.assertEqual(["0.1", "0.2", "0.3", "0.3"], pauses, err)

    def test_a_picture_that_moves(self):
        out, _ = self.run_recipe("camera.sh", "test", "tags.jsonl", CLIPTAG_TRIES="1")
        self.assertGreaterEqual(len(self.rows("tags.jsonl")), 3)
        self.assertIn("moon", out)

    def test_tags_on_disk(self):
        with open(os.path.join(self.folder, "tags.jsonl"), "w", encoding="utf-8") as f:
            f.write('{"yesterday": true}\n')
        self.run_recipe("camera.sh", "test", "tags.jsonl", CLIPTAG_TRIES="2", CLIPTAG_RETRY="0.1 0.1",
                        CLIPTAG_NAME="gate")
        first, *rows = self.rows("tags.jsonl")
        self.assertEqual({"yesterday": True}, first)
        self.assertEqual({1, 2}, {row["run"] for row in rows})
        self.assertEqual({"gate"}, {row["stream"] for row in rows})
        for field in ("pts", "time"):
            values = [row[field] for row in rows if "tags" in row]
            self.assertEqual(sorted(values), values)
        self.assertEqual(["start", "end"] * 2, [row["state"] for row in rows if "state" in row])
        # The first run is of one second: the second begins after it, not at 0. Which frame a slow machine looks
        # at first is not said.
        self.assertGreater(min(row["pts"] for row in rows if row["run"] == 2), 10**9)

    def test_rotation(self):
        self.run_recipe("camera.sh", "test", "tags.jsonl", CLIPTAG_TRIES="1", CLIPTAG_ROTATE="1k 2")
        self.assertEqual(["tags.jsonl", "tags.jsonl.1", "tags.jsonl.2"], sorted(os.listdir(self.folder)))

    def test_every_line_is_there_when_it_is_killed(self):
        camera = self.recipe("camera.sh", "test", "tags.jsonl", CLIPTAG_TEST_FRAMES="-1")
        shown = [camera.stdout.readline() for _ in range(2)]
        os.killpg(camera.pid, signal.SIGKILL)
        self.assertTrue(self.rows("tags.jsonl"), shown)

    def test_a_file_that_cannot_be_written_is_told_and_not_the_camera(self):
        gone = f"rtsp://127.0.0.1:{free_port()}/camera"
        _, err = self.run_recipe("camera.sh", gone, "/nowhere/tags.jsonl", CLIPTAG_MODEL="starter", code=1)
        self.assertEqual("camera.sh: cannot write /nowhere/tags.jsonl: No such file or directory",
                         err.splitlines()[-1])
        self.assertNotIn("broke off", err)

    def test_a_full_disk_is_told(self):
        out, err = self.run_recipe("camera.sh", "test", "/dev/full", CLIPTAG_TRIES="1", code=1)
        self.assertEqual(1, err.count("camera.sh: cannot write /dev/full: No space left on device"))
        self.assertIn("moon", out)

    def test_the_password_is_not_told(self):
        port = free_port()
        for source in (f"rtsp://me:secret@127.0.0.1:{port}/x", f"http://127.0.0.1:{port}/x?user=me&password=secret",
                       f"rtsp://127.0.0.1:{port}/user=me&password=secret&channel=1"):
            with self.subTest(source=source):
                out, err = self.run_recipe("camera.sh", source, CLIPTAG_TRIES="2", CLIPTAG_RETRY="0.1 0.1")
                self.assertIn("broke off", err)
                self.assertIn(str(port), err)
                self.assertNotIn("secret", out + err)
        out, err = self.run_recipe("mosaic.sh", "--print", *[f"rtsp://me:secret@127.0.0.1:{port}/x"] * 4)
        self.assertIn("rtspsrc", out)
        self.assertNotIn("secret", out + err)

    def test_what_is_wrong_with_the_model_is_not_the_cameras_fault(self):
        _, err = self.run_recipe("camera.sh", "test", CLIPTAG_MODEL="no-such-model", code=1)
        self.assertIn("no-such-model", err)
        self.assertNotIn("broke off", err)

    def test_silence_is_told(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            source = f"rtsp://127.0.0.1:{silent.getsockname()[1]}/camera"
            _, err = self.run_recipe("camera.sh", source, CLIPTAG_SILENCE="300", CLIPTAG_TRIES="2",
                                     CLIPTAG_RETRY="0.1 0.1")
        self.assertEqual(2, err.count(f"{source} broke off after"), err)
        self.assertIn("no frame for 0.3 s; again in 0.1 s", err)

    def test_a_crash_begins_anew(self):
        camera = self.recipe("camera.sh", "test", "tags.jsonl", CLIPTAG_TEST_FRAMES="-1")
        self.wait_for(lambda: self.rows("tags.jsonl"), "the first tags")
        with open(f"/proc/{camera.pid}/task/{camera.pid}/children", encoding="utf-8") as f:
            os.kill(int(f.read().split()[0]), signal.SIGKILL)
        seen = len(self.rows("tags.jsonl"))
        self.wait_for(lambda: len(self.rows("tags.jsonl")) > seen + 1, "tags after a crash")
        camera.send_signal(signal.SIGTERM)
        _, err = camera.communicate(timeout=TIMEOUT_S)
        self.assertEqual(0, camera.returncode)
        self.assertIn("signal 9 ended it", err)

    def test_the_starter_is_not_for_cameras(self):
        _, err = self.run_recipe("camera.sh", f"rtsp://127.0.0.1:{free_port()}/x", CLIPTAG_TRIES="1")
        self.assertIn("cliptag models pull wkcn/TinyCLIP-ViT-8M-16-Text-3M-YFCC15M --name tinyclip", err)
        _, err = self.run_recipe("camera.sh", "test", CLIPTAG_TRIES="1")
        self.assertNotIn("models pull", err)

    def test_a_closed_pipe_ends_it(self):
        camera = self.recipe("camera.sh", "test", CLIPTAG_TEST_FRAMES="-1")
        camera.stdout.readline()
        camera.stdout.close()
        self.assertEqual(0, camera.wait(TIMEOUT_S))
        self.assertNotIn("Traceback", camera.stderr.read())

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

    def test_one_that_cannot_be_reached_leaves_the_others(self):
        port = free_port()
        film = os.path.join(self.folder, "mosaic.yuv")
        width, height = 64, 32  # enough to find the ball
        frame_bytes = width * height * 3 // 2
        mosaic = self.recipe("mosaic.sh", f"rtsp://me:secret@127.0.0.1:{port}/camera", *["test"] * 3,
                             CLIPTAG_RETRY="0.1 0.2", CLIPTAG_TEST_FRAMES="-1", CLIPTAG_SINK=
                             f"videoscale ! video/x-raw,format=I420,width={width},height={height} ! filesink buffer-mode=unbuffered "
                             f"location={film}")

        def bright():
            """Of the four quarters: whether the last whole frame has light in it."""
            frames = os.path.getsize(film) // frame_bytes if os.path.exists(film) else 0
            if frames == 0:
                return []
            with open(film, "rb") as f:
                f.seek((frames - 1) * frame_bytes)
                luma = f.read(width * height)
            return [max(luma[width * (y + i) + x + j] for i in range(height // 2) for j in range(width // 2)) > 60
                    for y in (0, height // 2) for x in (0, width // 2)]
        self.wait_for(lambda: bright() == [False, True, True, True], "three pictures of four")
        self.serve(port)
        self.wait_for(lambda: bright() == [True] * 4, "the fourth")
        mosaic.send_signal(signal.SIGTERM)
        _, err = mosaic.communicate(timeout=TIMEOUT_S)
        self.assertEqual(0, mosaic.returncode, err)
        self.assertIn("rtsp://***@127.0.0.1", err)
        self.assertNotIn("secret", err)

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
        looks = [row["frame"] for row in rows if "tags" in row]
        self.assertEqual(list(range(0, 100, 5)), looks)
        self.assertEqual({"start", "end"}, {row["state"] for row in rows if "tags" not in row})
        self.assertIn("20 looks", err)
        # Another time leaves what is there.
        self.run_recipe("archive.sh", "test", CLIPTAG_OUT=".", CLIPTAG_INTERVAL="5", CLIPTAG_TEST_FRAMES="100")
        again = self.rows("test.tags.jsonl")
        self.assertEqual(rows, again[:len(rows)])
        self.assertEqual(2 * len(rows), len(again))

    def test_one_that_cannot_be_read_does_not_stop_the_others(self):
        broken = os.path.join(self.folder, "broken.mp4")
        with open(broken, "w") as f:
            f.write("no video")
        # gst-launch, which waits for ever on this one now and then, is not asked.
        empty = os.path.join(self.folder, "an empty one.mp4")
        open(empty, "w").close()
        out, err = self.run_recipe("archive.sh", "gone.mp4", broken, empty, "test", CLIPTAG_OUT=".", code=1)
        self.assertIn("there is no file gone.mp4", err)
        self.assertIn("broken.mp4: ", err)
        self.assertIn("an empty one.mp4 is empty", err)
        self.assertIn("3 of 4 could not be tagged", err)
        self.assertEqual(3, len([row for row in self.rows("test.tags.jsonl") if "tags" in row]))
        self.assertEqual(["an empty one.mp4", "broken.mp4", "test.tags.jsonl"], sorted(os.listdir(self.folder)))

    def test_tags_that_cannot_be_kept_are_told(self):
        for tags, why in (("gone/test.tags.jsonl", "No such file or directory"),
                          ("full/test.tags.jsonl", "No space left on device")):
            with self.subTest(tags=tags):
                os.makedirs(os.path.join(self.folder, "full"), exist_ok=True)
                if not os.path.lexists(os.path.join(self.folder, "full", "test.tags.jsonl")):
                    os.symlink("/dev/full", os.path.join(self.folder, "full", "test.tags.jsonl"))
                _, err = self.run_recipe("archive.sh", "test", CLIPTAG_OUT=os.path.dirname(tags), code=1)
                self.assertIn(f"cannot write {tags}: {why}", err)
                self.assertIn("1 of 1 could not be tagged", err)


class LanguageTest(RecipeTest):
    def test_what_the_readme_pipes(self):
        # C.UTF-8 is everywhere, and gettext takes LANGUAGE there; where a translation is not installed
        # gst-launch speaks English, which test_print_tags.py does not rest on.
        line = ("gst-launch-1.0 -m videotestsrc num-buffers=10 pattern=ball ! video/x-raw,width=320,height=240 ! "
                f"cliptag name=gate prompts='moon; car' background='car' ! fakesink | "
                f"{ROOT}/pipelines/print_tags.py --json tags.jsonl")
        for language in ("de", "zh_CN", "eu"):
            with self.subTest(language=language):
                process = self.start("bash", "-c", line, LANGUAGE=language, LC_ALL="C.UTF-8")
                out, err = process.communicate(timeout=TIMEOUT_S)
                self.assertIn("moon", out)
                self.assertIn('warning: gate: The tag "car" is a background prompt', err)
        looks = [row["frame"] for row in self.rows("tags.jsonl") if "tags" in row]
        self.assertEqual(list(range(10)) * 3, looks)

    def test_recipes(self):
        with open(os.path.join(self.folder, "broken.mp4"), "w", encoding="utf-8") as f:
            f.write("no video")
        _, err = self.run_recipe("archive.sh", "broken.mp4", code=1, LANGUAGE="de", LC_ALL="C.UTF-8")
        self.assertRegex(err, r"broken\.mp4: .*\w")
        self.assertNotIn("not all of its tags", err)


class SplitTest(RecipeTest):
    def test_one_that_cannot_be_reached_leaves_the_others(self):
        gone = f"rtsp://me:secret@127.0.0.1:{free_port()}/camera"
        out, err = self.run_recipe(
            "split.sh", "local", gone, "test", "test", CLIPTAG_RETRY="0.1 0.2", CLIPTAG_TRIES="3",
            CLIPTAG_PROMPTS_3="dog", CLIPTAG_THRESHOLD="0", CLIPTAG_METRICS="cliptag.prom")
        self.assertIn("rtsp://***@127.0.0.1", err)
        self.assertIn("again in 0.2 s", err)
        self.assertNotIn("secret", out + err)
        rows = [row for i in range(1, 4) for row in self.rows(f"tags-{i}.jsonl") if "tags" in row]
        labels = {row["stream"]: {tag["label"] for tag in row["tags"]} for row in rows}
        self.assertEqual({"source2": {"moon", "car"}, "source3": {"dog"}}, labels)
        self.assertTrue(all(tag["active"] for row in rows if row["stream"] == "source3" for tag in row["tags"]))

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
                # The starter knows no real footage, and many.sh has none.
                if name != "many.sh":
                    self.assertIn("cliptag models pull", out)

    def test_lines_of_real_footage_name_a_model(self):
        lines = []
        for path in ("README.md", "pipelines/README.md"):
            with open(os.path.join(ROOT, path), encoding="utf-8") as f:
                lines += f.read().replace("\\\n", "").splitlines()
        real = [line for line in lines if line.startswith("gst-launch-1.0") and
                re.search(r"in\.mp4|v4l2src|rtspsrc|uri=", line)]
        self.assertGreater(len(real), 8)
        for line in real:
            self.assertRegex(line, r" cliptag .*model=(?!starter)", line)
        self.assertIn("cliptag models pull wkcn/TinyCLIP-ViT-8M-16-Text-3M-YFCC15M --name tinyclip", lines)


if __name__ == "__main__":
    unittest.main(verbosity=2)
