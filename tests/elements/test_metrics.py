"""What `metrics-file` leaves behind, read as strictly as Prometheus does, and the reader itself."""
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import prometheus_format
from prometheus_format import FormatError

GOOD = b"""# HELP a_total What it counts.
# TYPE a_total counter
a_total{stream="x\\\\y\\"z\\nw",model="m"} 12
a_total{stream="b",model="m"} 0
# HELP b_seconds A time.
# TYPE b_seconds gauge
b_seconds 1.5e-05
"""


class ReaderTest(unittest.TestCase):
    def test_good(self):
        metrics = prometheus_format.read(GOOD)
        self.assertEqual(["a_total", "b_seconds"], list(metrics))
        self.assertEqual(12, metrics["a_total"]["samples"][(("stream", 'x\\y"z\nw'), ("model", "m"))])
        self.assertEqual(1.5e-05, metrics["b_seconds"]["samples"][()])
        self.assertEqual({}, prometheus_format.read(b""))

    def test_bad(self):
        for wrong, right in [
            (b'b_seconds 1.5e-05\n', b'b_seconds 1.5e-05'),
            (b'1.5e-05', b'1,5'), (b'1.5e-05', b'nan'), (b' 12\n', b' -12\n'), (b' 12\n', b' \n'),
            (b'a_total{stream="b"', b'a_total{stream="b'), (b'{stream="b"', b'{stream=b'),
            (b'\\\\y', b'\\y'), (b'"b",model="m"', b'"b",stream="m"'), (b'b_seconds 1', b'c_seconds 1'),
            (b'a_total counter', b'a_total gauge'), (b'b_seconds gauge', b'b_seconds counter'),
            (b'gauge', b'number'), (b'# TYPE b_seconds gauge\n', b''),
            (b'# HELP b_seconds A time.\n', b''), (b'b_seconds 1.5e-05\n', b''),
            (b'"b",', b'"x\\\\y\\"z\\nw",'), (b'\n', b'\r\n'), (b'"b"', b'"\xff"'),
            (b'b_seconds', b'a_total'), (b'{stream="b"', b'{quantile="0.5"'), (b'a_total', b'a-total'),
        ]:
            with self.subTest(replaced=wrong, by=right):
                self.assertIn(wrong, GOOD)
                with self.assertRaises(FormatError):
                    prometheus_format.read(GOOD.replace(wrong, right))


class MetricsFileTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="cliptag-test.")
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "metrics.prom")

    def launch(self, line):
        """Runs it until the test has seen what it waits for."""
        tool = shutil.which("gst-launch-1.0")
        if not tool:
            self.skipTest("no gst-launch-1.0 here")
        env = dict(os.environ)
        if preload := env.get("CLIPTAG_PRELOAD"):
            env["LD_PRELOAD"] = preload
        process = subprocess.Popen([tool, "-q", "-e", *shlex.split(line)], stderr=subprocess.PIPE, text=True, env=env)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def read(self):
        try:
            with open(self.path, "rb") as f:
                return prometheus_format.read(f.read())
        except FileNotFoundError:
            return {}

    def wait_for(self, process, condition):
        end = time.monotonic() + 120
        while not condition(metrics := self.read()):
            self.assertIsNone(process.poll(), "it has ended")
            self.assertLess(time.monotonic(), end, metrics)
            time.sleep(0.02)
        return metrics

    def stop(self, process):
        process.send_signal(signal.SIGINT)
        self.assertEqual(0, process.wait(timeout=120), process.stderr.read())
        self.assertFalse(os.path.exists(self.path), "old numbers are left")

    ALIVE = " videotestsrc is-live=true ! fakesink"  # until it is stopped

    def test_tags(self):
        process = self.launch(
            "videotestsrc num-buffers=10 pattern=ball ! video/x-raw,width=320,height=240 ! cliptag name=a "
            f"prompts='moon; the car' metrics-file={self.path} ! fakesink" + self.ALIVE)

        def counts(metrics, name):
            return {tuple(pair[1] for pair in labels if pair[0] in ("label", "state")): value
                    for labels, value in metrics.get(name, {"samples": {}})["samples"].items()}
        metrics = self.wait_for(process, lambda m: counts(m, "cliptag_tag_events_total").get(("moon", "end")) == 1)
        self.assertEqual({("moon",): 0, ('the car',): 0}, counts(metrics, "cliptag_tag_active"))
        self.assertEqual({("moon", "start"): 1, ("moon", "end"): 1, ('the car', "start"): 0,
                          ('the car', "end"): 0}, counts(metrics, "cliptag_tag_events_total"))
        for score in counts(metrics, "cliptag_tag_score").values():
            self.assertTrue(0 <= score <= 1, score)
        self.stop(process)

    def test_two_elements_of_one_process(self):
        one = ("videotestsrc num-buffers={} ! video/x-raw,width=64,height=64 ! cliptag name={}"
               f" prompts='ball;car' metrics-file={self.path} ! fakesink ")
        process = self.launch(one.format(5, "a") + one.format(7, "b") + self.ALIVE)
        metrics = self.wait_for(process, lambda m: sorted(
            m.get("cliptag_inferred_total", {"samples": {}})["samples"].values()) == [5, 7])
        self.stop(process)
        for name in ("cliptag_frames_total", "cliptag_inferred_total", "cliptag_failed_total",
                     "cliptag_batches_total", "cliptag_batch_mean_frames", "cliptag_latency_p50_seconds",
                     "cliptag_latency_p99_seconds", "cliptag_replaced_total", "cliptag_too_slow",
                     "cliptag_tags_age_p50_seconds"):
            self.assertIn(name, metrics)
            self.assertEqual(2, len(metrics[name]["samples"]), name)
        frames = {dict(labels)["stream"].split(":")[-1]: value
                  for labels, value in metrics["cliptag_frames_total"]["samples"].items()}
        self.assertEqual({"a": 5, "b": 7}, frames)
        for labels in metrics["cliptag_frames_total"]["samples"]:
            labels = dict(labels)
            self.assertEqual(["stream", "model", "backend", "precision"], list(labels))
            self.assertEqual(("starter", "cpu"), (labels["model"], labels["backend"]))
        for value in metrics["cliptag_latency_p99_seconds"]["samples"].values():
            self.assertTrue(0 < value < 60, value)


if __name__ == "__main__":
    unittest.main(verbosity=2)
