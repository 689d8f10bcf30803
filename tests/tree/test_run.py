"""tests/run.sh with a stand-in for meson: TEST names a test, a suite or a glob of either, whatever meson takes;
--quick builds no more than its tests need; --ci hands the expected skips on."""
import json
import os
import shutil
import subprocess
import tempfile
import unittest

ROOT = os.environ.get("CLIPTAG_SOURCE_ROOT", os.path.join(os.path.dirname(__file__), "..", ".."))

# Knows five tests; logs what it is called for and the tests that it is to run.
MESON = """#!/bin/bash
if [[ $* == *--list* ]]; then
  echo "ninja: no work to do."
  printf '%s\\n' "p:tree / layout" "p:tree / readme" "p:cuda / cuda_backend" "p:elements / tree_test" \\
    "p:models / models_"{auto_precision,files,hub,torch} "p:kernels / kernels_base" "p:engine / engine_test"
  exit
fi
[[ $1 == test && $* != *--no-rebuild* ]] && echo "$1 and build" >>"$CALLS" || echo "$1" >>"$CALLS"
if [[ $1 == test ]]; then
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
        self.write("bin/ninja", "#!/bin/bash\n")
        self.write("tests/count_cases.py", "import sys\nprint(*sys.argv[1:])\n")
        self.log = os.path.join(self.tree, "log")
        self.calls = os.path.join(self.tree, "calls")

    def write(self, name, text):
        path = os.path.join(self.tree, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, 0o755)

    def run_tests(self, *arguments):
        path = os.path.join(self.tree, "bin") + ":" + os.environ["PATH"]
        return subprocess.run([self.script, *arguments], env={**os.environ, "PATH": path, "LOG": self.log, "CALLS": self.calls},
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

    def made_calls(self):
        with open(self.calls, encoding="utf-8") as f:
            made = f.read().splitlines()
        os.unlink(self.calls)
        return made

    def test_a_build_is_configured_again_only_where_options_differ(self):
        os.makedirs(os.path.join(self.tree, "build", "meson-info"))
        self.write("build/build.ninja", "")
        for tests, calls in (("enabled", ["compile", "test"]), ("disabled", ["configure", "compile", "test"])):
            self.write("build/meson-info/intro-buildoptions.json", json.dumps([{"name": "tests", "value": tests}]))
            self.selected()
            self.assertEqual(calls, self.made_calls())

    def test_quick_builds_what_its_tests_need(self):
        self.assertEqual(["engine_test", "kernels_base", "layout", "models_files", "models_hub", "models_torch",
                          "readme", "tree_test"], self.selected("--quick"))
        self.assertEqual(["setup", "test and build"], self.made_calls())
        self.assertEqual(["layout"], self.selected("--quick", "layout"))
        self.assertEqual(["setup", "test and build"], self.made_calls())
        self.selected()
        self.assertEqual(["setup", "compile", "test"], self.made_calls())

    def test_ci_knows_the_skips_that_may_be(self):
        self.assertEqual("build\n", self.run_tests().stdout)
        self.assertEqual("build tests/expected_skips.txt\n", self.run_tests("--ci").stdout)
        with open(os.path.join(ROOT, ".ci", "run"), encoding="utf-8") as f:
            self.assertIn("run.sh\" --ci\n", f.read())

    def test_a_name_that_nothing_has(self):
        done = self.run_tests("layout", "cuda_x*")
        self.assertEqual(2, done.returncode)
        self.assertEqual("tests/run.sh: no test and no suite matches cuda_x* "
                         "(meson test -C build --list shows them all)\n", done.stderr)
        self.assertFalse(os.path.exists(self.log))


if __name__ == "__main__":
    unittest.main(verbosity=2)
