#!/usr/bin/env python3
"""The `cliptag` command where it is used wrongly or ends early: words that it does not know, streams that are
closed, signals, and outputs that must not be spoilt."""
import json
import os
import signal
import stat
import struct
import subprocess
import time
import unittest
import zlib

from tool import TOOL, FolderCase, read_npy, run, run_json, run_ok, write_png, write_video

TIMEOUT_S = 60


def write_gif(path, colours, width=40, height=30):
    """A GIF of one frame per colour. Codes of eight bits for a palette of 128: no table ever grows."""
    clear, end = 128, 129
    palette = b"".join(bytes(c) for c in colours) + bytes(3 * (128 - len(colours)))
    data = b"GIF89a" + struct.pack("<HHBBB", width, height, 0xf6, 0, 0) + palette
    for i in range(len(colours)):
        pixels = bytes([i]) * (width * height)
        codes = b"".join(bytes([clear]) + pixels[at:at + 100] for at in range(0, len(pixels), 100)) + bytes([end])
        data += b"\x21\xf9\x04\0" + struct.pack("<H", 10) + b"\0\0"  # shown for a tenth of a second
        data += b"\x2c" + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\7"
        data += b"".join(bytes([len(block)]) + block
                         for block in (codes[at:at + 255] for at in range(0, len(codes), 255))) + b"\0"
    with open(path, "wb") as f:
        f.write(data + b";")
    return path


class Words(FolderCase):
    def test_words_that_are_no_command_are_named(self):
        for args, word, known in ((["frob"], "'frob'", "classify"), (["bank", "frob"], "'frob'", "export"),
                                  (["models", "frob"], "'frob'", "pull"), (["--frob"], "'--frob'", "classify")):
            with self.subTest(args=args):
                self.assert_complains(run(*args), word, known, code=2)

    def test_the_hint_is_the_help_of_the_whole_command(self):
        self.assert_complains(run("bank", "export"), "(see cliptag bank export --help)", code=2)

    def test_no_command_is_explained_by_its_library(self):
        """What CLI11 puts beside names by itself says nothing to a user."""
        for command in (["embed"], ["classify"], ["bench"], ["bank", "export"], ["bank", "import"],
                        ["bank", "info"], ["eval"], ["models", "list"], ["models", "info"], ["models", "pull"]):
            self.assertNotRegex(run_ok(*command, "--help"), r"TEXT REQUIRED|Needs:|Excludes:")

    def test_options_that_are_not_used_are_told(self):
        prompts = self.write("p.json", '{"templates": ["a {}"], "background": ["x"], "tags": [{"label": "dog"}]}')
        picture = write_png(self.at("a.png"), 1)
        done = run("classify", "--prompts-file", prompts, "--templates", "b {}", "--background", "y", picture)
        self.assertEqual(0, done.returncode)
        self.assertEqual([f"cliptag: warning: --templates is not used: '{prompts}' has its own",
                          f"cliptag: warning: --background is not used: '{prompts}' has its own"],
                         done.stderr.splitlines())

    def test_a_list_of_labels_is_text(self):
        picture = write_png(self.at("a.png"), 1)
        for data in (b"dog\ncaf\xe9\n", b"dog\nc\0a\0t\0\n", b"dog\n\x1b[1m\n"):
            with open(self.at("labels.txt"), "wb") as f:
                f.write(data)
            self.assert_complains(run("classify", "--prompts-file", self.at("labels.txt"), picture),
                                  "labels.txt:2:1", "no text in UTF-8")
        self.assert_complains(run("classify", "--prompts-file", picture, picture), "a.png:1:1", "UTF-8")
        labels = self.write("labels.txt", "caf\u00e9\n\ufffd\n\U0001f525\tfire\n")
        self.assertEqual(3, len(run_json("classify", "--prompts-file", labels, "--json", picture)[0]["tags"]))


class Pictures(FolderCase):
    def test_a_gif_comes_to_an_end(self):
        if not write_video(self.at("v.webm"), 2):
            self.skipTest("there is no GStreamer here")
        if subprocess.run(["gst-inspect-1.0", "avdec_gif"], capture_output=True, timeout=TIMEOUT_S).returncode:
            self.skipTest("GStreamer has no avdec_gif here")
        colours = ((200, 0, 0), (0, 200, 0), (0, 0, 200))
        for count in (1, 3):
            gif = write_gif(self.at(f"{count}.gif"), colours[:count])
            began = time.monotonic()
            entries = run_json("classify", "--prompts", "a; b", "--fps", 0, "--json", gif)
            self.assertEqual(count, len(entries))
            self.assertLess(time.monotonic() - began, 12, "it was given up, not ended")  # that takes 15 s

    def test_a_picture_that_is_too_large(self):
        with open(write_png(self.at("a.png"), 1), "r+b") as f:
            data = bytearray(f.read())
            data[16:24] = struct.pack(">II", 40000, 40000)
            data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
            f.seek(0)
            f.write(data)
        self.assert_complains(run("classify", "--prompts", "a", self.at("a.png")), "too large", "40000x40000",
                              "250 megapixels")


class Streams(FolderCase):
    def closing(self, number, *args, **kwargs):
        return subprocess.run([TOOL, *args], timeout=TIMEOUT_S, preexec_fn=lambda: os.close(number),
                              stdin=subprocess.DEVNULL, **kwargs)

    def test_a_closed_stdout_is_an_error(self):
        done = self.closing(1, "classify", "--prompts", "dog", write_png(self.at("a.png"), 1),
                            stderr=subprocess.PIPE, text=True)
        self.assert_complains(done, "cannot write to standard output")

    def test_warnings_do_not_go_into_a_file(self):
        """The first file that is opened would have the number of stderr."""
        args = ("embed", "--text", "word " * 100, "--output")
        self.assertIn("cut", run(*args, self.at("a.npy")).stderr)
        self.assertEqual(0, self.closing(2, *args, self.at("b.npy")).returncode)
        self.assertEqual(read_npy(self.at("a.npy")), read_npy(self.at("b.npy")))

    def test_help_that_nobody_takes(self):
        if not os.path.exists("/dev/full"):
            self.skipTest("there is no /dev/full here")
        with open("/dev/full", "w") as full:
            done = subprocess.run([TOOL, "--help"], stdout=full, stderr=subprocess.PIPE, text=True,
                                  timeout=TIMEOUT_S)
        self.assert_complains(done, "standard output", "No space left")


class Signals(FolderCase):
    ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def half_way(self, ignored=()):
        """A process that is writing rows, which takes some seconds. What the tests themselves ignore, under
        nohup say, it would ignore, too."""
        def prepare():
            for number in self.ENDING:
                signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)
        texts = [arg for i in range(5000) for arg in ("--text", f"number {i}")]
        process = subprocess.Popen([TOOL, "embed", "--output", self.at("out.npy"), *texts], preexec_fn=prepare)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        end = time.monotonic() + TIMEOUT_S
        while not os.listdir(self.folder) and time.monotonic() < end:
            time.sleep(0.005)
        self.assertEqual(1, len(os.listdir(self.folder)))
        self.assertIsNone(process.poll())
        return process

    def test_what_is_unfinished_does_not_stay(self):
        for number in self.ENDING:
            with self.subTest(signal=number):
                process = self.half_way()
                process.send_signal(number)
                self.assertEqual(-number, process.wait(TIMEOUT_S))
                self.assertEqual([], os.listdir(self.folder))

    def test_a_signal_that_is_ignored_stays_so(self):
        process = self.half_way(ignored=(signal.SIGHUP,))
        process.send_signal(signal.SIGHUP)  # delivered before the next, whose number is higher
        process.terminate()
        self.assertEqual(-signal.SIGTERM, process.wait(TIMEOUT_S))


class Outputs(FolderCase):
    def export(self, output):
        return run("bank", "export", "--prompts", "a; b", "--output", output)

    def test_what_a_bank_must_not_replace(self):
        os.mkdir(self.at("folder"))
        os.mkfifo(self.at("pipe"))
        for name, part in (("folder", "is a directory"), ("pipe", "no regular file"),
                           ("none/b.safetensors", "no folder")):
            self.assert_complains(self.export(self.at(name)), self.at(name), part)
        self.assertTrue(stat.S_ISFIFO(os.stat(self.at("pipe")).st_mode))
        self.assertEqual(["folder", "pipe"], sorted(os.listdir(self.folder)))

    def test_a_bank_follows_links_and_keeps_permissions(self):
        self.write("old.safetensors", "old")
        os.chmod(self.at("old.safetensors"), 0o640)
        os.symlink("old.safetensors", self.at("link.safetensors"))
        self.assertEqual(0, self.export(self.at("link.safetensors")).returncode)
        self.assertTrue(os.path.islink(self.at("link.safetensors")))
        self.assertEqual(0o640, stat.S_IMODE(os.stat(self.at("old.safetensors")).st_mode))
        self.assertIn("labels a; b", run_ok("bank", "info", self.at("old.safetensors")))
        self.assertEqual(2, len(os.listdir(self.folder)))

    def calibrate(self, *prompts, output):
        for label in ("red", "blue"):
            os.makedirs(self.at("set", label), exist_ok=True)
            write_png(self.at("set", label, "a.png"), len(label))
        return run("eval", "--calibrate", "--dataset", self.at("set"), "--output", output, *prompts)

    def test_calibration_asks_for_its_output_first(self):
        """Before a model is looked for: there is none of this name."""
        model = ("--model", "no-such-model")
        prompts = ("--prompts", "red; blue", *model)
        self.assert_complains(self.calibrate(*prompts, output=self.at("none", "p.json")), "no folder")
        self.assert_complains(self.calibrate(*prompts, output=self.at("set")), "directory")
        run_ok("bank", "export", "--prompts", "red; blue", "--output", self.at("b.safetensors"))
        self.assert_complains(self.calibrate("--prompts-file", self.at("b.safetensors"), *model,
                                             output=self.at("p.json")), "bank")
        self.assert_complains(self.calibrate(*prompts, output=self.at("p.json")), "no-such-model")

    def test_calibration_leaves_an_editors_backup_alone(self):
        prompts = self.write("p.json", '{"tags": [{"label": "red"}, {"label": "blue"}]}')
        self.write("p.json~", "of an editor")
        os.symlink("p.json", self.at("link.json"))
        done = self.calibrate("--prompts-file", prompts, output=self.at("link.json"))
        self.assertEqual(0, done.returncode, done.stderr)
        with open(self.at("p.json~"), encoding="utf-8") as f:
            self.assertEqual("of an editor", f.read())
        self.assertTrue(os.path.islink(self.at("link.json")))
        with open(prompts, encoding="utf-8") as f:
            self.assertEqual(["red", "blue"], [tag["label"] for tag in json.load(f)["tags"]])


if __name__ == "__main__":
    unittest.main(verbosity=2)
