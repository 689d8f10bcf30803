"""tests/count_cases.py counts what ran, and nothing that did not."""
import json
import os
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
        self.assertEqual(["gemm: Gemm.Large"], counts.failed)
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
