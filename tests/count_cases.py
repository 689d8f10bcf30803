"""Counts the test cases of the last `meson test` run in a build directory.

A GoogleTest program counts case by case (from the XML that GTEST_OUTPUT=xml:<build>/meson-logs/cases/
had it write), a Python unittest program by its closing lines, anything else as one case. A program that
failed without a failed case (crash, time-out, a sanitizer's report at exit) is a failed case more.

Prints every failed case and every skipped one with its reason, then `N passed, N failed, N skipped`.
Exit status: 0 if something ran and nothing failed.
"""
import json
import os
import re
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field


@dataclass
class Counts:
    passed: int = 0
    failed: list = field(default_factory=list)  # "test: case"
    skipped: list = field(default_factory=list)  # ("test: case", reason)

    def line(self):
        return f"{self.passed} passed, {len(self.failed)} failed, {len(self.skipped)} skipped"


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
    """(run, failed, skips with reasons) from unittest's closing lines, or None if it printed none."""
    ran = re.search(r"^Ran (\d+) tests? in ", output, re.M)
    if not ran:
        return None
    tail = output[ran.end():]
    failed = sum(int(n) for n in re.findall(r"(?:failures|errors)=(\d+)", tail))
    skipped = re.search(r"skipped=(\d+)", tail)
    reasons = re.findall(r"^(\S+ .*)\.\.\. skipped (['\"])(.*)\2$", output, re.M)
    reasons = [(name.strip(), reason) for name, _, reason in reasons]
    number = int(skipped.group(1)) if skipped else 0
    reasons += [("case", "run it with -v for the reason")] * (number - len(reasons))
    return int(ran.group(1)), failed, reasons[:number]


def reports_of(program, directory):
    """GoogleTest's report files of a program, oldest first: NAME.xml, NAME_1.xml, ..."""
    pattern = re.compile(re.escape(program) + r"(?:_(\d+))?\.xml")
    found = [(int(m.group(1) or 0), f) for f in os.listdir(directory) if (m := pattern.fullmatch(f))]
    return [os.path.join(directory, f) for _, f in sorted(found)]


def add_test(counts, test, reports):
    """Adds one meson test; takes its report, if it has one, out of `reports`."""
    name, result = test["name"].split(" / ")[-1], test["result"]
    program = os.path.basename(test["command"][0])
    failed_before = len(counts.failed)
    output = (test.get("stdout") or "") + "\n" + (test.get("stderr") or "")
    counted = False
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
                counts.failed.append(f"{name}: {case}")
            else:
                counts.skipped.append((f"{name}: {case}", reason))
    if not counted and (python := unittest_counts(output)):
        run, failed, skips = python
        counted = True
        counts.passed += max(0, run - failed - len(skips))  # a case may fail in several subtests
        counts.failed += [f"{name}: see its log"] * failed
        counts.skipped += [(f"{name}: {case}", reason) for case, reason in skips]
    if result in ("OK", "EXPECTEDFAIL"):
        counts.passed += 0 if counted else 1
    elif result == "SKIP":
        if not counted:
            lines = [x for x in output.splitlines() if x.strip()]
            counts.skipped.append((name, lines[-1].strip() if lines else "no reason given"))
    elif len(counts.failed) == failed_before:  # FAIL, ERROR, TIMEOUT, UNEXPECTEDPASS, INTERRUPT
        counts.failed.append(f"{name}: {result}, status {test.get('returncode')}")


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
        add_test(counts, test, reports)
    return counts


def main():
    counts = count(sys.argv[1])
    for case, reason in counts.skipped:
        print(f"skipped  {case}: {reason}")
    for case in counts.failed:
        print(f"FAILED   {case}")
    print(counts.line())
    return 0 if counts.passed and not counts.failed else 1


if __name__ == "__main__":
    sys.exit(main())
