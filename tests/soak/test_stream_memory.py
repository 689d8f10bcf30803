"""What a stream more costs: at most 4 MB beside the one frame that it may hold. The frames of
`cliptag bench --streams` lie in memory that all streams share, so that what it reports is the rest."""
import json
import os
import subprocess
import unittest

ROOT = os.environ.get("CLIPTAG_SOURCE_ROOT", os.path.join(os.path.dirname(__file__), "..", ".."))
TOOL = os.path.join(os.environ.get("CLIPTAG_BUILD_ROOT", os.path.join(ROOT, "build")), "plugin", "cli",
                    "cliptag")
MOST_MB = 4


def resident_mb(streams):
    done = subprocess.run([TOOL, "bench", "--streams", str(streams), "--width", "1280", "--height", "720",
                           "--fps", "10", "--seconds", "2", "--json"], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=120)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["frames_in"] > 0 and report["images_per_second"] > 0
    return report["rss_mb"]


class StreamMemoryTest(unittest.TestCase):
    def test_streams_share_all_that_is_large(self):
        if os.environ.get("CLIPTAG_PRELOAD"):
            self.skipTest("a sanitizer has memory of its own")
        mb = {streams: resident_mb(streams) for streams in (1, 16, 64)}
        for few, many in ((1, 16), (16, 64)):
            each = (mb[many] - mb[few]) / (many - few)
            print(f"{few} to {many} streams: {mb[few]:.0f} to {mb[many]:.0f} MB, {each:.2f} MB a stream")
            self.assertLessEqual(each, MOST_MB)


if __name__ == "__main__":
    unittest.main(verbosity=2)
