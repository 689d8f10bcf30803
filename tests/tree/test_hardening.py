#!/usr/bin/env python3
"""What is built is hardened: what overruns a buffer ends the process instead of doing what a hostile file says.

Usage: test_hardening.py [--fortified] OBJECT... -- ARCHIVE...     objects that are linked, and what they are made of
"""
import os
import platform
import re
import subprocess
import sys
import unittest

FORTIFIED = False
OBJECTS, ARCHIVES = [], []


def readelf(*arguments):
    return subprocess.run(["readelf", "-W", *arguments], capture_output=True, text=True, check=True).stdout


class Hardening(unittest.TestCase):
    def each(self, check):
        self.assertTrue(OBJECTS)
        for path in OBJECTS:
            with self.subTest(object=os.path.basename(path)):
                check(path)

    def test_all_symbols_are_bound_at_start_and_then_read_only(self):
        def check(path):
            self.assertRegex(readelf("-d", path), r"BIND_NOW|FLAGS_1\).*\bNOW\b")
            self.assertIn("GNU_RELRO", readelf("-l", path))
        self.each(check)

    def test_stacks_hold_no_code_and_code_lies_anywhere(self):
        def check(path):
            self.assertRegex(readelf("-l", path), r"GNU_STACK.* RW +0x")
            self.assertRegex(readelf("-h", path), r"Type: +DYN")
            self.assertNotIn("TEXTREL", readelf("-d", path))
        self.each(check)

    def test_stacks_are_guarded(self):
        def check(path):
            self.assertIn("__stack_chk_fail", readelf("--dyn-syms", path))
        self.each(check)

    def test_copies_are_checked(self):
        if not FORTIFIED:
            self.skipTest("not optimised, or a sanitizer checks them")
        def check(path):
            if re.search("cuda|pictures", os.path.basename(path)):
                return  # they copy nothing whose size the compiler does not know
            self.assertRegex(readelf("--dyn-syms", path), r"__(mem|str|read|snprintf|vsnprintf)\w*_chk")
        self.each(check)

    @unittest.skipUnless(platform.machine() == "x86_64", "CET is of x86")
    def test_branches_and_returns_are_marked(self):
        """In each piece: Debian's own crti.o has no mark, so the linker leaves it out of the whole."""
        self.assertTrue(ARCHIVES)
        for path in ARCHIVES:
            with self.subTest(archive=os.path.basename(path)):
                pieces = re.findall(r"^File: (.*)", readelf("-h", path), re.M)
                marked = re.findall(r"x86 feature: IBT, SHSTK", readelf("-n", path))
                self.assertTrue(pieces)
                self.assertEqual(len(pieces), len(marked))


if __name__ == "__main__":
    words = sys.argv[1:]
    FORTIFIED = "--fortified" in words
    words = [word for word in words if word != "--fortified"]
    cases = [word for word in words if word.startswith("Hardening")]
    words = [word for word in words if word not in cases]
    OBJECTS, ARCHIVES = words[:words.index("--")], words[words.index("--") + 1:]
    unittest.main(argv=sys.argv[:1] + cases, verbosity=2)
