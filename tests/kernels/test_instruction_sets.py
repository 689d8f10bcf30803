#!/usr/bin/env python3
"""What is compiled for one instruction set runs only where that has been asked for: the libraries of the
vector kernels have nothing that runs while the program is loaded, and no inline function whose copy the
linker might take for everybody"s.

Usage: test_instruction_sets.py LIBRARY...
"""
import platform
import subprocess
import sys
import unittest

LIBRARIES = []


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


class InstructionSets(unittest.TestCase):
    def test_all_are_here(self):
        sets = ["baseline"] + (["avx2", "avx512", "amx"] if platform.machine() == "x86_64" else [])
        for name in sets:
            self.assertTrue(any(name in library for library in LIBRARIES), f"{name} is not among {LIBRARIES}")

    def test_nothing_runs_at_load(self):
        for library in LIBRARIES:
            with self.subTest(library=library):
                sections = output("readelf", "-SW", library)
                self.assertIn(".text", sections)
                for name in (".init_array", ".ctors", ".preinit_array"):
                    self.assertNotIn(name, sections)

    def test_nothing_is_shared_with_other_code(self):
        for library in LIBRARIES:
            with self.subTest(library=library):
                symbols = [line.split() for line in output("nm", "-C", "--defined-only", library).splitlines()]
                shared = [" ".join(words[2:]) for words in symbols if len(words) > 2 and words[1] in "WVu"]
                self.assertEqual([], shared)


if __name__ == "__main__":
    cases = [word for word in sys.argv[1:] if word.startswith("InstructionSets")]
    LIBRARIES = [word for word in sys.argv[1:] if word not in cases]
    unittest.main(argv=sys.argv[:1] + cases, verbosity=2)
