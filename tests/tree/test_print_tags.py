"""print_tags.py reads what gst-launch-1.0 -m prints."""
import io
import json
import os
import subprocess
import sys
import tempfile
import unittest

ROOT = os.environ.get("CLIPTAG_SOURCE_ROOT", os.path.join(os.path.dirname(__file__), "..", ".."))
SCRIPT = os.path.join(ROOT, "pipelines", "print_tags.py")
sys.path.insert(0, os.path.dirname(SCRIPT))
import print_tags  # noqa: E402

# As GStreamer 1.22 and 1.26 print them: a list of structures is a list of escaped strings.
FIRST = r"""Setting pipeline to PAUSED ...
Got message #9 from element "cliptag0" (state-changed): GstMessageStateChanged, old-state=(GstState)null;
Got message #45 from element "cliptag0" (element): cliptag, pts=(guint64)1500000000, stream-time=(guint64)1500000000, frame=(guint64)30, model=(string)starter, age=(guint64)0, tags=(structure){ "tag\,\ label\=\(string\)car\,\ score\=\(double\)0.98765432099999995\,\ cosine\=\(double\)-0.25\,\ active\=\(boolean\)true\;", "tag\,\ label\=\(string\)\"a\\\ \\\"red\\\"\\\ bus\\\,\\\ or\\\;\\\ \\\{two\\\}\"\,\ score\=\(double\)0.49382716049999997\,\ cosine\=\(double\)-0.25\,\ active\=\(boolean\)false\;", "tag\,\ label\=\(string\)\"gr\\303\\266\\303\\237e\\\\x\"\,\ score\=\(double\)0.32921810699999998\,\ cosine\=\(double\)-0.25\,\ active\=\(boolean\)false\;" };
Got message #46 from element "cliptag0" (element): cliptag, pts=(guint64)1550000000, frame=(guint64)31, tags=(int){  }, embedding=(GBytes)YWJjZA==;
Got message #47 from element "cliptag0" (element): cliptag-event, label=(string)"hot\ dog", state=(string)end, pts=(guint64)61550000000, score=(double)9.9999999999999995e-08, duration=(guint64)2500000000, peak=(double)1;
Got message #48 from element "level0" (element): level, rms=(double)< -3.5, -4 >;
"""


def inference(pts_s, *active):
    tags = [{"label": label, "score": 0.9, "cosine": 0.5, "active": True} for label in active]
    return {"pts": round(pts_s * 1e9), "tags": tags}


class ParserTest(unittest.TestCase):
    def test_messages(self):
        found = list(print_tags.messages(io.StringIO(FIRST)))
        self.assertEqual(["cliptag", "cliptag", "cliptag-event"], [name for name, _ in found])
        first = found[0][1]
        self.assertEqual(1500000000, first["pts"])
        self.assertEqual(30, first["frame"])
        self.assertEqual("starter", first["model"])
        self.assertEqual(["car", 'a "red" bus, or; {two}', "größe\\x"],
                         [t["label"] for t in first["tags"]])
        self.assertEqual([True, False, False], [t["active"] for t in first["tags"]])
        self.assertAlmostEqual(0.987654321, first["tags"][0]["score"], places=9)
        self.assertEqual(-0.25, first["tags"][2]["cosine"])
        self.assertEqual([], found[1][1]["tags"])
        self.assertEqual("YWJjZA==", found[1][1]["embedding"])
        self.assertEqual({"label": "hot dog", "state": "end", "pts": 61550000000, "score": 1e-7,
                          "duration": 2500000000, "peak": 1.0, "stream": "cliptag0"}, found[2][1])

    def test_garbage_is_an_error(self):
        for text in ("", "cliptag, pts", "cliptag, =3", "cliptag, pts=(guint64)x;"):
            with self.subTest(text=text), self.assertRaises(ValueError):
                print_tags.StructureParser(text).parse()


class SpansTest(unittest.TestCase):
    def test_active_spans(self):
        log = [inference(0.0), inference(0.5, "car"), inference(1.0, "car", "dog"), inference(1.5),
               inference(2.0, "car")]
        self.assertEqual([(0.5, 1.5), (2.0, 2.5)], print_tags.active_spans(log, "car", 0.5))
        self.assertEqual([(1.0, 1.5)], print_tags.active_spans(log, "dog", 0.5))
        self.assertEqual([], print_tags.active_spans(log, "cat", 0.5))

    def test_compare_names_what_was_never_there(self):
        truth = {"fps": 2, "things": [{"label": "car", "from": 0.5, "to": 1.5, "seen_from": 0.5,
                                       "seen_to": 1.5},
                                      {"label": "cat", "from": 2, "to": 3, "seen_from": 2,
                                       "seen_to": 3}]}
        lines = list(print_tags.compare([inference(0.5, "car"), inference(1.0, "dog")], truth))
        self.assertEqual(4, len(lines))
        self.assertIn("0.50-1.00 s", lines[1])
        self.assertIn("never", lines[2])
        self.assertRegex(lines[3], r"dog +never +1.00-1.50 s")


class ScriptTest(unittest.TestCase):
    def test_from_a_pipe(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "tags.jsonl")
            run = subprocess.run([sys.executable, SCRIPT, "--json", path], input=FIRST,
                                 capture_output=True, text=True, encoding="utf-8", check=True)
            with open(path, encoding="utf-8") as f:
                rows = [json.loads(line) for line in f]
        self.assertEqual("", run.stderr)
        self.assertRegex(run.stdout, r"0:01\.50 +\* car ▮▮▮▮▮ 0\.99")
        self.assertRegex(run.stdout, r"1:01\.55 +end +hot dog +after 2\.50 s, peak 1\.00")
        self.assertEqual([30, 31], [row["frame"] for row in rows])
        self.assertEqual(["cliptag0"] * 2, [row["stream"] for row in rows])

    def test_streams_are_named_and_kept_apart(self):
        second = FIRST.replace("cliptag0", "cliptag1")
        run = subprocess.run([sys.executable, SCRIPT], input=FIRST + second, capture_output=True,
                             text=True, encoding="utf-8", check=True)
        self.assertEqual("", run.stderr)
        lines = run.stdout.splitlines()
        self.assertEqual(2, sum("car" in line for line in lines), run.stdout)
        self.assertFalse(lines[0].startswith("cliptag"))
        self.assertRegex(run.stdout, r"(?m)^cliptag1  +0:01\.50 +\* car")

    def test_a_frame_without_a_time(self):
        self.assertEqual("  -:--.--", print_tags.clock(2 ** 64 - 1))
        self.assertEqual("  1:01.50", print_tags.clock(61500000000))


if __name__ == "__main__":
    unittest.main(verbosity=2)
