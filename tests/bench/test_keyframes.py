"""tests/bench/keyframes.py: reading tags and comparing them. The measurement itself is run by hand."""
import math
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
import keyframes  # noqa: E402


def line(stream, pts, tags):
    """As gst-launch-1.0 -m prints a message of cliptag."""
    listed = ", ".join(f'(structure)"tag\\,\\ label\\=\\(string\\){label}\\,\\ score\\=\\(double\\){score}\\,'
                       f'\\ active\\=\\(boolean\\)true\\;"' for label, score in tags)
    return (f'Got message #{40 + stream} from element "tag{stream}" (element): cliptag, '
            f"pts=(guint64){pts}, tags=(structure){{ {listed} }};")


class KeyframesBenchTest(unittest.TestCase):
    def test_reads_the_tags_of_every_stream(self):
        output = "\n".join(["Setting pipeline to PLAYING ...", line(0, 0, [("dog", 0.75), ("car", 0.25)]),
                            line(11, 1000000000, [("fire", 0.5)]),
                            'Got message #9 from element "tag0" (element): cliptag-event, label=(string)dog;'])
        self.assertEqual({(0, 0): [("dog", 0.75), ("car", 0.25)], (11, 1000000000): [("fire", 0.5)]},
                         keyframes.tags_of(output))

    def test_compares_labels_and_scores(self):
        full = {(0, 0): [("dog", 0.75), ("car", 0.25)]}
        self.assertEqual((0, 0.0), keyframes.compare(full, full))
        self.assertEqual((0, 0.25), keyframes.compare(full, {(0, 0): [("dog", 0.5), ("car", 0.25)]}))
        self.assertEqual(1, keyframes.compare(full, {(0, 0): [("car", 0.25), ("dog", 0.75)]})[0])
        wrong, difference = keyframes.compare(full, {(0, 0): [("dog", 0.75), ("cat", 0.25)]})
        self.assertEqual(1, wrong)
        self.assertGreater(difference, keyframes.MOST_DIFFERENCE)

    def test_a_score_that_is_no_number_is_a_difference(self):
        full = {(0, 0): [("dog", 0.75), ("car", math.nan)]}
        self.assertFalse(keyframes.compare(full, full)[1] <= keyframes.MOST_DIFFERENCE)

    def test_other_times_are_an_error(self):
        with self.assertRaises(SystemExit) as stopped:
            keyframes.compare({(0, 0): [("dog", 1)]}, {(0, 40000000): [("dog", 1)]})
        self.assertIn("not looked at at the same times", str(stopped.exception))


if __name__ == "__main__":
    unittest.main(verbosity=2)
