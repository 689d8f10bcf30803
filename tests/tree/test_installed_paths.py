#!/usr/bin/env python3
"""What is installed holds no path of the machine that it was built on: where a plugin looks for code in the
build folder, whoever can make that folder later has theirs run."""
import os
import subprocess
import tempfile
import unittest


def loaded_bytes(path):
    """What is mapped when it runs: without debug information, which names sources and is never followed."""
    with open(path, "rb") as file:
        data = file.read()
    parts = []
    listing = subprocess.run(["readelf", "-lW", path], capture_output=True, text=True, check=True).stdout
    for line in listing.splitlines():
        words = line.split()
        if words[:1] == ["LOAD"]:
            offset, size = int(words[1], 16), int(words[4], 16)
            parts.append(data[offset:offset + size])
    return b"".join(parts)


def installed_objects(folder):
    for where, _, names in os.walk(folder):
        for path in (os.path.join(where, name) for name in names):
            with open(path, "rb") as file:
                if file.read(4) == b"\x7fELF":
                    yield path


class InstalledPaths(unittest.TestCase):
    def test_objects_hold_no_path_of_the_build(self):
        roots = [os.environ["CLIPTAG_BUILD_ROOT"], os.environ["CLIPTAG_SOURCE_ROOT"]]
        with tempfile.TemporaryDirectory(prefix="cliptag-test.") as folder:
            subprocess.run(["meson", "install", "-C", roots[0], "--no-rebuild", "--destdir", folder],
                           check=True, stdout=subprocess.DEVNULL)
            objects = list(installed_objects(folder))
            self.assertLessEqual({"cliptag", "libgstcliptag.so"}, {os.path.basename(path) for path in objects})
            for path in objects:
                loaded = loaded_bytes(path)
                self.assertGreater(len(loaded), 10000)
                for root in {*roots, *map(os.path.realpath, roots)}:
                    with self.subTest(object=os.path.basename(path), root=root):
                        at = loaded.find(root.encode() + b"/")
                        self.assertEqual(-1, at, loaded[max(0, at - 40):at + 120])


if __name__ == "__main__":
    unittest.main(verbosity=2)
