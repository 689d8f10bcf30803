#!/usr/bin/env python3
"""`cliptag eval --calibrate` with the starter model on drawings: what it writes, prints and refuses."""
import json
import os
import shutil
import subprocess
import tempfile
import unittest

import drawings
from tool import TIMEOUT_S, FolderCase, run, run_json, run_ok

TEMPLATES = ["an emoji of a {}."]
# Tags and what their drawings are of.
THINGS = {"smiling face": drawings.face, "star": drawings.star, "background": drawings.nothing,
          "heart": drawings.heart}


class Eval(FolderCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="cliptag-test.")
        cls.addClassCleanup(folder.cleanup)
        cls.drawn = os.path.join(folder.name, "footage")
        for label, thing in THINGS.items():
            os.makedirs(os.path.join(cls.drawn, label))
            for i in range(6):
                drawings.write_drawing(os.path.join(cls.drawn, label, f"{i}.png"), thing, i)

    def prompts(self, tags, name="tags.json", **more):
        return self.write(name, json.dumps({"templates": TEMPLATES, **more, "tags": tags}))

    def calibrate(self, prompts, *args, output=None):
        return ("eval", "--calibrate", "--prompts-file", prompts, "--dataset", self.drawn, "--output",
                output or self.at("new.json"), *args)

    def new(self, name="new.json"):
        with open(self.at(name)) as f:
            return json.load(f)

    def test_thresholds_are_found_and_everything_else_stays(self):
        tags = [{"label": "smiling face", "prompts": ["smiling face"], "negative": ["a wall"],
                 "min-duration": 2.5, "threshold": 0.9},
                {"label": "star"}]
        prompts = self.prompts(tags, background=["photo", "noise"])
        done = run(*self.calibrate(prompts, "--json"))
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertEqual(["cliptag: warning: what is labelled 'heart' counts as showing nothing, as no tag is "
                          "called so"], done.stderr.splitlines())
        result = json.loads(done.stdout)
        self.assertEqual(24, result["frames"])
        self.assertEqual(["smiling face", "star"], [tag["label"] for tag in result["tags"]])
        new = self.new()
        self.assertEqual(["templates", "background", "tags"], list(new))
        self.assertEqual(["photo", "noise"], new["background"])
        for tag, found, before in zip(new["tags"], result["tags"], tags):
            self.assertTrue(found["calibrated"], found)
            self.assertEqual((6, 18), (found["positives"], found["negatives"]))
            self.assertGreaterEqual(found["precision"], 0.95)
            self.assertGreater(found["recall"], 0.5)
            self.assertEqual(found["threshold"], tag["threshold"])
            self.assertEqual(found["off-threshold"], tag["off-threshold"])
            self.assertLessEqual(tag["off-threshold"], 0.8 * tag["threshold"] + 1e-9)
            kept = {key: value for key, value in tag.items() if "threshold" not in key}
            self.assertEqual({k: v for k, v in before.items() if "threshold" not in k}, kept)

    def test_what_it_says_of_the_thresholds_holds(self):
        prompts = self.prompts([{"label": "star"}])
        run(*self.calibrate(prompts, "--min-precision", "0.9"))
        threshold = self.new()["tags"][0]["threshold"]
        files = [os.path.join(self.drawn, label, f"{i}.png") for label in THINGS for i in range(6)]
        out = run_json("classify", "--scoring", "contrast", "--prompts-file", self.at("new.json"), "--json",
                       *files)
        reported = [entry["file"] for entry in out if entry["tags"][0]["score"] >= threshold]
        right = sum("/star/" in name for name in reported)
        self.assertGreaterEqual(right / len(reported), 0.9)
        self.assertGreaterEqual(right, 5)

    def test_the_table_and_the_tags_that_stay(self):
        prompts = self.prompts([{"label": "smiling face"}, {"label": "dog", "threshold": 0.7}])
        done = run(*self.calibrate(prompts))
        lines = done.stdout.splitlines()
        self.assertEqual(["label", "positives", "threshold", "off", "precision", "recall"], lines[0].split())
        self.assertTrue(lines[1].startswith("smiling face "), lines)
        self.assertEqual(["dog", "0", "0.7", "0.56"], lines[2].split()[:4])
        self.assertEqual("dog: 0 frames show it and 5 are needed; its thresholds stay.", lines[3])
        self.assertEqual({"label": "dog", "threshold": 0.7}, self.new()["tags"][1])

    def test_a_list_of_labels_becomes_json_and_options_are_kept(self):
        labels = self.write("tags.txt", "smiling face\nstar\n")
        run(*self.calibrate(labels, "--templates", TEMPLATES[0], "--background", "photo; noise"))
        new = self.new()
        self.assertEqual(["smiling face", "star"], [tag["label"] for tag in new["tags"]])
        self.assertEqual(TEMPLATES, new["templates"])
        self.assertEqual(["photo", "noise"], new["background"])
        self.assertIn("threshold", new["tags"][0])

    def test_in_place_and_elsewhere_with_pictures(self):
        os.mkdir(self.at("mine"))
        for i in range(3):
            drawings.write_drawing(self.at("mine", f"{i}.png"), drawings.heart, 100 + i)
        prompts = self.prompts([{"label": "heart", "images": ["mine"]}])
        os.mkdir(self.at("other"))
        run(*self.calibrate(prompts, output=self.at("other", "new.json")))
        moved = self.new(os.path.join("other", "new.json"))["tags"][0]
        self.assertTrue(os.path.isabs(moved["images"][0]))
        self.assertTrue(os.path.samefile(self.at("mine"), moved["images"][0]))
        self.assertIn("threshold", moved)
        run(*self.calibrate(prompts, output=prompts))
        self.assertEqual(["mine"], self.new("tags.json")["tags"][0]["images"])
        self.assertEqual(moved["threshold"], self.new("tags.json")["tags"][0]["threshold"])
        self.assertEqual(["mine", "other", "tags.json"], sorted(os.listdir(self.folder)))

    def video(self, spans):
        """Ten frames a second of drawings, one span of seconds after the other."""
        launch = shutil.which("gst-launch-1.0")
        raw = self.at("raw.rgb")
        with open(raw, "wb") as f:
            for n, (thing, seconds) in enumerate(spans):
                f.write(b"".join(drawings.pixels(thing, n)) * int(10 * seconds))
        path = self.at("video.webm")
        size = drawings.SIZE
        line = (f"filesrc location={raw} blocksize={3 * size * size} ! rawvideoparse format=rgb width={size} "
                f"height={size} framerate=10/1 ! videoconvert ! vp8enc deadline=1 target-bitrate=4000000 ! "
                f"webmmux ! filesink location={path}")
        if not launch or subprocess.run([launch, "-q", *line.split()], capture_output=True,
                                        timeout=TIMEOUT_S).returncode != 0:
            self.skipTest("gst-launch-1.0 cannot make a VP8 video here")

    def test_a_table_says_when_videos_show_what(self):
        self.video([(drawings.nothing, 2), (drawings.face, 3), (drawings.star, 3)])
        labels = self.write("labels.csv",
                            "file,start,end,label\nvideo.webm,2,5,smiling face\nvideo.webm,5,,star\n")
        prompts = self.prompts([{"label": "smiling face"}, {"label": "star"}])
        result = run_json("eval", "--calibrate", "--prompts-file", prompts, "--labels", labels, "--fps", "5",
                          "--output", self.at("new.json"), "--json")
        self.assertEqual(40, result["frames"])
        for tag in result["tags"]:
            self.assertEqual((15, 25), (tag["positives"], tag["negatives"]))
            self.assertTrue(tag["calibrated"], tag)
            self.assertEqual(1, tag["precision"])

    def test_usage_errors(self):
        prompts = self.prompts([{"label": "star"}])
        full = self.calibrate(prompts)
        for missing in ("--calibrate", "--prompts-file", "--dataset", "--output"):
            args = list(full)
            at = args.index(missing)
            del args[at:at + (1 if missing == "--calibrate" else 2)]
            self.assert_complains(run(*args), missing, code=2)
        self.assert_complains(run(*full, "--min-precision", "1.5"), "--min-precision", code=2)
        self.assert_complains(run(*full, "--off-ratio", "nan"), "--off-ratio", code=2)

    def test_errors_of_files(self):
        prompts = self.prompts([{"label": "star"}])
        args = ("eval", "--calibrate", "--prompts-file", prompts, "--output", self.at("new.json"))
        self.assert_complains(run(*args, "--dataset", self.at("none")), self.at("none"), "folder")
        self.assert_complains(run(*args, "--labels", self.at("none.csv")), "none.csv")
        os.mkdir(self.at("set"))
        self.assert_complains(run(*args, "--dataset", self.at("set")), "holds no files")
        os.mkdir(self.at("set", "sta"))
        drawings.write_drawing(self.at("set", "sta", "0.png"), drawings.star, 0)
        self.assert_complains(run(*args, "--dataset", self.at("set")), "'star'", "label of a tag")
        os.mkdir(self.at("set", "star"))
        self.write(os.path.join("set", "star", "bad.png"), "a text")
        done = run(*args, "--dataset", self.at("set"))
        self.assertEqual(1, done.returncode)
        self.assertIn("bad.png", done.stderr)
        self.assertTrue(os.path.exists(self.at("new.json")), "the others count")
        done = run(*self.calibrate(prompts, output=self.at("nowhere", "new.json")))
        self.assertEqual(1, done.returncode)
        self.assertIn("cannot write", done.stderr.splitlines()[-1])

    def test_help(self):
        text = run_ok("eval", "--help")
        for part in ("--min-precision", "--labels", "--off-ratio", "--fps", "--precision"):
            self.assertIn(part, text)


if __name__ == "__main__":
    unittest.main()
