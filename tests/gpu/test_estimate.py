"""estimates.md shows what estimate.py prints."""
import pathlib
import subprocess
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent


class EstimateTest(unittest.TestCase):
    def test_the_tables_are_the_latest(self):
        printed = subprocess.run([sys.executable, HERE / "estimate.py"], capture_output=True, text=True, check=True)
        text = (HERE / "estimates.md").read_text(encoding="utf-8")
        for line in printed.stdout.splitlines():
            self.assertIn(line, text)


if __name__ == "__main__":
    unittest.main()
