"""The README's lines for the `cliptag` command: every subcommand and option is there."""
import os
import re
import shlex
import subprocess
import unittest

ROOT = os.environ.get("CLIPTAG_SOURCE_ROOT", os.path.join(os.path.dirname(__file__), "..", ".."))
TOOL = os.path.join(os.environ.get("CLIPTAG_BUILD_ROOT", os.path.join(ROOT, "build")),
                    "plugin", "cli", "cliptag")


def tool_lines():
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as f:
        blocks = re.findall(r"^```sh\n(.*?)^```", f.read(), re.M | re.S)
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
        self.assertGreaterEqual(len(lines), 6)
        for words in lines:
            with self.subTest(line=" ".join(words)):
                self.assertEqual([], unknown(words, self.help_of))

    def test_a_wrong_line_is_found(self):
        self.assertEqual(["--colour"], unknown(["bench", "--colour", "red"], self.help_of))
        self.assertEqual(["paint"], unknown(["paint", "--model", "x"], self.help_of))


if __name__ == "__main__":
    unittest.main(verbosity=2)
