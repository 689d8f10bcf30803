"""The READMEs' lines for the `cliptag` command: every subcommand and option is there. The tables of
plugin/cli/README.md: every subcommand, and every field of its JSON, is listed."""
import json
import os
import re
import shlex
import subprocess
import tempfile
import unittest

ROOT = os.environ.get("CLIPTAG_SOURCE_ROOT", os.path.join(os.path.dirname(__file__), "..", ".."))
TOOL = os.path.join(os.environ.get("CLIPTAG_BUILD_ROOT", os.path.join(ROOT, "build")),
                    "plugin", "cli", "cliptag")


READMES = ["README.md", "pipelines/README.md", "plugin/cli/README.md", "models/README.md", "kernels/README.md",
           "models/training/README.md"]


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def tool_lines():
    blocks = [block for path in READMES for block in re.findall(r"^```sh\n(.*?)^```", read(path), re.M | re.S)]
    lines = [shlex.split(line, comments=True) for block in blocks
             for line in block.replace("\\\n", "").splitlines() if line.startswith("cliptag ")]
    return [line[1:] for line in lines]


def unknown(words, help_of):
    """What the help of the subcommand does not know; `help_of` gives the help of a list of words."""
    subcommands = [w for w in words[:2] if re.fullmatch(r"[a-z]+", w)] if words[0] in ("models", "bank") \
        else words[:1]
    text = help_of(subcommands)
    # Asked for the help of what is not there, the tool gives its own.
    usage = " ".join(["Usage: cliptag", *subcommands])
    if text is None or not re.search(rf"^{usage} ", text, re.M):
        return [" ".join(subcommands)]
    return [w for w in words if w.startswith("--") and
            not re.search(rf"(^|[\s,]){re.escape(w)}\b", text)]


class ReadmeToolTest(unittest.TestCase):
    @staticmethod
    def help_of(subcommands):
        run = subprocess.run([TOOL, *subcommands, "--help"], capture_output=True, text=True,
                             check=False)
        return run.stdout if run.returncode == 0 else None

    def test_every_line_is_understood(self):
        lines = tool_lines()
        self.assertGreaterEqual(len(lines), 30)
        for words in lines:
            with self.subTest(line=" ".join(words)):
                self.assertEqual([], unknown(words, self.help_of))

    def subcommands(self, words=()):
        """Every command that runs something: "classify", "bank export"."""
        listed = re.search(r"^Subcommands:\n((?:  .*\n?)+)", self.help_of(words), re.M)
        names = re.findall(r"^  ([a-z]+) ", listed[1], re.M) if listed else []
        return [one for name in names for one in self.subcommands((*words, name))] if names else [" ".join(words)]

    def test_every_subcommand_is_listed(self):
        listed = re.findall(r"^\| `cliptag ([a-z ]+)` \|", read("plugin/cli/README.md"), re.M)
        found = self.subcommands()
        self.assertIn("bank export", found)
        self.assertEqual(sorted(found), sorted(listed))

    def test_a_wrong_line_is_found(self):
        self.assertEqual(["--colour"], unknown(["bench", "--colour", "red"], self.help_of))
        self.assertEqual(["paint"], unknown(["paint", "--model", "x"], self.help_of))


class JsonFieldsTest(unittest.TestCase):
    """The table of JSON fields, beside what the tool prints."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.rows = dict(re.findall(r"^\| `cliptag ([^`]+)`[^|]*\| (.*) \|$", read("plugin/cli/README.md"), re.M))
        for name, shade in (("black", 0), ("white", 255)):
            os.mkdir(cls.path(name))
            with open(cls.path(name, "a.pgm"), "wb") as f:
                f.write(b"P5 32 32 255\n" + bytes([shade]) * 1024)

    @classmethod
    def path(cls, *names):
        return os.path.join(cls.folder.name, *names)

    def run_tool(self, *words):
        run = subprocess.run([TOOL, *words], capture_output=True, text=True, check=False)
        self.assertEqual(0, run.returncode, run.stderr)
        return run.stdout

    def check(self, row, value, *, all_of_them=False):
        fields = set(re.findall(r"`([a-z0-9_-]+)`", self.rows[row]))
        found = set()
        for one in value if isinstance(value, list) else [value]:
            found |= set(one)
            for inside in ("tags", "latency_ms", "age_ms", "tags_per_second"):
                inner = one.get(inside, {})
                for part in inner if isinstance(inner, list) else [inner]:
                    found |= set(part)
        self.assertEqual(set(), found - fields, "plugin/cli/README.md lacks these")
        if all_of_them:
            self.assertEqual(set(), fields - found, "the tool does not print these")

    def test_classify_and_embed(self):
        picture = self.path("white", "a.pgm")
        self.check("classify --json", json.loads(self.run_tool("classify", "--prompts", "cat; dog", "--json", picture)),
                   all_of_them=True)
        self.run_tool("embed", "--output", self.path("p.npy"), picture)
        self.run_tool("embed", "--output", self.path("t.npy"), "--text", "cat")
        rows = []
        for name in ("p.rows.jsonl", "t.rows.jsonl"):
            with open(self.path(name), encoding="utf-8") as f:
                rows += [json.loads(line) for line in f]
        self.check("embed", rows, all_of_them=True)

    def test_bank(self):
        bank = self.path("bank.safetensors")
        self.run_tool("bank", "export", "--prompts", "cat; dog", "--output", bank)
        self.check("bank info --json", json.loads(self.run_tool("bank", "info", "--json", bank)), all_of_them=True)

    def test_bench(self):
        self.check("bench --json", json.loads(self.run_tool("bench", "--seconds", "0", "--json")), all_of_them=True)

    def test_models(self):
        self.check("models list --json", json.loads(self.run_tool("models", "list", "--json")))
        self.check("models info --json", json.loads(self.run_tool("models", "info", "starter", "--seconds", "0.1", "--json")))

    def test_eval(self):
        self.check("eval --json", json.loads(self.run_tool("eval", "--dataset", self.folder.name, "--json")))


if __name__ == "__main__":
    unittest.main(verbosity=2)
