"""Counts the test cases of the last `meson test` run in a build directory.

    count_cases.py BUILD [EXPECTED]      EXPECTED: the skips that may be; any other skip is a failure

A GoogleTest program counts case by case (from the XML that GTEST_OUTPUT=xml:<build>/meson-logs/cases/
had it write), a Python unittest program by its closing lines, anything else as one case. A program that
failed without a failed case (crash, time-out, a sanitizer's report at exit) is a failed case more.

Prints the ten slowest tests, every skipped case with its reason, every failed one with a command line that
repeats just it, then `N passed, N failed, N skipped`. Exit status: 0 if something ran and nothing failed.
"""
import fnmatch
import json
import os
import re
import shlex
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field


SLOWEST = 10
# Variables that tests read; what else a test was given is found by comparing with this process's own.
READ_BY_TESTS = re.compile(r"CLIPTAG_|GST_|XDG_CACHE_HOME|MALLOC_PERTURB_|\w+SAN_OPTIONS")
OF_THE_RUN = {"PATH", "LD_LIBRARY_PATH", "LD_PRELOAD", "GTEST_OUTPUT", "PWD", "OLDPWD", "SHLVL", "_"}


@dataclass
class Counts:
    passed: int = 0
    failed: list = field(default_factory=list)   # ("test: case", the command line that repeats it)
    skipped: list = field(default_factory=list)  # ("test: case", reason)
    seconds: list = field(default_factory=list)  # (duration, test)

    def line(self):
        return f"{self.passed} passed, {len(self.failed)} failed, {len(self.skipped)} skipped"


def repeat_line(test, build, case=None):
    """The command line that runs a test, or one case of it: its folder, environment and program."""
    environment = {name: value for name, value in (test.get("env") or {}).items()
                   if name not in OF_THE_RUN and (READ_BY_TESTS.match(name) or os.environ.get(name) != value)}
    words = [f"{name}={shlex.quote(value)}" for name, value in sorted(environment.items())]
    command = test["command"] + ([case] if case else [])
    return f"(cd {shlex.quote(os.path.abspath(build))} && {' '.join(words + [shlex.quote(w) for w in command])})"


def gtest_cases(path):
    """(name, state, reason) of each case in a GoogleTest XML report."""
    for case in ElementTree.parse(path).iter("testcase"):
        name = f"{case.get('classname')}.{case.get('name')}"
        if case.find("failure") is not None or case.find("error") is not None:
            yield name, "failed", ""
        elif case.find("skipped") is not None:
            message = case.find("skipped").get("message") or ""
            # GoogleTest puts file and line before the reason.
            lines = [x for x in message.splitlines() if not re.fullmatch(r"\S+:\d+", x.strip())]
            yield name, "skipped", " ".join(" ".join(lines).split())
        elif case.get("status") == "run":
            yield name, "passed", ""
        # A disabled case did not run and is nothing that this machine lacks: not counted.


def unittest_counts(output):
    """(run, names of failed cases, skips with reasons) from what unittest printed, or None if that is not it."""
    ran = re.search(r"^Ran (\d+) tests? in ", output, re.M)
    if not ran:
        return None
    tail = output[ran.end():]
    number = sum(int(n) for n in re.findall(r"(?:failures|errors)=(\d+)", tail))
    # FAIL: test_a (__main__.Suite.test_a), before Python 3.11 (__main__.Suite); or setUpClass (__main__.Suite)
    failed = []
    for case, where in re.findall(r"^(?:FAIL|ERROR): (\w+) \([^.)]*\.([\w.]+)\)", output, re.M):
        failed.append(f"{where}.{case}" if case.startswith("test") and not where.endswith("." + case) else where)
    failed += [None] * (number - len(failed))
    skipped = re.search(r"skipped=(\d+)", tail)
    reasons = re.findall(r"^(\S+ .*)\.\.\. skipped (['\"])(.*)\2$", output, re.M)
    reasons = [(name.strip(), reason) for name, _, reason in reasons]
    number = int(skipped.group(1)) if skipped else 0
    reasons += [("case", "run it with -v for the reason")] * (number - len(reasons))
    return int(ran.group(1)), failed, reasons[:number]


def unfinished_case(output):
    """The GoogleTest case that was running when its program ended, or None."""
    last = re.findall(r"^\[ (RUN     |      OK|  FAILED|  SKIPPED) \] (\S+?)(?:,| |$)", output, re.M)
    return last[-1][1] if last and last[-1][0].strip() == "RUN" else None


def reports_of(program, directory):
    """GoogleTest's report files of a program, oldest first: NAME.xml, NAME_1.xml, ..."""
    pattern = re.compile(re.escape(program) + r"(?:_(\d+))?\.xml")
    found = [(int(m.group(1) or 0), f) for f in os.listdir(directory) if (m := pattern.fullmatch(f))]
    return [os.path.join(directory, f) for _, f in sorted(found)]


def add_test(counts, test, reports, build):
    """Adds one meson test; takes its report, if it has one, out of `reports`."""
    name, result = test["name"].split(" / ")[-1], test["result"]
    program = os.path.basename(test["command"][0])
    failed_before = len(counts.failed)
    output = (test.get("stdout") or "") + "\n" + (test.get("stderr") or "")
    counted = False

    def fail(case, argument=None):
        counts.failed.append((f"{name}: {case}", repeat_line(test, build, argument)))

    while reports.get(program) and not counted:
        try:
            cases = list(gtest_cases(reports[program].pop(0)))
        except ElementTree.ParseError:  # cut short by a crash
            continue
        counted = True
        for case, state, reason in cases:
            if state == "passed":
                counts.passed += 1
            elif state == "failed":
                fail(case, f"--gtest_filter={case}")
            else:
                counts.skipped.append((f"{name}: {case}", reason))
    if not counted and (python := unittest_counts(output)):
        run, failed, skips = python
        counted = True
        counts.passed += max(0, run - len(failed) - len(skips))  # a case may fail in several subtests
        for case in failed:
            fail(case or "see its log", case)
        counts.skipped += [(f"{name}: {case}", reason) for case, reason in skips]
    if result in ("OK", "EXPECTEDFAIL"):
        counts.passed += 0 if counted else 1
    elif result == "SKIP":
        if not counted:
            lines = [x for x in output.splitlines() if x.strip()]
            counts.skipped.append((name, lines[-1].strip() if lines else "no reason given"))
    elif len(counts.failed) == failed_before:  # FAIL, ERROR, TIMEOUT, UNEXPECTEDPASS, INTERRUPT
        case = unfinished_case(output)
        fail(f"{case + ', ' if case else ''}{result}, status {test.get('returncode')}",
             f"--gtest_filter={case}" if case else None)
    counts.seconds.append((test.get("duration") or 0, name))


def count(build):
    logs = os.path.join(build, "meson-logs")
    counts = Counts()
    try:
        with open(os.path.join(logs, "testlog.json"), encoding="utf-8") as f:
            tests = [json.loads(line) for line in f if line.strip()]
    except FileNotFoundError:
        return counts
    directory = os.path.join(logs, "cases")
    programs = {os.path.basename(t["command"][0]) for t in tests}
    have = os.path.isdir(directory)
    reports = {p: reports_of(p, directory) if have else [] for p in programs}
    for test in tests:
        add_test(counts, test, reports, build)
    return counts


def fail_unexpected_skips(counts, patterns):
    """Turns each skip into a failure whose `test: case: reason` matches none of the patterns."""
    unexpected = [(case, reason) for case, reason in counts.skipped
                  if not any(fnmatch.fnmatchcase(f"{case}: {reason}", pattern) for pattern in patterns)]
    counts.skipped = [skip for skip in counts.skipped if skip not in unexpected]
    counts.failed += [(f"{case}: skipped, which tests/expected_skips.txt does not list: {reason}", None)
                      for case, reason in unexpected]


def read_patterns(path):
    """A pattern a line; what follows two spaces and # is a comment."""
    with open(path, encoding="utf-8") as f:
        lines = [re.sub(r"(^|  )#.*", "", line.rstrip("\n")).strip() for line in f]
    return [line for line in lines if line]


def main():
    build, expected = sys.argv[1], sys.argv[2:]
    counts = count(build)
    if expected:
        fail_unexpected_skips(counts, read_patterns(expected[0]))
    for seconds, name in sorted(counts.seconds, reverse=True)[:SLOWEST]:
        print(f"slowest  {seconds:7.1f} s  {name}")
    for case, reason in counts.skipped:
        print(f"skipped  {case}: {reason}")
    for case, repeat in counts.failed:
        print(f"FAILED   {case}")
        if repeat:
            print(f"repeat   {repeat}")
    print(counts.line())
    return 0 if counts.passed and not counts.failed else 1


if __name__ == "__main__":
    sys.exit(main())
