#!/usr/bin/env python3
"""Prompts files of the `cliptag` command that name pictures, run with the starter model."""
import json
import os
import re
import unittest

import drawings
from tool import FolderCase, run, run_json, write_png


class Exemplars(FolderCase):
    def setUp(self):
        super().setUp()
        for label, thing in (("mine", drawings.face), ("yours", drawings.clock)):
            os.mkdir(self.at(label))
            for i in range(4):
                drawings.write_drawing(self.at(label, f"{i}.png"), thing, i)

    def prompts(self, **tags):
        return self.write("prompts.json",
                          json.dumps({"tags": [{"label": label, **tag} for label, tag in tags.items()]}))

    def scores(self, prompts, picture, *args):
        out = run_json("classify", "--prompts-file", prompts, "--json", *(args or ("--scoring", "contrast")),
                       picture)
        return {tag["label"]: tag["score"] for tag in out[0]["tags"]}

    def refuse(self, images, *parts):
        done = run("classify", "--prompts-file", self.prompts(mine={"images": images}), self.at("mine", "0.png"))
        self.assert_complains(done, "'mine'", *parts)

    def test_a_folder_becomes_a_tag(self):
        prompts = self.prompts(mine={"images": ["mine/"]}, yours={"images": [self.at("yours")]},
                               car={})
        scores = self.scores(prompts, drawings.write_drawing(self.at("new.png"), drawings.face, 9))
        self.assertGreater(scores["mine"], 0.9)
        self.assertLess(scores["yours"], 0.1)
        self.assertLess(scores["car"], 0.5)

    def test_every_scoring_gives_shares(self):
        prompts = self.prompts(mine={"images": "mine"}, both={"images": "yours", "prompts": ["a car"]},
                               dog={})
        for scoring in ("softmax", "sigmoid", "cosine"):
            done = run("classify", "--prompts-file", prompts, "--json", "--scoring", scoring, self.at("mine", "0.png"))
            self.assertEqual(0, done.returncode, done.stderr)
            scores = {tag["label"]: tag["score"] for tag in json.loads(done.stdout)[0]["tags"]}
            self.assertEqual({"mine", "both", "dog"}, set(scores))
            for score in scores.values():
                self.assertTrue(0 <= score <= 1, scores)
        softmax = self.scores(prompts, self.at("mine", "0.png"), "--scoring", "softmax")
        self.assertAlmostEqual(1, sum(softmax.values()), places=5)

    def test_element_and_tool_take_the_same_pictures(self):
        """The element reads them in a module of its own, which lies elsewhere than the plugin."""
        pictures = os.path.join(os.environ["CLIPTAG_DATA"], "pictures")
        playlist = self.write("list.jpg", "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:1/a.ts\n")
        for name, refused in (("rgb.bmp", None), ("cmyk.jpg", None), ("rgba.tif", None), ("3x100.p6", None),
                              ("rgb.jp2", None), ("refused/animated.webp", "animated WebP"),
                              (playlist, "no picture that cliptag knows")):
            prompts = self.prompts(mine={"images": [os.path.join(pictures, name)]})
            with self.subTest(name=name):
                tool = run("classify", "--prompts-file", prompts, self.at("mine", "0.png"))
                line = f"videotestsrc num-buffers=1 ! videoconvert ! cliptag mode=exact prompts-file={prompts} ! fakesink"
                element = self.launch(*line.split())
                for done in (tool, element):
                    self.assertEqual(refused is None, done.returncode == 0, done.stderr)
                    self.assertIn(refused or "", done.stderr)

    def test_element_and_tool_make_the_same_bank(self):
        """Pictures that decoders read in different ways, texts beside them, lists for templates and background."""
        pictures = os.path.join(os.environ["CLIPTAG_DATA"], "pictures")
        names = ("rgb.bmp", "cmyk.jpg", "rgba.tif", "3x100.p6", "rgb.jp2")
        tags = {name.replace(".", "_"): {"images": [os.path.join(pictures, name)]} for name in names}
        prompts = self.prompts(**tags, face={"images": "mine"}, clock={"images": "yours", "prompts": ["a clock"]}, car={})
        picture = self.at("mine", "0.png")
        lists = {"templates": "a drawing of a {}; the {}", "background": "a wall; sky"}
        tool = {tag["label"]: tag for tag in run_json(
            "classify", "--precision", "fp32", "--prompts-file", prompts, "--json", picture,
            *(part for name, value in lists.items() for part in ("--" + name, value)))[0]["tags"]}
        line = (f"filesrc location={picture} ! pngdec ! cliptag mode=exact precision=fp32 top-k=0 "
                f"prompts-file={prompts}")
        done = self.launch("-m", *line.split(), *(f"{name}={value}" for name, value in lists.items()), "!", "fakesink")
        self.assertEqual(0, done.returncode, done.stderr)
        element = re.findall(r"label=\(string\)(\w+).*?score=\(double\)([-+.e0-9]+).*?cosine=\(double\)([-+.e0-9]+)",
                             done.stdout.replace("\\", ""))
        self.assertEqual(set(tool), {label for label, *_ in element}, done.stdout)
        for label, score, cosine in element:
            self.assertAlmostEqual(tool[label]["cosine"], float(cosine), places=6, msg=label)
            self.assertAlmostEqual(tool[label]["score"], float(score), places=4, msg=label)

    def test_bad_pictures_are_one_error_that_names_tag_and_file(self):
        self.refuse("none.png", "none.png")
        os.mkdir(self.at("empty"))
        self.refuse("empty", "'empty'", "no picture")
        write_png(self.at("cut.png"), seed=1, cut=200)
        self.refuse("cut.png", "cut.png", "truncated")
        self.write("text.png", "a text")
        self.refuse("text.png", "text.png")


if __name__ == "__main__":
    unittest.main()
