#!/usr/bin/env python3
"""Compiles the hot CUDA kernels for every supported architecture and reads what ptxas says of them.

    check_ptxas.py --launch-table EXE [--nvcc NVCC] [--source ROOT] [--arch sm_90a ...]

Prints a table: registers, shared memory, blocks and warps resident on a multiprocessor. Fails on a spill, a
stack frame, shared memory beyond what a block may have, a kernel of which no block fits, or one that
ptxas or the launch table does not mention; where fewer warps are resident than table.md says, if that is of the
same nvcc; and where table.md names other kernels. Status 77, with the reason, where there is no nvcc.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..")


@dataclass(frozen=True)
class Architecture:
    """Per multiprocessor, from "Technical Specifications per Compute Capability" of the CUDA guide."""
    block_shared: int  # bytes a block may have
    shared: int  # bytes in all; each block takes 1 KiB more than it asks for
    threads: int
    blocks: int
    registers: int = 65536


KIB = 1024
ARCHITECTURES = {
    "sm_80": Architecture(163 * KIB, 164 * KIB, 2048, 32),
    "sm_86": Architecture(99 * KIB, 100 * KIB, 1536, 16),
    "sm_89": Architecture(99 * KIB, 100 * KIB, 1536, 24),
    "sm_90a": Architecture(227 * KIB, 228 * KIB, 2048, 32),
    "sm_100": Architecture(227 * KIB, 228 * KIB, 2048, 32),
    "sm_120": Architecture(99 * KIB, 100 * KIB, 1536, 24),
}


@dataclass
class Kernel:
    name: str  # demangled, without namespace and parameters
    arch: str
    registers: int
    stack: int
    spills: int  # bytes, stores and loads
    static_shared: int


def parse(report):
    """The kernels in ptxas' verbose report (names demangled), in its order."""
    entry = re.compile(r"Compiling entry function '(.+)' for '(\w+)'")
    kernels, current = [], None
    for line in report.splitlines():
        if match := entry.search(line):
            current = Kernel(match[1], match[2], -1, -1, -1, 0)
            kernels.append(current)
        elif current and (match := re.search(
                r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", line)):
            current.stack, current.spills = int(match[1]), int(match[2]) + int(match[3])
        elif current and (match := re.search(r"Used (\d+) registers", line)):
            current.registers = int(match[1])
            shared = re.search(r"(\d+) bytes smem", line)
            current.static_shared = int(shared[1]) if shared else 0
            current = None
    return kernels


def demangle(report):
    names = sorted(set(re.findall(r"Compiling entry function '(\w+)'", report)))
    plain = subprocess.run(["c++filt"], input="\n".join(names), capture_output=True, text=True,
                           check=True).stdout.split("\n")
    for mangled, name in zip(names, plain):
        # "void cliptag::cuda::AttentionKernel<__half, 64, false>(cliptag::cuda::AttentionParams)"
        name = re.sub(r"\(cliptag::Activation\)", "", name)
        name = re.sub(r"^void |cliptag::cuda::|cliptag::|\(.*", "", name)
        report = report.replace(f"'{mangled}'", f"'{name}'")
    return report


def launches_of(table):
    """{(kernel, argument or "*"): (threads, dynamic bytes)} from launch_table's lines."""
    launches = {}
    for line in table.splitlines():
        kernel, argument, threads, shared = line.split()
        launches[kernel, argument] = int(threads), int(shared)
    return launches


def launch_of(launches, name):
    kernel, _, arguments = name.partition("<")
    numbers = re.findall(r"\b\d+\b", arguments)
    for argument in [":".join(numbers)] + numbers + ["*"]:
        if (kernel, argument) in launches:
            return launches[kernel, argument]
    return None


def resident_blocks(arch, registers, threads, shared):
    """How many blocks of a kernel a multiprocessor holds."""
    warps = -(-threads // 32)
    per_warp = -(-registers // 8) * 8 * 32  # allocated 256 at a time
    by_registers = 4 * (arch.registers // 4 // per_warp) // warps  # in four partitions
    by_shared = arch.shared // (shared + KIB)
    return min(by_registers, by_shared, arch.threads // threads, arch.blocks)


def check(kernels, launches, architectures):
    """(rows of the table, sentences of complaint)."""
    rows, complaints = [], []
    for kernel in kernels:
        where = f"{kernel.name} for {kernel.arch}"
        launch = launch_of(launches, kernel.name)
        if launch is None:
            complaints.append(f"{where}: the launch table does not mention it")
            continue
        arch, (threads, dynamic) = architectures[kernel.arch], launch
        shared = dynamic + kernel.static_shared
        if kernel.registers < 0 or kernel.spills < 0:
            complaints.append(f"{where}: ptxas' report is incomplete")
            continue
        if kernel.spills or kernel.stack:
            complaints.append(f"{where}: spills {kernel.spills} bytes, stack frame of {kernel.stack}")
        if shared > arch.block_shared:
            complaints.append(f"{where}: {shared} bytes of shared memory, {arch.block_shared} are allowed")
        blocks = resident_blocks(arch, kernel.registers, threads, shared)
        if blocks == 0:
            complaints.append(f"{where}: not one block fits a multiprocessor")
        rows.append((kernel.name, kernel.arch, kernel.registers, shared, blocks, blocks * threads // 32))
    for name in architectures:
        if not any(kernel.arch == name for kernel in kernels):
            complaints.append(f"{name}: ptxas reports no kernel")
    return rows, complaints


def print_table(rows, architectures):
    """A line a kernel, a column an architecture: registers / shared KiB / blocks x warps resident."""
    names = sorted({row[0] for row in rows})
    cells = {(row[0], row[1]): f"{row[2]} / {row[3] / KIB:.0f} / {row[5]}" for row in rows}
    print("Registers of a thread / KiB of shared memory of a block / warps resident on a multiprocessor\n")
    print("| kernel | " + " | ".join(architectures) + " |")
    print("| --- |" + " --- |" * len(architectures))
    for name in names:
        print(f"| {name} | " + " | ".join(cells.get((name, a), "-") for a in architectures) + " |")


def parse_table(text):
    """(version of ptxas, {(kernel, architecture): warps}) of table.md."""
    version = re.search(r"ptxas of CUDA ([\d.]+)", text)
    lines = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line.startswith("|")]
    header, cells = lines[0], lines[2:]
    warps = {}
    for name, *values in cells:
        for arch, value in zip(header[1:], values, strict=True):
            warps[name, arch] = int(value.split("/")[-1].strip(" |"))
    return version[1] if version else None, warps


def compare(rows, table, version, architectures):
    """What the rows have less than the table, as sentences."""
    table_version, warps = table
    complaints = []
    for name, arch, _, _, _, resident in rows:
        if (name, arch) not in warps:
            complaints.append(f"{name} for {arch}: table.md does not name it")
        elif version == table_version and resident < warps[name, arch]:
            complaints.append(f"{name} for {arch}: {resident} warps resident, table.md has {warps[name, arch]}")
    compiled = {row[:2] for row in rows}
    for name, arch in warps:
        if arch in architectures and (name, arch) not in compiled:
            complaints.append(f"{name} for {arch}: in table.md, but not compiled")
    return complaints


def version_of(nvcc):
    said = subprocess.run([nvcc, "--version"], capture_output=True, text=True, check=True).stdout
    version = re.search(r"V([\d.]+)", said)
    return version[1] if version else None


def find_nvcc(named):
    places = [named] if named else ["nvcc", os.path.join(os.environ.get("CUDA_HOME", "/usr/local/cuda"), "bin", "nvcc")]
    return next((path for path in map(shutil.which, places) if path), None)


def compile_report(nvcc, root, architectures):
    source = os.path.join(root, "tests", "cuda", "compile_check", "hot_instantiations.cu")
    targets = []
    for name in architectures:
        number = name.removeprefix("sm_")
        targets += ["-gencode", f"arch=compute_{number},code=sm_{number}"]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [nvcc, "-std=c++20", "-O3", "-I", root, "-Xptxas", "-v", "-Werror", "all-warnings", *targets,
             "-fatbin", "-o", os.path.join(folder, "hot.fatbin"), source],
            capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"nvcc failed:\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--launch-table", required=True)
    parser.add_argument("--nvcc")
    parser.add_argument("--source", default=ROOT)
    parser.add_argument("--arch", action="append", choices=ARCHITECTURES)
    options = parser.parse_args()
    nvcc = find_nvcc(options.nvcc)
    if not nvcc:
        print("skipped: no nvcc in PATH, $CUDA_HOME/bin or /usr/local/cuda/bin")
        return 77
    architectures = {name: ARCHITECTURES[name] for name in options.arch or ARCHITECTURES}
    table = subprocess.run([options.launch_table], capture_output=True, text=True, check=True).stdout
    report = demangle(compile_report(nvcc, options.source, architectures))
    rows, complaints = check(parse(report), launches_of(table), architectures)
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "table.md"), encoding="utf-8") as f:
        complaints += compare(rows, parse_table(f.read()), version_of(nvcc), architectures)
    print_table(rows, architectures)
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
