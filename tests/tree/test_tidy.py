"""clang-tidy with the checks of .clang-tidy over C++ sources: no finding.

    python3 tests/tree/test_tidy.py FOLDER|SOURCE...      over those of them that build/ compiles

A source that was clean is skipped until it, a header that it includes, its flags or .clang-tidy change: BUILD/tidy/
holds a stamp for each, named by a hash of these. One source at a time: meson runs the folders side by side.
"""
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys

ROOT = os.path.realpath(os.environ.get("CLIPTAG_SOURCE_ROOT", os.path.join(os.path.dirname(__file__), "..", "..")))
BUILD = os.path.realpath(os.environ.get("CLIPTAG_BUILD_ROOT", os.path.join(ROOT, "build")))
STAMPS = os.path.join(BUILD, "tidy")
VERSION = "14"  # another version has other findings
# The compiler's flags that change how a source is parsed; others are GCC's own, or cost time.
PARSING = re.compile(r"-(I|isystem|D(?!_FORTIFY_SOURCE)|std=|m|pthread)")
# What clang 14 lacks, in a form that it can parse.
BUILTINS = "-D__builtin_shuffle(vector, lanes)=(vector)"
SOURCE_LOCATION = """#pragma once
namespace std {
struct source_location {
  static constexpr source_location current() { return {}; }
  constexpr unsigned line() const { return 0; }
  constexpr const char* file_name() const { return ""; }
  constexpr const char* function_name() const { return ""; }
};
}
"""


def sources(wanted):
    """{source: its first command} of the compiled sources in the wanted files and folders."""
    with open(os.path.join(BUILD, "compile_commands.json"), encoding="utf-8") as f:
        commands = json.load(f)
    found = {}
    for command in commands:
        path = os.path.realpath(os.path.join(command["directory"], command["file"]))
        if path.endswith(".cc") and any(path == root or path.startswith(root + os.sep) for root in wanted):
            found.setdefault(path, command)
    return found


def included():
    """{object: files of the project that it was made of}, as ninja noted."""
    out = subprocess.run(["ninja", "-C", BUILD, "-t", "deps"], capture_output=True, text=True, check=True).stdout
    files = {}
    for block in out.split("\n\n"):
        name, *paths = block.splitlines() or [""]
        paths = {os.path.realpath(os.path.join(BUILD, path.strip())) for path in paths}
        paths = sorted(path for path in paths if path.startswith(ROOT + os.sep) and os.path.exists(path))
        files[name.partition(": #deps")[0]] = paths
    return files


def stamp_of(words, files):
    digest = hashlib.sha256(json.dumps([words, files]).encode())
    for path in files:
        with open(path, "rb") as f:
            digest.update(f.read())
    return os.path.join(STAMPS, digest.hexdigest())


def main(arguments):
    tool = shutil.which("clang-tidy-" + VERSION) or shutil.which("clang-tidy")
    version = subprocess.run([tool, "--version"], capture_output=True, text=True, check=True).stdout if tool else ""
    if not re.search(rf"version {VERSION}\.", version):
        print(f"no clang-tidy {VERSION} here, and others have other findings")
        return 77
    found = sources([os.path.realpath(path) for path in arguments])
    if not found:
        print(f"{BUILD} compiles no source of {' '.join(arguments)}")
        return 2
    headers = os.path.join(STAMPS, "include")
    os.makedirs(headers, exist_ok=True)
    with open(os.path.join(headers, "source_location"), "w", encoding="ascii") as f:
        f.write(SOURCE_LOCATION)
    configs = [os.path.join(ROOT, folder, ".clang-tidy") for folder in ("", "tests")]
    made_of, checked, bad = included(), 0, []
    for source, command in sorted(found.items()):
        flags = [word for word in shlex.split(command["command"]) if PARSING.match(word)]
        words = [tool, "--quiet", source, "--", *flags, BUILTINS, "-isystem" + headers]
        files = made_of.get(command["output"])
        stamp = stamp_of(words, [*configs, *files]) if files else None
        if stamp and os.path.exists(stamp):
            continue
        checked += 1
        done = subprocess.run(words, cwd=BUILD, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            bad.append(os.path.relpath(source, ROOT))
            print(done.stdout or done.stderr, flush=True)
        elif stamp:
            open(stamp, "w", encoding="ascii").close()
    print(f"{checked} sources checked, findings in {len(bad)}", *bad, sep="\n  ")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
