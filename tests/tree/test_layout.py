"""The tree as a whole: names at the top, scripts and data that parse, formatting, what the READMEs name."""
import json
import os
import re
import shutil
import subprocess
import unittest

ROOT = os.environ.get("CLIPTAG_SOURCE_ROOT", os.path.join(os.path.dirname(__file__), "..", ".."))
TOP_LEVEL = re.compile(
    r"(plugin|kernels|models|pipelines|tests|debian|meson\.build|meson_options\.txt|README\.md|LICENSE|"
    r"NOTICE|CHANGELOG\.md|\..+)$")
FORMATTED_BY = "14"  # clang-format's output differs between major versions
LONG_FILE = 400      # lines; a longer one has found a second job
README_LINES = 300
PICTURE_BYTES = 150_000


def tracked_files():
    """Paths of the files of the project; without git, of what is not built or hidden."""
    git = subprocess.run(["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others",
                          "--exclude-standard"], capture_output=True, text=True, check=False)
    if git.returncode == 0:
        return [p for p in git.stdout.split("\0") if p and os.path.exists(os.path.join(ROOT, p))]
    files = []
    for directory, names, found in os.walk(ROOT):
        names[:] = [n for n in names if not re.match(r"(build.*|demo-out|__pycache__|\..*)$", n)]
        files += [os.path.relpath(os.path.join(directory, f), ROOT) for f in found]
    return files


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def code_blocks(markdown):
    return re.findall(r"^```\w*\n(.*?)^```", markdown, re.M | re.S)


def anchors_of(markdown):
    """What a link may name after '#', as GitHub makes it of the headings."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", markdown, flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


def dead_links(path, markdown):
    """Links of a Markdown file to what is not there: files beside it, and headings."""
    folder = os.path.join(ROOT, os.path.dirname(path))
    dead = []
    for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"^```.*?^```", "", markdown, flags=re.M | re.S)):
        file, _, anchor = link.partition("#")
        if "://" in link:
            continue
        if file and not os.path.exists(os.path.join(folder, file)):
            dead.append(link)
        elif anchor and anchor not in anchors_of(read(os.path.join(os.path.dirname(path), file)) if file else markdown):
            dead.append(link)
    return dead


def paths_in(markdown):
    """What looks like a path into the tree, in code and in links."""
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", markdown, flags=re.M | re.S))
    links = re.findall(r"\]\(([^)#\s]+)", markdown)
    words = [w for text in spans + code_blocks(markdown) for w in re.split(r"[\s=\"']+", text)]
    rooms = r"(?:\./)?(?:plugin|kernels|models|pipelines|tests|\.ci)/[\w./-]*"
    found = {w.rstrip(".,:;)") for w in words if re.fullmatch(rooms, w.rstrip(".,:;)"))}
    return found | {link for link in links if "://" not in link}


class LayoutTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.files = tracked_files()

    def having(self, *endings):
        found = [p for p in self.files if p.endswith(endings)]
        self.assertTrue(found, f"no file ends in {endings}")
        return found

    def test_top_level_names(self):
        names = {p.split("/")[0] for p in self.files}
        self.assertIn("meson.build", names)
        self.assertEqual([], sorted(n for n in names if not TOP_LEVEL.match(n)))
        self.assertFalse(TOP_LEVEL.match("src") or TOP_LEVEL.match("README.md.orig"))

    def test_shell_scripts_parse(self):
        for path in self.having(".sh") + [".ci/run"]:
            with self.subTest(path=path):
                bash = subprocess.run(["bash", "-n", os.path.join(ROOT, path)], capture_output=True,
                                      text=True, check=False)
                self.assertEqual((0, ""), (bash.returncode, bash.stderr))

    def test_scripts_are_executable(self):
        for path in self.having(".sh", ".py") + [".ci/run"]:
            # What users call, by its name.
            if path.startswith("pipelines/") or path in (".ci/run", "tests/run.sh"):
                self.assertTrue(read(path).startswith("#!"), path)
                self.assertTrue(os.access(os.path.join(ROOT, path), os.X_OK),
                                f"{path} is not executable")

    def test_python_parses(self):
        for path in self.having(".py"):
            with self.subTest(path=path):
                compile(read(path), path, "exec")

    def test_json_parses(self):
        for path in self.having(".json"):
            # Test data may be broken on purpose.
            if not path.startswith("tests/"):
                with self.subTest(path=path):
                    json.loads(read(path))

    def test_nothing_beside_the_tree_is_named(self):
        # A clone elsewhere runs what this checkout runs.
        outside = re.compile(r"\.\.[/', \"]+" + r"shared\b|CLIPTAG_" + "SHARED")
        for path in self.having(".py", ".sh", ".cc", ".h", ".build", ".md"):
            self.assertNotRegex(read(path), outside, path)

    def test_names_that_scripts_rely_on(self):
        for path in ("pipelines/setup.sh", "pipelines/demo.sh", "tests/run.sh", ".ci/run"):
            self.assertTrue(os.access(os.path.join(ROOT, path), os.X_OK), f"{path} is not executable")

    def test_googletest_is_left_to_count_its_own_cases(self):
        # Under meson's own protocol the reports lie elsewhere and tests/run.sh would count programs.
        for path in self.having("meson.build"):
            self.assertNotRegex(read(path), r"protocol\s*:\s*'gtest'", path)

    def test_paths_in_texts_exist(self):
        self.assertIn("./pipelines/demo.sh", paths_in(read("README.md")))
        missing = [f"{text} names {path}" for text in self.having(".md") for path in sorted(paths_in(read(text)))
                   if re.match(r"(\./)?[a-z]+/|\.ci/", path)  # links: test_links_lead_somewhere
                   and not any(os.path.exists(os.path.join(ROOT, folder, path)) for folder in ("", os.path.dirname(text)))]
        self.assertEqual([], missing)

    def test_the_readme_is_short(self):
        readme = read("README.md")
        self.assertLessEqual(readme.count("\n"), README_LINES)
        pictures = re.findall(r"!\[[^]]*\]\(([^)]+)\)", readme)
        self.assertGreaterEqual(len(pictures), 2)
        for picture in pictures:
            self.assertLess(os.path.getsize(os.path.join(ROOT, picture)), PICTURE_BYTES, picture)

    def test_the_tree_is_listed(self):
        text = read(".github/CONTRIBUTING.md")
        block = re.search(r"^## The tree$.*?^```\n(.*?)^```", text, re.M | re.S)[1]
        listed = [line.split(None, 1) for line in block.splitlines()]
        self.assertEqual([], [line for line in listed if len(line) < 2], "each folder has a line that says what it is")
        there = {os.path.dirname(p) + "/" for p in self.files if re.match(r"(kernels|models|plugin)/", p)}
        self.assertEqual(sorted(there), sorted(line[0] for line in listed))

    def test_suites_are_listed(self):
        named = set(re.findall(r"^\| (\w+) \| `tests/", read("tests/README.md"), re.M))
        there = {suite for p in self.having("meson.build") if p.startswith("tests/")
                 for suite in re.findall(r"suite: '(\w+)'", read(p))}
        self.assertEqual(there, named)

    def test_names_of_code_exist(self):
        # `ClipTag::Chain` in the texts that lead through the code.
        sources = "\n".join(read(p) for p in self.having(".h", ".cc") if not p.startswith("tests/"))
        for text in ("plugin/README.md", "kernels/README.md", ".github/CONTRIBUTING.md"):
            names = {part for name in re.findall(r"`([A-Z][a-z]\w*(?:::\w+)*)`", read(text)) for part in name.split("::")}
            self.assertEqual([], sorted(n for n in names if not re.search(rf"\b{n}\b", sources)), text)

    def test_bounds_are_those_of_the_code(self):
        rows = re.findall(r"^\| [^|]* \| ([\d,]+) ?([MG]B)?[^|]* \| `(\w+)` in `([^`]+)` \|$",
                          read(".github/SECURITY.md"), re.M)
        self.assertGreaterEqual(len(rows), 16)
        for number, unit, constant, path in rows:
            value = re.search(rf"\b{constant} = ([^;,]+)[;,]", read(path))
            self.assertTrue(value, f"{path} has no {constant}")
            shift = re.fullmatch(r"(?:\w+\{)?(\d+)\}? << (\d+)", value[1])
            found = int(shift[1]) << int(shift[2]) if shift else int(value[1].replace("'", ""))
            stated = int(number.replace(",", ""))
            factors = {"": (1,), "MB": (10 ** 6, 1 << 20), "GB": (10 ** 9, 1 << 30)}[unit]
            self.assertIn(found, [stated * factor for factor in factors], f"{constant} in .github/SECURITY.md")

    def test_links_lead_somewhere(self):
        for text in self.having(".md"):
            self.assertEqual([], dead_links(text, read(text)), text)
        self.assertEqual(["none.md", "#none", "README.md#none"],
                         dead_links("README.md", "# A b\n[](none.md) [](#none) [](#a-b) [](README.md#none) [](README.md)"))

    def test_long_files_are_reported(self):
        # A report, not a rule: it shows in the log of a verbose run.
        for path in self.having(".cc", ".h"):
            lines = read(path).count("\n")
            if lines > LONG_FILE:
                print(f"note: {path} has {lines} lines: has it found a second job?")

    def test_formatting(self):
        tool = shutil.which("clang-format")
        if not tool:
            self.skipTest("no clang-format here")
        version = subprocess.run([tool, "--version"], capture_output=True, text=True, check=True).stdout
        if not re.search(rf"version {FORMATTED_BY}\.", version):
            self.skipTest(f"the tree is formatted with clang-format {FORMATTED_BY}: {version.strip()}")
        sources = self.having(".cc", ".h", ".c", ".cu", ".cuh", ".inc")
        for start in range(0, len(sources), 50):
            check = subprocess.run([tool, "--dry-run", "-Werror", *sources[start:start + 50]], cwd=ROOT,
                                   capture_output=True, text=True, check=False)
            bad = sorted(set(re.findall(r"^([^\s:]+):\d+:\d+: error: code should be clang-formatted",
                                        check.stderr, re.M)))
            self.assertEqual([], bad, "run clang-format -i on these")
            self.assertEqual(0, check.returncode, check.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
