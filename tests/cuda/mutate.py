"""tests/mutate_kernels.sh: see there. A mutant is killed when its test fails, crashes or hangs; one that
does not apply exactly once, or does not compile, is an error of this script and stops it."""
import argparse
import filecmp
import os
import shutil
import subprocess
import sys
import tempfile
from collections import namedtuple

from mutants import MUTANTS

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
TIMEOUT_S = 120
Outcome = namedtuple("Outcome", "killed how")


def copy_tree(target):
    names = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                           cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in filter(None, names):
        source, to = os.path.join(ROOT, name), os.path.join(target, name)
        if not os.path.isfile(source) or (os.path.isfile(to) and filecmp.cmp(source, to, shallow=False)):
            continue
        os.makedirs(os.path.dirname(to), exist_ok=True)
        shutil.copy(source, to)  # with the time of now, so that a kept build takes note


def build(folder, test):
    """The test's path; stops when it does not compile."""
    done = subprocess.run(["ninja", "-j1", "-C", os.path.join(folder, "build"), f"tests/cuda/{test}"],
                          capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{test} does not compile:\n{done.stdout}{done.stderr}")
    return os.path.join(folder, "build", "tests", "cuda", test)


def run(program, filters):
    """Whether the test notices, and how."""
    try:
        done = subprocess.run([program, "--gtest_fail_fast", f"--gtest_filter={filters}"],
                              capture_output=True, text=True, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return Outcome(True, "hangs")
    if done.returncode == 0:
        return Outcome(False, "SURVIVED")
    failed = [line for line in done.stdout.splitlines() if line.startswith("[  FAILED  ]")]
    return Outcome(True, failed[0].split("]", 1)[1].split("(")[0].strip() if failed else "crashes")


def read(folder, mutant):
    """The path and text of the file to mutate; stops where the mutant does not fit it."""
    path = os.path.join(folder, mutant.file)
    with open(path, encoding="utf-8") as f:
        text = f.read()
    if text.count(mutant.old) != 1:
        sys.exit(f"{mutant.what}: {mutant.file} has its text {text.count(mutant.old)} times, not once:\n{mutant.old}")
    return path, text


def apply(folder, mutant):
    """Writes the mutated file; returns its path and the text to restore."""
    path, text = read(folder, mutant)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text.replace(mutant.old, mutant.new))
    return path, text


def main():
    parser = argparse.ArgumentParser(prog="tests/mutate_kernels.sh")
    parser.add_argument("--list", action="store_true", help="print the mutants, each checked to fit its file, and stop")
    parser.add_argument("--keep", metavar="DIR", help="work there and leave it, so that the next run is quicker")
    parser.add_argument("words", nargs="*", metavar="WORD")
    options = parser.parse_args()
    chosen = [m for m in MUTANTS if not options.words or any(w in m.file + " " + m.what for w in options.words)]
    if options.list:
        for mutant in chosen:
            read(ROOT, mutant)
        print("\n".join(f"{m.file}: {m.what}" for m in chosen))
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = os.path.abspath(options.keep or temporary)
        copy_tree(folder)
        if not os.path.exists(os.path.join(folder, "build", "build.ninja")):
            subprocess.run(["meson", "setup", "build", "-Dtests=enabled", "-Doptimization=1", "-Ddebug=false"],
                           cwd=folder, check=True, stdout=subprocess.DEVNULL)
        for test, filters in sorted({(m.test, m.filters) for m in chosen}):
            if run(build(folder, test), filters).killed:
                sys.exit(f"{test} fails without any mutant")
        killed = 0
        for mutant in chosen:
            path, text = apply(folder, mutant)
            outcome = run(build(folder, mutant.test), mutant.filters)
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
            killed += outcome.killed
            print(f"{mutant.file}: {mutant.what}: {outcome.how}", flush=True)
    print(f"{len(chosen)} mutants, {killed} killed")
    return 0 if chosen and killed == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
