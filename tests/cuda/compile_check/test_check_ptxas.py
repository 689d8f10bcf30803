#!/usr/bin/env python3
"""check_ptxas.py finds what it is there to find."""
import os
import unittest

import check_ptxas

REPORT = """\
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function '{name}' for '{arch}'
ptxas info    : Function properties for x
    {stack} bytes stack frame, {stores} bytes spill stores, {loads} bytes spill loads
ptxas info    : Used {registers} registers, used 1 barriers, {shared} bytes smem, 404 bytes cmem[0]
ptxas info    : Compile time = 1.000 ms
"""


def report(name="AttentionKernel<__half, 64, false>", arch="sm_86", stack=0, stores=0, loads=0,
           registers=200, shared=128):
    return check_ptxas.parse(REPORT.format(**locals()))


class CheckPtxas(unittest.TestCase):
    launches = check_ptxas.launches_of("AttentionKernel 64 128 36864\nRows * 256 0\n")
    arch = {"sm_86": check_ptxas.ARCHITECTURES["sm_86"]}

    def complaints(self, kernels):
        return check_ptxas.check(kernels, self.launches, self.arch)[1]

    def test_reads_the_report(self):
        kernel, = report()
        self.assertEqual((kernel.name, kernel.arch, kernel.registers, kernel.static_shared),
                         ("AttentionKernel<__half, 64, false>", "sm_86", 200, 128))

    def test_table(self):
        rows, complaints = check_ptxas.check(report(), self.launches, self.arch)
        self.assertEqual(complaints, [])
        # 200 registers: two warps in each partition, two blocks of four; 37 KiB each.
        self.assertEqual(rows, [("AttentionKernel<__half, 64, false>", "sm_86", 200, 36992, 2, 8)])

    def test_spills(self):
        self.assertIn("spills 12 bytes", self.complaints(report(stores=8, loads=4))[0])
        self.assertIn("stack frame of 16", self.complaints(report(stack=16))[0])

    def test_shared_memory(self):
        self.assertIn("bytes of shared memory", self.complaints(report(shared=70000))[0])

    def test_registers_that_let_no_block_run(self):
        launches = check_ptxas.launches_of("AttentionKernel 64 1024 0")
        complaints = check_ptxas.check(report(registers=255, shared=0), launches, self.arch)[1]
        self.assertIn("not one block fits", complaints[0])

    def test_unknown_kernels_and_missing_reports(self):
        self.assertIn("does not mention", self.complaints(report(name="New<64>"))[0])
        self.assertIn("ptxas reports no kernel", self.complaints([])[0])
        cut = "ptxas info    : Compiling entry function 'Rows' for 'sm_86'\n"
        self.assertIn("incomplete", self.complaints(check_ptxas.parse(cut))[0])

    TABLE = """What ptxas of CUDA 13.0.88 makes of them.

| kernel | sm_80 | sm_86 |
| --- | --- | --- |
| AttentionKernel<__half, 64, false> | 126 / 36 / 16 | 200 / 36 / 8 |
"""

    def test_comparing_with_the_table(self):
        table = check_ptxas.parse_table(self.TABLE)
        self.assertEqual(table, ("13.0.88", {("AttentionKernel<__half, 64, false>", "sm_80"): 16,
                                             ("AttentionKernel<__half, 64, false>", "sm_86"): 8}))

        def compare(rows, version="13.0.88"):
            return check_ptxas.compare(rows, table, version, self.arch)
        good = ("AttentionKernel<__half, 64, false>", "sm_86", 200, 36992, 2, 8)
        self.assertEqual(compare([good]), [])
        worse = (*good[:-1], 4)
        self.assertEqual(compare([worse]), [
            "AttentionKernel<__half, 64, false> for sm_86: 4 warps resident, table.md has 8"])
        self.assertEqual(compare([worse], "13.1.5"), [])  # another compiler may choose otherwise
        self.assertIn("not compiled", compare([])[0])
        self.assertIn("does not name it", compare([good, ("New<64>", *good[1:])])[0])

    def test_the_table_is_read_whole(self):
        with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "table.md"), encoding="utf-8") as f:
            version, warps = check_ptxas.parse_table(f.read())
        self.assertRegex(version, r"^\d+\.\d+\.\d+$")
        self.assertEqual({arch for _, arch in warps}, set(check_ptxas.ARCHITECTURES))
        self.assertGreater(len(warps), 30 * len(check_ptxas.ARCHITECTURES))
        self.assertTrue(all(0 < n <= 64 for n in warps.values()))

    def test_any_argument(self):
        self.assertEqual(check_ptxas.launch_of(self.launches, "Rows<float, 3>"), (256, 0))
        self.assertIsNone(check_ptxas.launch_of(self.launches, "AttentionKernel<__half, 65, true>"))


if __name__ == "__main__":
    unittest.main()
