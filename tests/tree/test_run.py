"""tests/run.sh with a stand-in for meson: TEST names a test, a suite or a glob of either, whatever meson takes."""
import os
import shutil
import subprocess
import tempfile
import unittest

ROOT = os.environ.get("CLIPTAG_SOURCE_ROOT", os.path.join(os.path.dirname(__file__), "..", ".."))

# Knows four tests; logs what it is told to run.
MESON = """#!/bin/bash
if [[ $* == *--list* ]]; then
  echo "ninja: no work to do."
  printf '%s\\n' "p:tree / layout" "p:tree / readme" "p:cuda / cuda_backend" "p:elements / tree_test"
elif [[ $1 == test ]]; then
  shift
  while (($#)); do
    case $1 in -C | --timeout-multiplier) shift ;; -*) ;; *) echo "$1" >>"$LOG" ;; esac
    shift
  done
fi
"""


class RunTest(unittest.TestCase):
    def setUp(self):
        self.tree = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.tree)
        for folder in ("tests", "pipelines", "bin"):
            os.mkdir(os.path.join(self.tree, folder))
        self.script = shutil.copy(os.path.join(ROOT, "tests", "run.sh"), os.path.join(self.tree, "tests"))
        self.write("pipelines/setup.sh", "#!/bin/bash\n")
        self.write("bin/meson", MESON)
        self.write("tests/count_cases.py", "print('0 passed, 0 failed, 0 skipped')\n")
        self.log = os.path.join(self.tree, "log")

    def write(self, name, text):
        path = os.path.join(self.tree, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, 0o755)

    def run_tests(self, *arguments):
        path = os.path.join(self.tree, "bin") + ":" + os.environ["PATH"]
        return subprocess.run([self.script, *arguments], env={**os.environ, "PATH": path, "LOG": self.log},
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)

    def selected(self, *arguments):
        if os.path.exists(self.log):
            os.unlink(self.log)
        done = self.run_tests(*arguments)
        self.assertEqual(0, done.returncode, done.stderr)
        if not os.path.exists(self.log):
            return []
        with open(self.log, encoding="utf-8") as f:
            return f.read().split()

    def test_everything_without_a_name(self):
        self.assertEqual([], self.selected())

    def test_a_name_and_a_suite(self):
        self.assertEqual(["layout"], self.selected("layout"))
        self.assertEqual(["cuda_backend", "layout", "readme"], self.selected("tree", "cuda"))

    def test_a_glob_of_either_and_each_test_once(self):
        self.assertEqual(["layout", "readme", "tree_test"], self.selected("tree*"))
        self.assertEqual(["cuda_backend", "readme"], self.selected("cuda_b*", "read??", "readme"))
        self.assertEqual(["readme"], self.selected("--sanitize=address", "r*"))

    def test_a_name_that_nothing_has(self):
        done = self.run_tests("layout", "cuda_x*")
        self.assertEqual(2, done.returncode)
        self.assertEqual("tests/run.sh: no test and no suite matches cuda_x* "
                         "(meson test -C build --list shows them all)\n", done.stderr)
        self.assertFalse(os.path.exists(self.log))


if __name__ == "__main__":
    unittest.main(verbosity=2)
