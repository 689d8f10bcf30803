"""tests/count_cases.py counts what ran, and nothing that did not."""
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import count_cases  # noqa: E402

GTEST = """<?xml version="1.0" encoding="UTF-8"?>
<testsuites tests="4" failures="1" name="AllTests"><testsuite name="Gemm" tests="4">
<testcase name="Small" status="run" result="completed" classname="Gemm" />
<testcase name="Large" status="run" result="completed" classname="Gemm">
  <failure message="1.0 vs 2.0" type=""><![CDATA[x.cc:3]]></failure></testcase>
<testcase name="Amx" status="run" result="skipped" classname="Gemm">
  <skipped message="x.cc:9&#x0A;this CPU has no AMX&#x0A;"/></testcase>
<testcase name="DISABLED_Later" status="notrun" result="suppressed" classname="Gemm" />
</testsuite></testsuites>
"""
UNITTEST = """test_a (x.A.test_a) ... ok
test_b (x.A.test_b) ... skipped 'no shared folder'
test_c (x.A.test_c) ... FAIL

======================================================================
FAIL: test_c (x.A.test_c)
----------------------------------------------------------------------
Ran 3 tests in 0.1s

FAILED (failures=1, skipped=1)
"""


class CountCasesTest(unittest.TestCase):
    def count(self, tests, reports=None):
        """Counts planted results: meson's log lines, and {file name: XML}."""
        with tempfile.TemporaryDirectory() as build:
            os.makedirs(os.path.join(build, "meson-logs", "cases"))
            with open(os.path.join(build, "meson-logs", "testlog.json"), "w") as f:
                for test in tests:
                    f.write(json.dumps({"stdout": "", "stderr": "", "returncode": 0, **test}) + "\n")
            for name, text in (reports or {}).items():
                with open(os.path.join(build, "meson-logs", "cases", name), "w") as f:
                    f.write(text)
            return count_cases.count(build)

    def test_cases_of_googletest(self):
        counts = self.count([{"name": "cliptag:kernels / gemm", "command": ["/b/gemm_test"],
                              "result": "FAIL", "returncode": 1}], {"gemm_test.xml": GTEST})
        self.assertEqual("1 passed, 1 failed, 1 skipped", counts.line())
        self.assertEqual(["gemm: Gemm.Large"], [case for case, _ in counts.failed])
        self.assertEqual([("gemm: Gemm.Amx", "this CPU has no AMX")], counts.skipped)

    def test_a_crash_leaves_no_report_and_is_a_failure(self):
        counts = self.count([{"name": "gemm", "command": ["/b/gemm_test"], "result": "ERROR",
                              "returncode": -11}])
        self.assertEqual("0 passed, 1 failed, 0 skipped", counts.line())
        counts = self.count([{"name": "gemm", "command": ["/b/gemm_test"], "result": "TIMEOUT"}],
                            {"gemm_test.xml": GTEST[:200]})
        self.assertEqual("0 passed, 1 failed, 0 skipped", counts.line())

    def test_a_bad_exit_after_good_cases_is_a_failure(self):
        good = GTEST.replace("<failure", "<system-out").replace("</failure", "</system-out")
        counts = self.count([{"name": "gemm", "command": ["/b/gemm_test"], "result": "FAIL",
                              "returncode": 66}], {"gemm_test.xml": good})
        self.assertEqual("2 passed, 1 failed, 1 skipped", counts.line())

    def test_one_program_run_twice(self):
        test = {"name": "gemm", "command": ["/b/gemm_test"], "result": "FAIL", "returncode": 1}
        counts = self.count([test, test], {"gemm_test.xml": GTEST, "gemm_test_1.xml": GTEST})
        self.assertEqual("2 passed, 2 failed, 2 skipped", counts.line())

    def test_a_report_of_another_program_is_not_taken(self):
        counts = self.count([{"name": "gemm", "command": ["/b/gemm"], "result": "OK"}],
                            {"gemm_test.xml": GTEST})
        self.assertEqual("1 passed, 0 failed, 0 skipped", counts.line())

    def test_unittest(self):
        counts = self.count([{"name": "tree", "command": ["/usr/bin/python3", "x.py"],
                              "result": "FAIL", "returncode": 1, "stderr": UNITTEST}])
        self.assertEqual("1 passed, 1 failed, 1 skipped", counts.line())
        self.assertEqual("no shared folder", counts.skipped[0][1])

    def test_each_failure_is_repeated_by_one_line(self):
        """With folder, environment, program and the case's name; run by a shell, it runs just that."""
        echo = {"command": ["/bin/sh", "-c", 'echo "$PWD $CLIPTAG_CPU $MINE $*"', "gemm test"], "result": "FAIL",
                "returncode": 1, "env": {"CLIPTAG_CPU": "avx2", "MINE": "a b", "PATH": "/x", "HOME": os.environ["HOME"]}}

        def repeated(counts):
            (case, line), = counts.failed
            self.assertNotIn("PATH", line)
            self.assertNotIn("HOME", line)  # as in the shell that repeats it
            line = re.sub(r"^\(cd \S+ ", "(cd / ", line)
            return case, subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True).stdout

        self.assertEqual(("gemm: Gemm.Large", "/ avx2 a b --gtest_filter=Gemm.Large\n"),
                         repeated(self.count([{"name": "gemm", **echo}], {"sh.xml": GTEST})))
        self.assertEqual(("tree: A.test_c", "/ avx2 a b A.test_c\n"),
                         repeated(self.count([{"name": "tree", **echo, "stderr": UNITTEST}])))
        crash = "[ RUN      ] Gemm.Small\n[       OK ] Gemm.Small (3 ms)\n[ RUN      ] Gemm.Large\n"
        self.assertEqual(("gemm: Gemm.Large, FAIL, status 1", "/ avx2 a b --gtest_filter=Gemm.Large\n"),
                         repeated(self.count([{"name": "gemm", **echo, "stdout": crash}])))
        self.assertEqual(("gemm: FAIL, status 1", "/ avx2 a b \n"), repeated(self.count([{"name": "gemm", **echo}])))

    def test_names_of_failed_unittest_cases(self):
        def names(*lines):
            output = "\n".join(lines) + f"\n\nRan 3 tests in 0.1s\n\nFAILED (failures=1, errors={len(lines)})\n"
            return count_cases.unittest_counts(output)[1]
        self.assertEqual(["A.test_c", "A.test_c", "A", None],
                         names("FAIL: test_c (__main__.A.test_c) (path='x')", "ERROR: test_c (__main__.A)",
                               "ERROR: setUpClass (__main__.A)"))

    def test_a_skip_that_is_not_expected_is_a_failure(self):
        def counts():
            return self.count([{"name": "a", "command": ["/b/a"], "result": "OK"},
                               {"name": "b", "command": ["/b/b"], "result": "SKIP", "stdout": "needs a GPU\n"}])
        for text, line in (("# why\n\nb: needs a GPU  # none in CI\n", "1 passed, 0 failed, 1 skipped"),
                           ("b: needs *\n", "1 passed, 0 failed, 1 skipped"),
                           ("c: needs a GPU\nb: needs\n", "1 passed, 1 failed, 0 skipped")):
            with tempfile.NamedTemporaryFile("w", suffix=".txt") as f:
                f.write(text)
                f.flush()
                counted = counts()
                count_cases.fail_unexpected_skips(counted, count_cases.read_patterns(f.name))
                self.assertEqual(line, counted.line(), text)

    def test_the_slowest_are_known(self):
        tests = [{"name": f"p:s / t{i}", "command": ["/b/a"], "result": "OK", "duration": i} for i in range(12)]
        self.assertEqual((11, "t11"), max(self.count(tests).seconds))

    def test_a_plain_program(self):
        counts = self.count([
            {"name": "a", "command": ["/b/a"], "result": "OK"},
            {"name": "b", "command": ["/b/b"], "result": "SKIP", "returncode": 77,
             "stdout": "needs a GPU\n"},
            {"name": "c", "command": ["/b/c"], "result": "FAIL", "returncode": 1}])
        self.assertEqual("1 passed, 1 failed, 1 skipped", counts.line())
        self.assertEqual([("b", "needs a GPU")], counts.skipped)

    def test_nothing_ran(self):
        with tempfile.TemporaryDirectory() as build:
            self.assertEqual("0 passed, 0 failed, 0 skipped", count_cases.count(build).line())


if __name__ == "__main__":
    unittest.main(verbosity=2)
