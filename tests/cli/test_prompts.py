#!/usr/bin/env python3
"""Prompts files of the `cliptag` command that name pictures, run with the starter model."""
import json
import os
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
            scores = self.scores(prompts, self.at("mine", "0.png"), "--scoring", scoring)
            self.assertEqual({"mine", "both", "dog"}, set(scores))
            for score in scores.values():
                self.assertTrue(0 <= score <= 1, scores)
        softmax = self.scores(prompts, self.at("mine", "0.png"), "--scoring", "softmax")
        self.assertAlmostEqual(1, sum(softmax.values()), places=5)

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
