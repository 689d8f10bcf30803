"""The demo's scene: drawn as its truth says, and tagged right by the plugin with the starter model.

Each thing's tag is active all the time that the thing is well inside the picture, and no tag is ever
active without its thing in the picture.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = os.environ.get("CLIPTAG_SOURCE_ROOT", os.path.join(os.path.dirname(__file__), "..", ".."))
PIPELINES = os.path.abspath(os.path.join(ROOT, "pipelines"))
sys.path.insert(0, PIPELINES)
try:
    import make_scene
    import print_tags
except ImportError as error:
    print(f"needs python3-pil: {error}")
    sys.exit(77)  # meson's status for a skipped test

# Seconds. VP8 and YUV shift a score a little: a tag may begin this much late or end this much early.
MARGIN = 0.1


def wrongs(truth, rows, margin=MARGIN):
    """What the tags in `rows` (fields of the bus messages) have wrong, a sentence each."""
    found = []
    frame_s = 1 / truth["fps"]
    if len(rows) != truth["frames"]:
        found.append(f"{len(rows)} inferences for {truth['frames']} frames")
    things = {thing["label"]: thing for thing in truth["things"]}
    for row in rows:
        time = row["pts"] / 1e9
        active = {t["label"] for t in row["tags"] if t["active"]}
        for label, thing in things.items():
            inside = thing["from"] + margin <= time <= thing["to"] - margin - frame_s
            if inside and label not in active:
                found.append(f"{time:.2f} s: {label} is in the picture and not tagged")
        for label in active:
            thing = things.get(label)
            if not thing or not thing["seen_from"] <= time < thing["seen_to"]:
                found.append(f"{time:.2f} s: {label} is tagged and not in the picture")
    return found


class TruthTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scene = make_scene.Scene()
        cls.truth = cls.scene.truth()

    def test_one_thing_at_a_time(self):
        end = 0
        self.assertGreaterEqual(len(self.truth["things"]), 5)
        for thing in self.truth["things"]:
            with self.subTest(thing=thing["label"]):
                self.assertLess(end, thing["seen_from"])
                self.assertLessEqual(thing["seen_from"], thing["from"])
                self.assertLess(thing["from"] + 1, thing["to"])
                self.assertLessEqual(thing["to"], thing["seen_to"])
                end = thing["seen_to"]
        self.assertLess(end, self.truth["duration"])

    def test_nothing_is_drawn_outside_of_what_is_seen(self):
        for thing in self.truth["things"]:
            with self.subTest(thing=thing["label"]):
                first = round(thing["seen_from"] * make_scene.FPS)
                last = round(thing["seen_to"] * make_scene.FPS) - 1
                for number, drawn in ((first - 1, False), (first, True), (last, True),
                                      (last + 1, False)):
                    ground = self.scene.ground(number / make_scene.FPS)
                    same = self.scene.frame(number).tobytes() == ground.tobytes()
                    self.assertEqual(drawn, not same, f"frame {number}")

    def test_the_same_seed_draws_the_same(self):
        number = round(21.5 * make_scene.FPS)  # noise, and a thing on it
        frame = self.scene.frame(number).tobytes()
        self.assertEqual(frame, make_scene.Scene().frame(number).tobytes())
        self.assertNotEqual(frame, make_scene.Scene(seed=2).frame(number).tobytes())


class WrongsTest(unittest.TestCase):
    """The check itself can fail."""

    truth = {"fps": 10, "frames": 30, "things": [
        {"label": "car", "from": 1, "to": 2, "seen_from": 0.8, "seen_to": 2.2}]}

    def rows(self, first, last, label="car"):
        """`label` active in the frames first..last of 30."""
        return [{"pts": n * 100_000_000,
                 "tags": [{"label": label, "active": first <= n <= last}]} for n in range(30)]

    def test_right(self):
        self.assertEqual([], wrongs(self.truth, self.rows(9, 20)))
        self.assertEqual([], wrongs(self.truth, self.rows(11, 18)))  # the margin

    def test_wrong(self):
        for rows, expected in ((self.rows(13, 20), ["1.10 s: car is in", "1.20 s: car is in"]),
                               (self.rows(9, 22), ["2.20 s: car is tagged"]),
                               (self.rows(9, 20)[:-1], ["29 inferences for 30"])):
            found = wrongs(self.truth, rows)
            self.assertEqual(len(expected), len(found), found)
            for begin, sentence in zip(expected, found):
                self.assertTrue(sentence.startswith(begin), sentence)
        self.assertIn("0.00 s: dog is tagged and not in the picture",
                      wrongs(self.truth, self.rows(0, 0, "dog")))


class SceneTest(unittest.TestCase):
    def test_the_plugin_tags_the_scene_right(self):
        environment = dict(os.environ)
        with tempfile.TemporaryDirectory() as directory:
            video = os.path.join(directory, "scene.webm")
            scene = make_scene.Scene()
            make_scene.encode(scene, video)
            environment["GST_REGISTRY"] = os.path.join(directory, "registry.bin")
            if "CLIPTAG_PRELOAD" in environment:
                environment["LD_PRELOAD"] = environment["CLIPTAG_PRELOAD"]
            run = subprocess.run(
                ["gst-launch-1.0", "-m", "filesrc", f"location={video}", "!", "decodebin", "!",
                 "videoconvert", "!", "cliptag",
                 "prompts-file=" + os.path.join(PIPELINES, "demo-prompts.json"), "!", "fakesink"],
                env=environment, capture_output=True, text=True, encoding="utf-8",
                errors="replace", check=False)
        self.assertEqual(0, run.returncode, run.stderr)
        messages = list(print_tags.messages(run.stdout.splitlines()))
        truth = scene.truth()
        self.assertEqual([], wrongs(truth, [f for name, f in messages if name == "cliptag"]))
        # One begin and one end for each thing, in their order.
        events = [(f["state"], f["label"]) for name, f in messages if name == "cliptag-event"]
        self.assertEqual([(state, thing["label"]) for thing in truth["things"]
                          for state in ("start", "end")], events)


class DemoErrorsTest(unittest.TestCase):
    """What cannot be tagged is refused at once, in one sentence that names it."""

    def refused(self, sentence, *arguments, **environment):
        run = subprocess.run([os.path.join(PIPELINES, "demo.sh"), *arguments],
                             env={**os.environ, **environment}, capture_output=True, text=True,
                             check=False, timeout=20)
        self.assertEqual(1, run.returncode, run.stdout + run.stderr)
        self.assertEqual("", run.stdout)
        self.assertRegex(run.stderr, r"^demo: [^\n]*" + sentence + r"[^\n]*\n$")

    def test_refused(self):
        with tempfile.TemporaryDirectory() as directory:
            empty = os.path.join(directory, "empty.mp4")
            open(empty, "w").close()
            self.refused("there is no file /nowhere/x.mp4", "/nowhere/x.mp4")
            self.refused("is not a file", directory)
            self.refused("empty.mp4 is empty", empty)
            self.refused("one VIDEO at most, not 2", "a.mp4", "b.mp4")
            self.refused("there is no directory /nowhere/model", CLIPTAG_MODEL="/nowhere/model")


class DemoTargetsTest(unittest.TestCase):
    """What is built: no tests, and the CUDA backend only where there is a card, for the cards that are there."""

    def meson_calls(self, capabilities):
        """How demo.sh calls meson where nvidia-smi prints these lines; None: there is no driver."""
        with tempfile.TemporaryDirectory() as root:
            os.makedirs(os.path.join(root, "bin"))
            shutil.copytree(PIPELINES, os.path.join(root, "pipelines"))
            smi = "exit 9" if capabilities is None else f"printf '{capabilities}'"
            # It ends where the build would begin.
            for name, body in {"meson": 'echo "$*" >>calls; [[ $1 != compile ]]', "nvidia-smi": smi}.items():
                path = os.path.join(root, "bin", name)
                with open(path, "w", encoding="utf-8") as f:
                    f.write(f"#!/bin/bash\n{body}\n")
                os.chmod(path, 0o755)
            environment = {**os.environ, "PATH": os.path.join(root, "bin") + ":" + os.environ["PATH"],
                           "CLIPTAG_SKIP_SETUP": "1"}
            run = subprocess.run([os.path.join(root, "pipelines", "demo.sh")], env=environment, capture_output=True,
                                 text=True, check=False, timeout=20)
            self.assertEqual(1, run.returncode, run.stderr)
            self.assertEqual(capabilities is None, "demo: no NVIDIA GPU here" in run.stdout, run.stdout)
            with open(os.path.join(root, "calls"), encoding="utf-8") as f:
                return f.read().splitlines()

    def test_cards_that_are_there(self):
        for capabilities, option in ((r"9.0\n9.0\n", " -Dgpu_architectures=90a"),
                                     (r"12.0\n8.6\n", " -Dgpu_architectures=86,120"),
                                     (r"9.0\n8.7\n", ""), (r"[N/A]\n", "")):
            with self.subTest(capabilities=capabilities):
                self.assertEqual(["setup build -Dtests=disabled" + option, "compile -C build runtime_cuda"],
                                 self.meson_calls(capabilities))

    def test_no_card(self):
        if os.path.exists("/dev/nvidia0") or os.path.exists("/dev/dxg"):
            self.skipTest("there is an NVIDIA GPU")
        self.assertEqual(["setup build -Dtests=disabled", "compile -C build runtime"], self.meson_calls(None))


if __name__ == "__main__":
    unittest.main(verbosity=2)
