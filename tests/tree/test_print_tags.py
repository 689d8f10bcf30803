"""print_tags.py reads what gst-launch-1.0 -m prints."""
import io
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import unittest

ROOT = os.environ.get("CLIPTAG_SOURCE_ROOT", os.path.join(os.path.dirname(__file__), "..", ".."))
SCRIPT = os.path.join(ROOT, "pipelines", "print_tags.py")
sys.path.insert(0, os.path.dirname(SCRIPT))
import print_tags  # noqa: E402
import tag_log  # noqa: E402

WORDS = os.path.join(ROOT, "tests", "data", "gst_launch_words.json")

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


def filled(form, *values):
    """C's printf of a translation, whose arguments may be numbered."""
    values = [str(value) for value in values]
    if "$" in form:
        return re.sub(r"%(\d)\$[us]", lambda m: values[int(m[1]) - 1], form)
    return re.sub("%[us]", lambda m: values.pop(0), form)


class LanguagesTest(unittest.TestCase):
    """gst-launch's own words in every language that GStreamer 1.22 brings (the file says which: of
    its message catalogues, the line of an element's message and that of a warning)."""

    def setUp(self):
        with open(WORDS, encoding="utf-8") as f:
            self.words = json.load(f)
        self.assertIn("de", self.words)

    def lines(self, language, name="front door"):
        message, warning = self.words[language]
        structures = [line.split(": ", 1)[1] for line in FIRST.splitlines() if "(element)" in line]
        lines = [filled(message, 40 + n, name, "element") + text for n, text in enumerate(structures)]
        source = f"/GstPipeline:pipeline0/GstClipTag:{name}"
        debug = f"../x.cc\\(242\\):\\ f\\ \\(\\):\\ {source}".replace("door", "\\ door")
        lines.append(filled(message, 50, name, "warning") +
                     f'GstMessageWarning, gerror=(GError)NULL, debug=(string)"{debug}";')
        lines += [filled(warning, source, "It is dark: no tags."), "Additional debug info:",
                  f"../x.cc(242): f (): {source}"]
        lines.append(filled(message, 51, name, "info") +
                     f'GstMessageInfo, gerror=(GError)NULL, debug=(string)"{debug}:\\012Too\\ slow.";')
        lines.append(filled(message, 52, name, "state-changed") +
                     "GstMessageStateChanged, old-state=(GstState)null;")
        return [line + "\n" for line in lines]

    def test_every_language(self):
        for language in self.words:
            with self.subTest(language=language):
                found = list(print_tags.messages(self.lines(language)))
                self.assertEqual(["cliptag", "cliptag", "cliptag-event", "warning", "info"],
                                 [name for name, _ in found])
                self.assertEqual({"front door"}, {fields["stream"] for _, fields in found})
                self.assertEqual("car", found[0][1]["tags"][0]["label"])
                self.assertEqual("It is dark: no tags.", found[3][1]["text"])
                self.assertEqual("Too slow.", found[4][1]["text"])

    def test_bytes_of_another_encoding(self):
        for language, encoding in (("de", "iso-8859-1"), ("zh_CN", "gb18030")):
            lines = [line.encode(encoding) for line in self.lines(language)]
            before = print_tags.locale.getpreferredencoding
            print_tags.locale.getpreferredencoding = lambda _, encoding=encoding: encoding
            try:
                found = list(print_tags.messages(print_tags.decoded(lines)))
            finally:
                print_tags.locale.getpreferredencoding = before
            self.assertEqual(5, len(found))
            self.assertEqual("front door", found[0][1]["stream"])

    def test_a_damaged_message_is_told_and_the_next_one_read(self):
        lines = FIRST.splitlines(keepends=True)
        lines.insert(2, lines[2][:200] + "\n")
        names = [name for name, _ in print_tags.messages(lines)]
        self.assertEqual(["warning", "cliptag", "cliptag", "cliptag-event"], names)

    def test_what_only_looks_like_a_message(self):
        line = ('Got message #3 from element "x" (element): other, text=(string)"a\\ \\(element\\):\\ cliptag,'
                ' pts=(guint64)1";\n')
        self.assertEqual([], list(print_tags.messages([line, line.replace("other", "cliptagx")])))


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
        self.assertEqual([30, 31], [row["frame"] for row in rows if "tags" in row])
        self.assertEqual(["end"], [row["state"] for row in rows if "tags" not in row])
        self.assertEqual(["cliptag0"] * 3, [row["stream"] for row in rows])
        for row in rows:
            self.assertRegex(row["time"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")

    def test_streams_are_named_and_kept_apart(self):
        second = FIRST.replace("cliptag0", "cliptag1")
        run = subprocess.run([sys.executable, SCRIPT], input=FIRST + second, capture_output=True,
                             text=True, encoding="utf-8", check=True)
        self.assertEqual("", run.stderr)
        lines = run.stdout.splitlines()
        self.assertEqual(2, sum("car" in line for line in lines), run.stdout)
        self.assertFalse(lines[0].startswith("cliptag"))
        self.assertRegex(run.stdout, r"(?m)^cliptag1  +0:01\.50 +\* car")

    def test_warnings_are_shown(self):
        lines = ('Got message #1 from element "a" (warning): GstMessageWarning, debug=(string)"x";\n'
                 "WARNING: from element /GstPipeline:p/GstClipTag:a: See rtsp://me:secret@camera/.\n")
        run = self.script(lines)
        self.assertEqual((0, "", "warning: a: See rtsp://***@camera/.\n"), (run.returncode, run.stdout, run.stderr))

    def test_a_closed_pipe_is_no_traceback(self):
        truth = tempfile.NamedTemporaryFile("w", suffix=".json")
        self.addCleanup(truth.close)
        truth.write('{"fps": 10, "things": []}')
        truth.flush()
        for more in ([], ["--json", "/dev/null"], ["--truth", truth.name], ["--count"]):
            with self.subTest(more=more):
                process = subprocess.Popen([sys.executable, SCRIPT, *more], stdin=subprocess.PIPE,
                                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                process.stdout.close()
                try:
                    process.stdin.write(FIRST.encode() * 50)
                    process.stdin.close()
                except BrokenPipeError:
                    pass
                process.stdin = None
                said = process.stderr.read().decode()
                process.stderr.close()
                process.wait(timeout=60)
                self.assertNotIn("Traceback", said)
                self.assertNotIn("BrokenPipe", said)

    @staticmethod
    def script(text, *args):
        return subprocess.run([sys.executable, SCRIPT, *args], input=text, capture_output=True, text=True,
                              encoding="utf-8", check=False, timeout=60)

    def test_a_file_that_cannot_be_written_is_told_at_once(self):
        for path, why in (("/nowhere/tags.jsonl", "No such file or directory"), ("/", "Is a directory")):
            with self.subTest(path=path):
                # Nothing on stdin: it does not wait for a line.
                process = subprocess.Popen([sys.executable, SCRIPT, "--json", path], stdin=subprocess.PIPE,
                                           stderr=subprocess.PIPE, text=True)
                self.addCleanup(process.stdin.close)
                self.addCleanup(process.stderr.close)
                self.assertEqual(1, process.wait(timeout=60))
                self.assertEqual(f"print_tags: cannot write {path}: {why}\n", process.stderr.read())

    def test_a_truth_that_cannot_be_read_is_told(self):
        for path, why in (("/none", "No such file"), ("/dev/null", "Expecting value")):
            run = self.script(FIRST, "--truth", path)
            self.assertEqual((1, 1), (run.returncode, len(run.stderr.splitlines())), run.stderr)
            self.assertIn(f"cannot read {path}: {why}", run.stderr)

    def test_streams_that_are_closed_or_full(self):
        with tempfile.TemporaryDirectory() as folder:
            for number, (redirected, code, why) in enumerate((
                    (">&-", 0, ""), (">&- 2>&-", 0, ""), ("2>&-", 0, ""),
                    (">/dev/full", 1, "print_tags: cannot print: No space left on device\n"))):
                with self.subTest(redirected=redirected):
                    path = os.path.join(folder, str(number))
                    run = subprocess.run(["sh", "-c", f'"$0" "$@" {redirected}', sys.executable, SCRIPT, "--json", path],
                                         input=FIRST, capture_output=True, text=True, timeout=60)
                    self.assertEqual((code, why), (run.returncode, run.stderr))
                    with open(path, encoding="utf-8") as f:
                        self.assertEqual(3, len([json.loads(line) for line in f]))
        run = subprocess.run(["sh", "-c", '"$0" "$@" <&-', sys.executable, SCRIPT], capture_output=True, text=True,
                             timeout=60)
        self.assertEqual((0, "", ""), (run.returncode, run.stdout, run.stderr))

    def test_a_full_disk_is_told_and_tags_go_on(self):
        run = self.script(FIRST, "--json", "/dev/full")
        self.assertEqual(1, run.returncode)
        self.assertEqual(1, len(run.stderr.splitlines()), run.stderr)
        self.assertIn("/dev/full: No space left on device", run.stderr)
        self.assertIn("car", run.stdout)

    def test_what_is_kept(self):
        for what, count in (("all", 3), ("looks", 2), ("events", 1)):
            with tempfile.TemporaryDirectory() as directory:
                path = os.path.join(directory, "tags.jsonl")
                run = self.script(FIRST, "--json", path, "--what", what, "--count")
                self.assertEqual("2\n", run.stdout)
                with open(path, encoding="utf-8") as f:
                    self.assertEqual(count, len(f.readlines()))

    def test_a_frame_without_a_time(self):
        self.assertEqual("  -:--.--", print_tags.clock(2 ** 64 - 1))
        self.assertEqual("  1:01.50", print_tags.clock(61500000000))


class TimesTest(unittest.TestCase):
    def test_a_pipeline_that_begins_anew_goes_on(self):
        times = tag_log.Times()
        found = []
        for _ in range(3):
            times.begin()
            for pts in (1_500_000_000, 2_000_000_000):
                found.append(times.moved({"pts": pts, "stream-time": pts - 10**9}))
        self.assertEqual([1, 1, 2, 2, 3, 3], [fields["run"] for fields in found])
        self.assertEqual([1_500_000_000, 2_000_000_000], [fields["pts"] for fields in found[:2]])
        self.assertEqual(500_000_000, found[0]["stream-time"])
        for earlier, later in zip(found, found[1:]):
            self.assertLessEqual(earlier["pts"], later["pts"])
            self.assertEqual(10**9, later["pts"] - later["stream-time"])
        self.assertEqual(500_000_000, found[5]["pts"] - found[4]["pts"])

    def test_a_frame_without_a_time_stays_without(self):
        times = tag_log.Times()
        times.begin()
        self.assertEqual({"pts": tag_log.NO_TIME, "run": 1}, times.moved({"pts": tag_log.NO_TIME}))


class TagLogTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="cliptag-test.")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.path = os.path.join(self.folder, "tags.jsonl")

    def log(self, **more):
        log = tag_log.TagLog(self.path, **more)
        self.addCleanup(log.close)
        return log

    def read(self, path=None):
        with open(path or self.path, encoding="utf-8") as f:
            return f.read()

    def numbers(self, path=None):
        return [json.loads(line)["n"] for line in self.read(path).splitlines()]

    def test_what_was_there_stays_and_every_line_is_there_at_once(self):
        for n in range(3):
            self.log().write({"n": n})
            self.assertEqual(list(range(n + 1)), self.numbers())

    def test_after_a_half_line_a_new_one_begins(self):
        with open(self.path, "w", encoding="utf-8") as f:
            f.write('{"n": 0}\n{"n"')
        self.log().write({"n": 1})
        self.assertEqual(['{"n": 0}', '{"n"'], self.read().splitlines()[:2])
        self.assertEqual(1, json.loads(self.read().splitlines()[2])["n"])

    def test_rotation(self):
        log = self.log(rotate=100, keep=2)
        for n in range(20):
            log.write({"n": n})
        self.assertEqual(["tags.jsonl", "tags.jsonl.1", "tags.jsonl.2"], sorted(os.listdir(self.folder)))
        kept = self.numbers(self.path + ".2") + self.numbers(self.path + ".1") + self.numbers()
        self.assertEqual(list(range(20 - len(kept), 20)), kept)
        for name in os.listdir(self.folder):
            self.assertLessEqual(os.path.getsize(os.path.join(self.folder, name)), 100)

    def test_one_that_was_moved_away_is_begun_anew(self):
        log = self.log()
        log.write({"n": 0})
        os.rename(self.path, self.path + ".moved")
        log.write({"n": 1})
        self.assertEqual([0], self.numbers(self.path + ".moved"))
        self.assertEqual([1], self.numbers())

    def test_a_write_that_fails_leaves_no_half_line(self):
        log = self.log()
        log.write({"n": 0})
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        said = io.StringIO()
        before, sys.stderr = sys.stderr, said
        try:  # as a disk that fills up within a line; Python ignores SIGXFSZ
            resource.setrlimit(resource.RLIMIT_FSIZE, (os.path.getsize(self.path) + 10, hard))
            log.write({"n": 1})
            log.write({"n": 2})
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            log.write({"n": 3})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            sys.stderr = before
        self.assertEqual([0, 3], self.numbers())
        self.assertEqual(2, log.lost)
        lines = said.getvalue().splitlines()
        self.assertEqual(2, len(lines), lines)
        self.assertIn(f"cannot write {self.path}: File too large", lines[0])
        self.assertIn("2 lines were lost", lines[1])

    def test_a_pipe_that_nobody_reads_is_no_wait(self):
        os.mkfifo(self.path)
        with self.assertRaises(OSError):
            self.log()

    def test_passwords_are_not_told(self):
        for text in ("rtsp://me:pass@camera:554/x", "rtsp://me:p@ss/w@camera/x", "http://camera/x?user=me&password=pass",
                     "see 'RTSP://me:pass@camera/x': no", "rtsp://camera/user=me&passwd=pass&channel=1",
                     "http://camera/?token=pass"):
            hidden = tag_log.without_secrets(text)
            with self.subTest(text=text):
                self.assertNotIn("pass&", hidden.replace("pass=", ""))
                self.assertNotRegex(hidden, r"p@ss|:pass|=pass\b")
                self.assertIn("camera", hidden)
        self.assertEqual("rtsp://camera/x and me@mail", tag_log.without_secrets("rtsp://camera/x and me@mail"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
