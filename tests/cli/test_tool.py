#!/usr/bin/env python3
"""The `cliptag` command, run with the starter model: what it writes and what it says when it cannot."""
import csv
import io
import json
import math
import os
import resource
import shutil
import struct
import subprocess
import unittest

from tool import SOURCE, TOOL, FolderCase, dot, read_npy, run, run_json, run_ok, write_png, write_video

STARTER_DIM = 192


class ToolTest(FolderCase):
    def pictures(self, count):
        return [write_png(self.at(f"{i}.png"), seed=i, width=50 + 7 * i) for i in range(count)]

    def video(self, frames):
        path = write_video(self.at("video.webm"), frames)
        if not path:
            self.skipTest("gst-launch-1.0 cannot make a VP8 video here")
        return path

    def rows(self, *args):
        output = self.at("rows.npy")
        run_ok("embed", "--output", output, *args)
        rows = read_npy(output)
        for row in rows:
            self.assertEqual(STARTER_DIM, len(row))
            self.assertAlmostEqual(1, dot(row, row), delta=1e-5)
        return rows

    def assert_same(self, a, b, tolerance=1e-5):
        self.assertEqual(len(a), len(b))
        for x, y in zip(a, b):
            self.assertLess(max(abs(p - q) for p, q in zip(x, y)), tolerance)


class DamagedModel(ToolTest):
    def damaged(self, tensor, first=0, count=4):
        """The starter with NaN in some bytes of a tensor."""
        folder = shutil.copytree(os.path.join(SOURCE, "models", "starter"), self.at("damaged"))
        with open(os.path.join(folder, "model.safetensors"), "r+b") as f:
            length = struct.unpack("<Q", f.read(8))[0]
            f.seek(8 + length + json.loads(f.read(length))[tensor]["data_offsets"][0] + first)
            f.write(b"\xff" * count)
        return folder

    def assert_refused(self, *args):
        done = run("embed", "--output", self.at("rows.npy"), *args)
        self.assertEqual(1, done.returncode, done.stderr)
        self.assertIn("NaN", done.stderr)
        self.assertFalse(os.path.exists(self.at("rows.npy")))
        return done.stderr

    def test_nan_in_the_text_tower_is_told_at_the_start(self):
        model = self.damaged("text_model.encoder.layers.1.mlp.fc1.weight")
        self.assertIn("text", self.assert_refused("--model", model, "--text", "a"))
        self.assert_refused("--model", model, self.pictures(1)[0])

    def test_nan_in_the_image_tower_is_told_at_the_start(self):
        model = self.damaged("vision_model.encoder.layers.1.mlp.fc1.weight")
        self.assertIn("pictures", self.assert_refused("--model", model, "--text", "a"))

    def test_nan_of_one_word_is_told_with_its_text(self):
        with open(os.path.join(SOURCE, "models", "starter", "vocab.json"), encoding="utf-8") as f:
            word = json.load(f)["dog</w>"]
        table = "text_model.embeddings.token_embedding.weight"
        with open(os.path.join(SOURCE, "models", "starter", "model.safetensors"), "rb") as f:
            header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        begin, end = header[table]["data_offsets"]
        row = (end - begin) // header[table]["shape"][0]
        model = self.damaged(table, word * row, row)
        run_ok("embed", "--model", model, "--output", self.at("good.npy"), "--text", "a cat")
        self.assertIn("'a dog'", self.assert_refused("--model", model, "--text", "a cat", "--text", "a dog"))


class TextCache(ToolTest):
    def setUp(self):
        super().setUp()
        before = os.environ.get("CLIPTAG_TEXT_CACHE")
        os.environ["CLIPTAG_TEXT_CACHE"] = self.at("texts")
        self.addCleanup(os.environ.__setitem__, "CLIPTAG_TEXT_CACHE", before or "")

    def test_texts_are_encoded_once_for_embed_and_classify(self):
        first = self.rows("--text", "a photo of a dog.", "--text", "a")
        files = [f for f in os.listdir(self.at("texts")) if f.endswith(".texts")]
        self.assertEqual(1, len(files))
        self.assertTrue(files[0].startswith("starter-"))
        path = os.path.join(self.at("texts"), files[0])
        size = os.path.getsize(path)
        self.assertEqual(first, self.rows("--text", "a photo of a dog.", "--text", "a"))
        self.assertEqual(size, os.path.getsize(path))
        picture = self.pictures(1)[0]
        run_ok("classify", "--templates", "a photo of a {}.", "--prompts", "dog; cat", picture)
        # Of these two and the eight of the background, one was known.
        grown = os.path.getsize(path)
        self.assertGreater(grown, size)
        run_ok("classify", "--templates", "a photo of a {}.", "--prompts", "cat; dog", picture)
        self.assertEqual(grown, os.path.getsize(path))

    def test_a_place_where_nothing_can_be_kept_is_one_warning(self):
        self.write("texts", "")
        done = run("embed", "--output", self.at("rows.npy"), "--text", "a dog", "--text", "a cat")
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertEqual(1, len(done.stderr.splitlines()), done.stderr)
        self.assertIn("cliptag: warning: Embeddings of texts are not kept", done.stderr)


class CommandLine(ToolTest):
    def test_every_command_explains_itself_with_an_example(self):
        self.assertIn("COMMAND --help", run_ok("--help"))
        for command in (["embed"], ["classify"], ["bench"], ["models"], ["models", "list"],
                        ["models", "info"], ["models", "pull"]):
            text = run_ok(*command, "--help")
            self.assertRegex(text, r"Examples?:\n  cliptag " + " ".join(command))

    def test_alone_it_explains_itself(self):
        self.assertEqual(run_ok("--help"), run_ok())

    def test_help_is_no_wider_than_a_terminal(self):
        for command in ([], ["embed"], ["classify"], ["bench"], ["bank", "export"], ["eval"], ["models", "pull"]):
            for line in run_ok(*command, "--help").splitlines():
                self.assertLessEqual(len(line), 80, f"{command}: {line}")

    def test_version(self):
        self.assertRegex(run_ok("--version"), r"^cliptag \d+\.\d+\.\d+\n$")

    def test_mistakes_name_the_option(self):
        picture = write_png(self.at("a.png"), 1)
        for args, part in (
                (["tag"], "'tag'"),
                (["embed", picture], "--output"),
                (["embed", "--output", self.at("o.npy")], "--text"),
                (["embed", "--output", self.at("o.npy"), "--text", "a", picture], "--text"),
                (["embed", "--output", self.at("o.npy"), "--batch", "0", picture], "--batch"),
                (["embed", "--output", self.at("o.npy"), "--fps", "-1", picture], "--fps"),
                (["embed", "--output", self.at("o.npy"), "--fps", "nan", picture], "--fps"),
                (["embed", "--output", self.at("o.npy"), "--threads", "x", picture], "--threads"),
                (["classify", picture], "--prompts"),
                (["classify", "--prompts", "a"], "FILE"),
                (["classify", "--prompts", "a", "--json", "--csv", picture], "--csv"),
                (["classify", "--prompts", "a", "--prompts-file", "b", picture], "--prompts-file"),
                (["classify", "--prompts", "a", "--scoring", "loud", picture], "--scoring"),
                (["classify", "--prompts", "a", "--top-k", "-1", picture], "--top-k"),
                (["bench", "--stage", "lunch"], "--stage"),
                (["bench", "--seconds", "nan"], "--seconds"),
                (["bench", "--precision", "fp64"], "--precision"),
                (["bench", "--backend", "abacus"], "--backend"),
                (["bench", "--stream", "4"], "--stream"),
                (["models"], "subcommand"),
                (["models", "info"], "MODEL"),
                (["models", "info", "starter", "--seconds", "nan"], "--seconds"),
                (["models", "pull"], "ID")):
            with self.subTest(args=args):
                self.assert_complains(run(*args), part, "--help)", code=2)


class Embed(ToolTest):
    def test_a_unit_row_per_picture_in_the_order_given(self):
        files = self.pictures(11)  # more than one batch
        forward = self.rows(*files)
        backward = self.rows(*reversed(files))
        self.assertEqual(len(files), len(forward))
        self.assert_same(forward, backward[::-1])
        for i, row in enumerate(forward):
            others = [dot(row, other) for j, other in enumerate(forward) if j != i]
            self.assertLess(max(others), 0.9999, "different pictures, the same row")

    def test_batches_and_threads_change_nothing(self):
        files = self.pictures(5)
        rows = self.rows("--precision", "fp32", *files)
        self.assert_same(rows, self.rows("--precision", "fp32", "--batch", 1, *files))
        self.assert_same(rows, self.rows("--precision", "fp32", "--batch", 2, "--threads", 1, *files))

    def test_alpha_is_dropped(self):
        opaque = write_png(self.at("rgb.png"), 5, channels=3)
        grey = write_png(self.at("grey.png"), 5, channels=1)
        clear = write_png(self.at("rgba.png"), 5, channels=4)
        self.assertEqual(3, len(self.rows(opaque, grey, clear)))

    def test_texts_are_taken_as_they_are(self):
        texts = ["", "a dog", "{}", "[a,b]", "-x", "a; b", "\U0001f525 fire", "%%"]
        args = [arg for text in texts for arg in ("--text", text)]
        rows = self.rows(*args)
        self.assertEqual(len(texts), len(rows))
        for text, row in zip(texts, rows):
            self.assert_same([row], self.rows("--text", text))
        self.assertLess(dot(rows[0], rows[1]), 0.9999)

    def test_more_texts_than_a_chunk(self):
        texts = [f"number {i}" for i in range(300)]
        rows = self.rows(*[arg for text in texts for arg in ("--text", text)])
        self.assertEqual(300, len(rows))
        self.assert_same(rows[299:], self.rows("--text", texts[299]), 2e-3)

    def test_a_long_text_is_cut_with_one_warning(self):
        done = run("embed", "--output", self.at("a.npy"), "--text", "word " * 100, "--text", "a dog")
        self.assertEqual(0, done.returncode, done.stderr)
        lines = done.stderr.splitlines()
        self.assertEqual(1, len(lines), done.stderr)
        self.assertRegex(lines[0], "^cliptag: warning: 1 text is longer than .* tokens")
        self.assertEqual(2, len(read_npy(self.at("a.npy"))))

    def test_a_row_per_sampled_frame(self):
        video = self.video(40)  # four seconds
        picture = write_png(self.at("a.png"), 1)
        self.assertEqual(4, len(self.rows(video)))
        self.assertEqual(8, len(self.rows("--fps", 2, video)))
        self.assertEqual(40, len(self.rows("--fps", 0, video)))
        mixed = self.rows(picture, video, picture)
        self.assertEqual(6, len(mixed))
        self.assert_same(mixed[:1], mixed[5:])

    def bad_files(self):
        """(file, a word of what must be said about it)"""
        os.mkdir(self.at("folder"))
        for name, content in (("empty.png", b""), ("text.txt", b"hello there\n" * 50),
                              ("noise.bin", bytes((i * i * 7919 >> 3) & 255 for i in range(4000)))):
            with open(self.at(name), "wb") as f:
                f.write(content)
        write_png(self.at("cut.png"), 1, cut=150)
        write_png(self.at("stub.png"), 1, cut=20)
        return [(self.at("missing.png"), "No such file"), (self.at("folder"), "directory"),
                (self.at("empty.png"), "empty"), (self.at("text.txt"), "text.txt"),
                (self.at("noise.bin"), "noise.bin"), (self.at("cut.png"), "truncated"),
                (self.at("stub.png"), "truncated")]

    def test_a_bad_file_is_named_and_nothing_is_written(self):
        good = write_png(self.at("good.png"), 1)
        output = self.at("out.npy")
        for bad, part in self.bad_files():
            with self.subTest(bad=bad):
                before = sorted(os.listdir(self.folder))
                self.assert_complains(run("embed", "--output", output, good, bad, good), bad, part)
                self.assertEqual(before, sorted(os.listdir(self.folder)))

    def test_a_failure_keeps_the_old_output(self):
        output = self.write("out.npy", "old")
        write_png(self.at("cut.png"), 1, cut=150)
        self.assertEqual(1, run("embed", "--output", output, self.at("cut.png")).returncode)
        with open(output) as f:
            self.assertEqual("old", f.read())

    def test_an_output_that_cannot_be_written(self):
        picture = write_png(self.at("a.png"), 1)
        output = self.at("no/such/folder.npy")
        self.assert_complains(run("embed", "--output", output, picture), output, "No such file")
        self.assert_complains(run("embed", "--output", self.folder, picture), "directory")

    def test_a_full_disk(self):
        picture = write_png(self.at("a.png"), 1)
        if os.path.exists("/dev/full"):
            self.assert_complains(run("embed", "--output", "/dev/full", picture), "/dev/full",
                                  "No space left")
        # Without a small file system of its own: a limit on the size of files, in the middle of a row.
        texts = [arg for i in range(40) for arg in ("--text", f"text {i}")]
        limit = 10_000
        done = subprocess.run([TOOL, "embed", "--output", self.at("out.npy"), *texts], text=True,
                              capture_output=True, timeout=60, restore_signals=False,
                              preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE,
                                                                    (limit, limit)))
        self.assert_complains(done, self.at("out.npy"), "cannot write")
        self.assertEqual(["a.png"], os.listdir(self.folder))

    def test_which_row_is_which(self):
        def names(path):
            with open(path, encoding="utf-8") as f:
                return [json.loads(line) for line in f]

        files = self.pictures(2)
        self.rows(*files)
        self.assertEqual([{"row": i, "file": file, "time": None} for i, file in enumerate(files)],
                         names(self.at("rows.rows.jsonl")))
        self.rows("--rows", self.at("names"), "--text", "a dog", "--text", "")
        self.assertEqual([{"row": 0, "text": "a dog"}, {"row": 1, "text": ""}], names(self.at("names")))
        video = self.video(20)
        self.rows("--fps", 2, video)
        self.assertEqual([0, 0.5, 1, 1.5], [round(name["time"], 2) for name in names(self.at("rows.rows.jsonl"))])

    def test_one_bad_file_need_not_void_the_rest(self):
        good, missing = self.pictures(2), self.at("missing.png")
        done = run("embed", "--keep-going", "--output", self.at("o.npy"), good[0], missing, good[1])
        self.assert_complains(done, missing)
        self.assert_same(read_npy(self.at("o.npy")), self.rows(*good))
        with open(self.at("o.rows.jsonl"), encoding="utf-8") as f:
            self.assertEqual(good, [json.loads(line)["file"] for line in f])
        self.assertEqual(1, run("embed", "--keep-going", "--output", self.at("p.npy"), missing).returncode)
        self.assertFalse(os.path.exists(self.at("p.npy")))

    def test_rows_to_standard_output(self):
        picture = write_png(self.at("a.png"), 1)
        done = subprocess.run([TOOL, "embed", "--output", "-", picture], capture_output=True, timeout=60,
                              cwd=self.folder)
        self.assertEqual(0, done.returncode, done.stderr)
        with open(self.at("piped.npy"), "wb") as f:
            f.write(done.stdout)
        self.assert_same(read_npy(self.at("piped.npy")), self.rows(picture))
        self.assertEqual(["a.png", "piped.npy", "rows.npy", "rows.rows.jsonl"], sorted(os.listdir(self.folder)))

    def test_a_pipe_takes_the_rows(self):
        picture = write_png(self.at("a.png"), 1)
        done = subprocess.run([TOOL, "embed", "--output", "/dev/stdout", picture], capture_output=True,
                              timeout=60)
        self.assertEqual(0, done.returncode, done.stderr)
        with open(self.at("piped.npy"), "wb") as f:
            f.write(done.stdout)
        self.assert_same(read_npy(self.at("piped.npy")), self.rows(picture))


class Classify(ToolTest):
    def test_json_has_the_fields_of_the_contract(self):
        files = self.pictures(3)
        entries = run_json("classify", "--prompts", "fire; dog;cat\nbus", "--json", *files)
        self.assertEqual(files, [entry["file"] for entry in entries])
        for entry in entries:
            self.assertEqual(["file", "time", "tags"], list(entry))
            self.assertIsNone(entry["time"])
            self.assertEqual({"fire", "dog", "cat", "bus"}, {tag["label"] for tag in entry["tags"]})
            for tag in entry["tags"]:
                self.assertEqual(["label", "score", "cosine", "active"], list(tag))
                self.assertEqual(tag["active"], tag["score"] >= 0.5)
                self.assertTrue(0 <= tag["score"] <= 1 and -1.001 <= tag["cosine"] <= 1.001, tag)
            scores = [tag["score"] for tag in entry["tags"]]
            self.assertEqual(sorted(scores, reverse=True), scores)

    def test_scores_follow_the_scoring(self):
        picture = self.pictures(1)[0]
        info = run_json("models", "info", "starter", "--json")
        scale = info["logit_scale"]

        def tags(*args):
            entry = run_json("classify", "--prompts", "fire; dog; cat", "--json", *args, picture)[0]
            return {tag["label"]: tag for tag in entry["tags"]}

        cosines = {label: tag["cosine"] for label, tag in tags().items()}
        total = math.fsum(math.exp(scale * c) for c in cosines.values())
        for label, tag in tags("--scoring", "softmax").items():
            self.assertAlmostEqual(math.exp(scale * cosines[label]) / total, tag["score"], delta=1e-4)
        for label, tag in tags("--scoring", "cosine").items():
            self.assertAlmostEqual((cosines[label] + 1) / 2, tag["score"], delta=1e-5)
        done = run("classify", "--prompts", "fire; dog; cat", "--json", "--scoring", "sigmoid", picture)
        self.assertRegex(done.stderr, "^cliptag: warning: The model has no bias[^\n]*\n$")
        for label, tag in ((tag["label"], tag) for tag in json.loads(done.stdout)[0]["tags"]):
            logit = scale * cosines[label] + info["logit_bias"]
            self.assertAlmostEqual(1 / (1 + math.exp(-logit)), tag["score"], delta=1e-4)
        # Compared with itself alone a tag scores one half, whatever the picture; that is warned of.
        done = run("classify", "--prompts", "fire", "--background", "Fire", "--json", "--scoring", "contrast",
                   "--templates", "{}", picture)
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertAlmostEqual(0.5, json.loads(done.stdout)[0]["tags"][0]["score"], delta=1e-6)
        self.assertRegex(done.stderr, '^cliptag: warning: The tag "fire" is a background prompt[^\n]*\n$')

    def test_cosines_are_those_of_embed(self):
        picture = self.pictures(1)[0]
        run_ok("embed", "--precision", "fp32", "--output", self.at("p.npy"), picture)
        run_ok("embed", "--precision", "fp32", "--output", self.at("t.npy"), "--text", "a big dog!")
        expected = dot(read_npy(self.at("p.npy"))[0], read_npy(self.at("t.npy"))[0])
        entry = run_json("classify", "--precision", "fp32", "--prompts", "dog", "--templates",
                         "a big {}!", "--json", picture)[0]
        self.assertAlmostEqual(expected, entry["tags"][0]["cosine"], delta=1e-4)

    def test_times_of_a_video(self):
        video = self.video(40)
        entries = run_json("classify", "--prompts", "fire; dog", "--fps", 2, "--json", video)
        self.assertEqual(8, len(entries))
        for i, entry in enumerate(entries):
            self.assertEqual(video, entry["file"])
            self.assertAlmostEqual(i / 2, entry["time"], delta=0.002)

    def test_top_k(self):
        picture = self.pictures(1)[0]
        prompts = "; ".join(f"thing {i}" for i in range(9))
        for args, count in ((["--json"], 9), (["--json", "--top-k", 3], 3), (["--json", "--top-k", 0], 9),
                            (["--json", "--top-k", 50], 9)):
            entry = run_json("classify", "--prompts", prompts, *args, picture)[0]
            self.assertEqual(count, len(entry["tags"]), args)
        self.assertEqual(1 + 5, len(run_ok("classify", "--prompts", prompts, picture).splitlines()))

    def test_the_table(self):
        picture = self.pictures(1)[0]
        lines = run_ok("classify", "--prompts", "fire; dog", picture).splitlines()
        self.assertEqual(picture, lines[0])
        self.assertEqual(3, len(lines))
        for line in lines[1:]:
            self.assertRegex(line, r"^[ *] [01]\.\d{4}  [-+][01]\.\d{4}  (fire|dog)$")

    def test_prompts_files(self):
        picture = self.pictures(1)[0]
        lines = self.write("lines.txt", "fire\ndog\n")
        tags = self.write("tags.json", json.dumps(
            {"templates": ["a {}"], "background": ["a wall"],
             "tags": [{"label": "fire", "prompts": ["fire", "flames"]}, {"label": "dog"}]}))
        for file in (lines, tags):
            entry = run_json("classify", "--prompts-file", file, "--json", picture)[0]
            self.assertEqual({"fire", "dog"}, {tag["label"] for tag in entry["tags"]})
        broken = self.write("broken.json", '{"tags": [{"label": "fire"},\n ]}')
        self.assert_complains(run("classify", "--prompts-file", broken, picture), "broken.json:2:")
        self.assert_complains(run("classify", "--prompts-file", self.at("none.json"), picture), "none.json")

    def test_scores_are_the_elements(self):
        """By contrast with the background: one label is not always 1, and thresholds are those of the file."""
        picture = self.pictures(1)[0]
        self.assertEqual(run_json("classify", "--prompts", "fire", "--json", picture),
                         run_json("classify", "--prompts", "fire", "--json", "--scoring", "contrast", picture))
        score = run_json("classify", "--prompts", "fire", "--json", picture)[0]["tags"][0]["score"]
        self.assertLess(score, 0.9999)
        done = run("classify", "--prompts", "fire", "--scoring", "softmax", picture)
        self.assertRegex(done.stderr, "^cliptag: warning: Softmax over one label[^\n]*\n$")
        for threshold, active in ((0.0, True), (min(1.0, score + 1e-3), False)):
            prompts = self.write("p.json", json.dumps(
                {"tags": [{"label": "fire", "threshold": threshold, "min-duration": 5}]}))
            tag = run_json("classify", "--prompts-file", prompts, "--threshold", 1 - threshold, "--json",
                           picture)[0]["tags"][0]
            self.assertEqual(active, tag["active"])
            line = run_ok("classify", "--prompts-file", prompts, picture).splitlines()[1]
            self.assertEqual("* " if active else "  ", line[:2])

    def test_a_video_has_the_elements_spans(self):
        """min-duration holds a tag back that has just risen; still pictures know no time."""
        video = self.video(40)
        prompts = self.write("p.json", json.dumps(
            {"tags": [{"label": "fire", "threshold": 0, "min-duration": 1.5}]}))
        entries = run_json("classify", "--prompts-file", prompts, "--fps", 1, "--json", video, video)
        self.assertEqual(2 * [False, False, True, True], [entry["tags"][0]["active"] for entry in entries])

    def test_labels_that_are_hardly_meant(self):
        picture = self.pictures(1)[0]
        for prompts, part in (("fire, dog", '"fire, dog" is one label'), ("fire; dog; fire", "more than once")):
            done = run("classify", "--prompts", prompts, picture)
            self.assertEqual((0, 1), (done.returncode, len(done.stderr.splitlines())), done.stderr)
            self.assertIn(part, done.stderr)

    def test_formats(self):
        files = [*self.pictures(2), write_png(self.at('a "b", c.png'), 3)]
        args = ("classify", "--prompts", "fire; dog", "--top-k", 0)
        entries = run_json(*args, "--json", *files)
        for flag in ("--jsonl", "--json-lines"):
            self.assertEqual(entries, [json.loads(line) for line in run_ok(*args, flag, *files).splitlines()])
        rows = list(csv.DictReader(io.StringIO(run_ok(*args, "--csv", *files))))
        self.assertEqual([(entry["file"], "", tag["label"], f"{tag['score']:.6f}", str(int(tag["active"])))
                          for entry in entries for tag in entry["tags"]],
                         [(row["file"], row["time"], row["label"], row["score"], row["active"]) for row in rows])

    def test_folders_and_lists(self):
        os.makedirs(self.at("album", "deep"))
        files = [write_png(self.at("album", name), i) for i, name in enumerate(("a.png", "b.png", "deep/c.png"))]
        self.write("album/notes.txt", "not a picture")
        args = ("classify", "--prompts", "fire", "--json")
        done = run(*args, "--recursive", self.at("album"))
        self.assertEqual(files, [entry["file"] for entry in json.loads(done.stdout)])
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertIn("notes.txt", done.stderr)
        self.assert_complains(run(*args, self.at("album")), "directory", "--recursive")
        listed = self.write("list", f"{files[1]}\n\n{files[0]}\r\n")
        self.assertEqual(files[1::-1], [entry["file"] for entry in run_json(*args, "--files-from", listed)])
        with open(listed, encoding="utf-8") as f:
            done = subprocess.run([TOOL, *args, "--files-from", "-", files[2]], stdin=f, capture_output=True, text=True,
                                  timeout=60)
        self.assertEqual([files[2], files[1], files[0]], [entry["file"] for entry in json.loads(done.stdout)])
        self.assert_complains(run(*args, "--files-from", self.write("none", "\n")), "names none")
        self.assert_complains(run(*args, "--files-from", self.at("gone")), "gone")

    def test_prompts_that_cannot_be(self):
        picture = self.pictures(1)[0]
        for args in (["--prompts", "a;;b"], ["--prompts", ""], ["--prompts", "a", "--templates", "no slot"],
                     ["--prompts", "a", "--background", "x;;y"]):
            with self.subTest(args=args):
                self.assert_complains(run("classify", *args, picture))

    def test_a_bad_file_does_not_stop_the_others(self):
        files = self.pictures(2)
        missing = self.at("missing.png")
        done = run("classify", "--prompts", "fire; dog", "--json", files[0], missing, files[1])
        self.assert_complains(done, missing)
        self.assertEqual(files, [entry["file"] for entry in json.loads(done.stdout)])
        done = run("classify", "--prompts", "fire; dog", "--json", missing)
        self.assert_complains(done, missing)
        self.assertEqual([], json.loads(done.stdout))

    def test_a_name_that_is_no_text(self):
        path = os.fsencode(self.folder) + b"/\xff\xfe.png"
        os.rename(self.pictures(1)[0], path)
        done = subprocess.run([TOOL.encode(), b"classify", b"--prompts", b"dog", b"--json", path],
                              capture_output=True, timeout=60)
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertEqual(1, len(json.loads(done.stdout.decode("utf-8"))))

    def test_output_that_nobody_takes(self):
        if not os.path.exists("/dev/full"):
            self.skipTest("there is no /dev/full here")
        with open("/dev/full", "w") as full:
            done = subprocess.run([TOOL, "classify", "--prompts", "dog", *self.pictures(1)], stdout=full,
                                  stderr=subprocess.PIPE, text=True, timeout=60)
        self.assert_complains(done, "standard output", "No space left")


class Bench(ToolTest):
    def bench(self, *args):
        result = run_json("bench", "--seconds", 0.2, "--json", *args)
        self.assertEqual({"images_per_second", "latency_ms", "model", "stage", "backend", "device", "precision",
                          "batch", "ready_ms", "rss_mb", "anonymous_mb", "products"}, set(result))
        self.assertEqual(("starter", True), (result["model"], len(result["device"]) > 3))
        self.assertEqual({"median", "p99"}, set(result["latency_ms"]))
        latency = result["latency_ms"]
        self.assertGreater(latency["median"], 0)
        self.assertGreaterEqual(latency["p99"], latency["median"])
        self.assertAlmostEqual(1, result["images_per_second"] * latency["median"] /
                               (1000 * result["batch"]), delta=1e-6)
        self.assertGreater(result["ready_ms"], 0)
        self.assertGreater(result["rss_mb"], 10)
        # The starter's weights in whatever precision, which no file holds in that order.
        self.assertGreater(result["anonymous_mb"], 5)
        self.assertLessEqual(result["anonymous_mb"], result["rss_mb"])
        return result

    def test_int8_says_what_multiplies(self):
        result = self.bench("--backend", "cpu", "--precision", "int8")
        self.assertEqual("int8", result["precision"])
        self.assertRegex("\n".join(result["products"]), r"192x768: (avx512_vnni|amx_int8|int8) ")

    def test_auto_takes_bytes_for_the_starter_where_they_are_quick(self):
        products = "\n".join(self.bench("--backend", "cpu", "--precision", "int8")["products"])
        quick = "avx512_vnni" in products or "amx_int8" in products
        before = os.environ.get("CLIPTAG_TEXT_CACHE")
        self.addCleanup(os.environ.__setitem__, "CLIPTAG_TEXT_CACHE", before or "")
        os.environ["CLIPTAG_TEXT_CACHE"] = self.at("trials")
        for start in ("first", "second"):
            with self.subTest(start=start):
                result = self.bench("--backend", "cpu")
                self.assertEqual(quick, result["precision"] == "int8", result["precision"])
                self.assertEqual(quick, "192x768: avx512_vnni" in "\n".join(result["products"]) or
                                 "192x768: amx_int8" in "\n".join(result["products"]))
        trials = [f for f in os.listdir(self.at("trials")) if f.endswith(".precision")] if quick else []
        self.assertEqual(quick, len(trials) == 1 and trials[0].startswith("starter-"), trials)

    def test_fields_of_every_stage(self):
        for stage in ("encode", "preprocess", "text", "all"):
            with self.subTest(stage=stage):
                result = self.bench("--stage", stage, "--batch", 2, "--width", 320, "--height", 240)
                self.assertEqual((2, stage), (result["batch"], result["stage"]))
                self.assertEqual("cpu", result["backend"])

    def test_it_says_what_ran(self):
        result = self.bench("--precision", "fp32", "--backend", "cpu")
        self.assertEqual(("cpu", "fp32", 1), (result["backend"], result["precision"], result["batch"]))

    def test_work_takes_time(self):
        """A batch of eight is not as quick as one, a large frame not as quick as a small one."""
        one, eight = (self.bench("--batch", n)["latency_ms"]["median"] for n in (1, 8))
        self.assertGreater(eight, 1.5 * one)
        small, large = (self.bench("--stage", "preprocess", "--format", "RGB", "--width", w, "--height",
                                   w)["latency_ms"]["median"] for w in (224, 2240))
        self.assertGreater(large, 2 * small)

    def test_formats(self):
        for name in ("NV12", "I420", "RGB", "GRAY8", "P010_10LE"):
            self.bench("--stage", "preprocess", "--format", name, "--width", 321, "--height", 241)
        self.assert_complains(run("bench", "--stage", "preprocess", "--format", "nv12"), "'nv12'", "NV12")

    def test_the_table(self):
        text = run_ok("bench", "--stage", "all", "--seconds", 0.1, "--width", 320, "--height", 240)
        for part in ("all of model starter", "NV12 320x240", "images/s", "p99", "ready after", "MB"):
            self.assertIn(part, text)


class Models(ToolTest):
    def test_list(self):
        models = run_json("models", "list", "--json")
        starter = next(model for model in models if model["name"] == "starter")
        self.assertTrue(os.path.isdir(starter["path"]))
        self.assertEqual((112, 16, STARTER_DIM, 24), (starter["image_size"], starter["patch_size"],
                                                      starter["embed_dim"], starter["context_length"]))
        self.assertRegex(run_ok("models", "list"), r"(?m)^starter +112 +16 +192 +\d+\.\d MB  /")
        self.assertEqual(sum(entry.stat().st_size for entry in os.scandir(starter["path"])), starter["bytes"])

    def test_info_without_a_run(self):
        info = run_json("models", "info", "starter", "--json", "--seconds", 0)
        self.assertNotIn("run", info)
        self.assertGreater(info["parameters"], 7e6)
        self.assertNotIn("images/s", run_ok("models", "info", "starter", "--seconds", 0))

    def test_list_tells_of_a_model_that_cannot_be_used(self):
        self.write("models/broken/config.json", "{")
        environment = dict(os.environ, CLIPTAG_MODEL_PATH=self.at("models"))
        models = run_json("models", "list", "--json", env=environment)
        broken = [model for model in models if model["name"] == "broken"]
        for model in broken:
            self.assertIn("config.json", model["error"])

    def test_info_of_the_starter(self):
        info = run_json("models", "info", "starter", "--json")
        self.assertEqual((112, 16, 50), tuple(info["image"][k] for k in ("size", "patch", "tokens")))
        self.assertEqual((24, 8514), tuple(info["text"][k] for k in ("context", "vocabulary")))
        # 8 blocks of 12 w^2 + 13 w, patches, class token, positions, two norms, projection; and the text
        # tower likewise: what its card says, 7.2 million.
        w = 192
        block = 12 * w * w + 13 * w
        image = 8 * block + 3 * 16 * 16 * w + w + 50 * w + 4 * w + w * w
        text = 4 * block + 8514 * w + 24 * w + 2 * w + w * w
        self.assertEqual((image, text), (info["image"]["parameters"], info["text"]["parameters"]))
        self.assertEqual(image + text + 1, info["parameters"])
        self.assertEqual({"F16": image + text + 1}, info["weights"])
        # A multiply-add per block parameter that is a matrix's, per token, and attention.
        flops = 2 * (8 * (50 * 12 * w * w + 2 * 50 * 50 * w) + 49 * 768 * w + w * w)
        self.assertAlmostEqual(flops / 1e9, info["image"]["gflops"], places=9)
        sizes = {file["name"]: file["bytes"] for file in info["files"]}
        self.assertEqual(os.path.getsize(os.path.join(info["path"], "model.safetensors")),
                         sizes["model.safetensors"])
        self.assertEqual(sum(sizes.values()), info["bytes"])
        self.assertGreater(info["run"]["images_per_second"], 1)
        # The image tower's weights in whatever precision, and no more than all of them in fp32 and a workspace.
        self.assertGreater(info["run"]["memory_mb"], image / 1e6)
        self.assertLess(info["run"]["memory_mb"], 4 * info["parameters"] / 1e6 + 100)
        self.assertIn("street", info["about"])

    def test_info_counts_gates(self):
        model = os.path.join(os.environ["CLIPTAG_DATA"], "models", "eva02")
        info = run_json("models", "info", model, "--json", "--seconds", 0)
        w, mlp, tokens = 48, 129, 17
        self.assertEqual("swiglu", info["image"]["activation"])
        flops = 2 * (2 * (tokens * (4 * w * w + 3 * w * mlp) + 2 * tokens * tokens * w) + 16 * 192 * w + w * 24)
        self.assertAlmostEqual(flops / 1e9, info["image"]["gflops"], places=9)
        # No bias of keys; three norms of the width, one of the MLP's.
        block = 4 * w * w + 3 * w * mlp + 10 * w + 4 * mlp
        image = 2 * block + 192 * w + w + w + tokens * w + 2 * w + 24 * w + 24
        self.assertEqual(image, info["image"]["parameters"])

    def test_info_of_mobileclip(self):
        directory = os.path.join(os.environ["CLIPTAG_DATA"], "models", "mobileclip-s")
        info = run_json("models", "info", directory, "--json", "--seconds", 0)
        self.assertEqual(([1, 2, 1, 1], [8, 16, 32, 64], 64),
                         tuple(info["image"][key] for key in ("layers", "width", "size")))
        # Counted by hooks in timm's tower, its branches made one, and without the few of its gates.
        self.assertAlmostEqual(0.002504192, info["image"]["gflops"], places=9)
        self.assertIn("FastViT; [1,2,1,1] layers, width [8,16,32,64], gelu",
                      run_ok("models", "info", directory, "--seconds", 0))

    def test_info_for_people(self):
        text = run_ok("models", "info", "starter")
        for part in ("starter", "emoji", "never seen a street", "112x112 pixels, patch 16", "24 tokens",
                     "images/s", "model.safetensors"):
            self.assertIn(part, text)

    def test_models_that_are_not_there_or_broken(self):
        self.assert_complains(run("models", "info", "no-such-model"), "no-such-model")
        self.assert_complains(run("embed", "--model", "no-such-model", "--output", self.at("a.npy"),
                                  "--text", "a"), "no-such-model")
        self.assert_complains(run("models", "info", self.folder), self.folder)
        self.write("config.json", "{")
        self.assert_complains(run("models", "info", self.folder), "config.json")

    def test_a_backend_that_is_not_there(self):
        self.assert_complains(run("bench", "--backend", "cuda", "--seconds", 0.1), "CUDA")


if __name__ == "__main__":
    unittest.main(verbosity=2)
