"""`cliptag bench --streams`: cameras through the element, small and short."""
import os
import shutil
import subprocess
import unittest

from tool import TOOL, FolderCase, run, run_json, run_ok

SMALL = ("--width", 320, "--height", 240, "--threads", 1)
# A sanitizer takes its time: what is done is the same then, how often is not asked.
SANITIZED = bool(os.environ.get("CLIPTAG_PRELOAD"))
FIELDS = ["frames_in", "frames_late", "identity_frames_late", "tags_per_second", "age_ms", "jain", "rss_mb"]


def bench(*args):
    return run_json("bench", "--json", *SMALL, *args)


class StreamsTest(unittest.TestCase):
    def test_live(self):
        seconds, fps, streams = 2, 25, 4
        json = bench("--streams", streams, "--seconds", seconds, "--fps", fps, "--max-rate", "2/1")
        self.assertEqual(FIELDS, list(json)[:len(FIELDS)])
        # A frame on either edge of the window may fall out of it.
        for frames in (json["frames_in"], json["identity_frames_in"]):
            self.assertAlmostEqual(streams * seconds * fps, frames, delta=streams)
        self.assertEqual(0, json["frames_lost"])
        self.assertEqual(0, json["identity_frames_lost"])
        self.assertLessEqual(json["frames_late"], json["frames_in"])
        self.assertLessEqual(json["identity_frames_late"], json["identity_frames_in"])
        self.assertLessEqual(json["tags_per_second"]["max"], 2.5)
        self.assertLessEqual(json["jain"], 1.000001)
        if not SANITIZED:
            self.assertGreater(json["tags_per_second"]["min"], 1)
            self.assertGreater(json["jain"], 0.9)
            self.assertAlmostEqual(2 * streams, json["images_per_second"], delta=streams)
        self.assertLessEqual(json["age_ms"]["p50"], json["age_ms"]["p99"])
        self.assertGreater(json["rss_mb"], json["anonymous_mb"])
        self.assertGreater(json["anonymous_mb"], 1)
        self.assertGreater(json["cpu_seconds"], 0)
        self.assertEqual((streams, "live", "starter", "cpu"),
                         tuple(json[k] for k in ("streams", "mode", "model", "backend")))

    def test_aligned_at_an_odd_rate_in_another_format(self):
        json = bench("--streams", 2, "--seconds", 1, "--fps", "30000/1001", "--align", "--format", "RGB")
        self.assertAlmostEqual(60, json["frames_in"], delta=2)
        self.assertEqual(0, json["frames_lost"])

    def test_exact(self):
        json = bench("--streams", 2, "--seconds", 1, "--mode", "exact", "--batch", 4)
        self.assertGreater(json["frames_in"], 0)
        self.assertEqual(0, json["frames_lost"])
        # Nothing waits for a clock: every frame that comes has been looked at.
        self.assertAlmostEqual(json["frames_in"], json["images_per_second"] * json["seconds"],
                               delta=0.2 * json["frames_in"] + 16)
        self.assertGreater(json["tags_per_second"]["min"], 0)
        self.assertNotIn("frames_late", json)

    def test_hostile(self):
        json = bench("--streams", 7, "--seconds", 2, "--hostile", "--max-rate", "2/1")
        self.assertAlmostEqual(3 * 2 * 25, json["frames_in"], delta=3)
        self.assertEqual(0, json["frames_lost"])
        hostile = json["hostile"]
        self.assertEqual(4, hostile["streams"])
        self.assertGreater(hostile["seeks"], 0)
        self.assertGreater(hostile["prompt_changes"], 0)
        if not SANITIZED:
            self.assertGreater(json["jain"], 0.9)
            self.assertGreater(json["tags_per_second"]["min"], 1)
            self.assertGreater(hostile["seeks"], 10)
            self.assertGreater(hostile["prompt_changes"], 100)
        self.assertGreater(hostile["broken_frames"], 10)
        self.assertIsInstance(hostile["others_unharmed"], bool)

    def test_table(self):
        table = run_ok("bench", "--streams", 1, "--seconds", 1, *SMALL)
        for word in ("1 streams of NV12 320x240", "came, 0 were lost", "Jain's index 1.000", "MB resident"):
            self.assertIn(word, table)


class ErrorsTest(FolderCase):
    def refuse(self, *args, parts, code=1):
        done = run("bench", *args)
        self.assert_complains(done, *parts, code=code)
        self.assertEqual("", done.stdout)

    def test_arguments_that_cannot_be(self):
        for args, parts, code in [
            (("--streams", 0), ["--streams"], 2),
            (("--streams", "many"), ["--streams"], 2),
            (("--streams", 1, "--stage", "all"), ["--stage", "--streams"], 2),
            (("--fps", 10), ["--fps", "--streams"], 2),
            (("--hostile",), ["--hostile", "--streams"], 2),
            (("--streams", 1, "--mode", "fast"), ["--mode", "fast"], 2),
            (("--streams", 1, "--fps", "quick"), ["--fps", "quick"], 1),
            (("--streams", 1, "--fps", "-25"), ["--fps", "-25"], 1),
            (("--streams", 1, "--fps", "0"), ["--fps", "more than 0"], 1),
            (("--streams", 1, "--max-rate", "1/0"), ["--max-rate", "1/0"], 1),
            (("--streams", 1, "--format", "RED"), ["RED", "NV12"], 1),
            (("--streams", 4, "--hostile"), ["--hostile", "5"], 1),
            (("--streams", 8, "--hostile", "--mode", "exact"), ["--hostile", "exact"], 1),
        ]:
            with self.subTest(args=args):
                self.refuse(*args, parts=parts, code=code)

    def test_what_the_element_says_is_the_error(self):
        self.refuse("--streams", 2, "--model", "no-such-model", *SMALL, parts=["no-such-model"])

    def test_without_the_plugin(self):
        # Away from the plugin that is built beside it.
        tool = shutil.copy(TOOL, self.at("cliptag"))
        env = dict(os.environ, GST_PLUGIN_PATH="", GST_REGISTRY=self.at("registry"), GST_PLUGIN_SYSTEM_PATH="")
        done = subprocess.run([tool, "bench", "--streams", "1"], capture_output=True, text=True, env=env,
                              timeout=60)
        self.assertEqual(1, done.returncode)
        self.assertIn("GST_PLUGIN_PATH", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
