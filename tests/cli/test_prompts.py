#!/usr/bin/env python3
"""Prompts files of the `cliptag` command that name pictures, run with the starter model."""
import json
import os
import tempfile
import unittest

import drawings
from tool import run, run_json, write_png


class Exemplars(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="cliptag-test.")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        for label, thing in (("mine", drawings.face), ("yours", drawings.clock)):
            os.mkdir(self.at(label))
            for i in range(4):
                drawings.write_drawing(self.at(label, f"{i}.png"), thing, i)

    def at(self, *names):
        return os.path.join(self.folder, *names)

    def prompts(self, **tags):
        path = self.at("prompts.json")
        with open(path, "w") as f:
            json.dump({"tags": [{"label": label, **tag} for label, tag in tags.items()]}, f)
        return path

    def scores(self, prompts, picture, *args):
        out = run_json("classify", "--prompts-file", prompts, "--json", *(args or ("--scoring", "contrast")),
                       picture)
        return {tag["label"]: tag["score"] for tag in out[0]["tags"]}

    def assert_complains(self, prompts, *parts):
        done = run("classify", "--prompts-file", prompts, self.at("mine", "0.png"))
        self.assertEqual(1, done.returncode)
        self.assertEqual(1, len(done.stderr.splitlines()), done.stderr)
        for part in parts:
            self.assertIn(part, done.stderr)

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
            scores = self.scores(prompts, self.at("mine", "0.png"), "--scoring", scoring)
            self.assertEqual({"mine", "both", "dog"}, set(scores))
            for score in scores.values():
                self.assertTrue(0 <= score <= 1, scores)
        softmax = self.scores(prompts, self.at("mine", "0.png"), "--scoring", "softmax")
        self.assertAlmostEqual(1, sum(softmax.values()), places=5)

    def test_bad_pictures_are_one_error_that_names_tag_and_file(self):
        self.assert_complains(self.prompts(mine={"images": "none.png"}), "'mine'", "none.png")
        os.mkdir(self.at("empty"))
        self.assert_complains(self.prompts(mine={"images": "empty"}), "'mine'", "'empty'", "no picture")
        write_png(self.at("cut.png"), seed=1, cut=200)
        self.assert_complains(self.prompts(mine={"images": "cut.png"}), "'mine'", "cut.png", "truncated")
        with open(self.at("text.png"), "w") as f:
            f.write("a text")
        self.assert_complains(self.prompts(mine={"images": "text.png"}), "'mine'", "text.png")


if __name__ == "__main__":
    unittest.main()
