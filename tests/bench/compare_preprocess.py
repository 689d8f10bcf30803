#!/usr/bin/env python3
"""Preprocessing beside torchvision's and PIL's, on one thread, in one run, rounds interleaved.

    compare_preprocess.py BENCH [--rounds N] [--seconds S] [--json FILE]      BENCH: cliptag_bench

Ours: raw 1080p frames to the normalised 224 x 224 tensor, colour conversion counted. Theirs: from RGB
bytes, already converted: Resize (bicubic, antialias), CenterCrop, float, Normalize; once from planes
(as decode_image gives them) and once with channels last (as PIL's pictures come), the quicker of which
is what ours is compared with. Every round times each of them for a while; the table has the median of
the rounds' least CPU times of a call, which other work on the machine spoils little. Without
torchvision or PIL in this Python they are left out.
"""
import argparse
import json
import statistics
import subprocess
import time

WIDTH, HEIGHT, SIZE, FRAMES = 1920, 1080, 224, 8
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
OURS = ("NV12", "I420", "RGB")


def least(call, seconds):
    """Milliseconds of CPU time of the cheapest call; inputs rotate."""
    best, i, end = float("inf"), 0, time.monotonic() + seconds
    while i < 3 or time.monotonic() < end:
        start = time.process_time()
        call(i % FRAMES)
        if i > 1:
            best = min(best, time.process_time() - start)
        i += 1
    return best * 1e3


def torchvision_cases():
    try:
        import torch
        import torchvision
        from torchvision.transforms import v2
    except ImportError as missing:
        print(f"torchvision is left out: {missing}")
        return {}
    torch.set_num_threads(1)
    transform = v2.Compose([v2.Resize(SIZE, interpolation=v2.InterpolationMode.BICUBIC, antialias=True),
                            v2.CenterCrop(SIZE), v2.ToDtype(torch.float32, scale=True),
                            v2.Normalize(MEAN, STD)])
    planes = [torch.randint(0, 256, (3, HEIGHT, WIDTH), dtype=torch.uint8) for _ in range(FRAMES)]
    last = [p.permute(1, 2, 0).contiguous().permute(2, 0, 1) for p in planes]
    name = f"torchvision {torchvision.__version__}"
    return {f"{name}, RGB planes": lambda i: transform(planes[i]),
            f"{name}, RGB channels last": lambda i: transform(last[i])}


def pil_cases():
    try:
        import numpy
        import PIL
        from PIL import Image
    except ImportError as missing:
        print(f"PIL is left out: {missing}")
        return {}
    random = numpy.random.default_rng(1)
    frames = [Image.fromarray(random.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=numpy.uint8))
              for _ in range(FRAMES)]
    wide = round(WIDTH * SIZE / HEIGHT)

    def run(i):
        small = frames[i].resize((wide, SIZE), Image.BICUBIC)
        left = (wide - SIZE) // 2
        pixels = numpy.asarray(small.crop((left, 0, left + SIZE, SIZE)), dtype=numpy.float32) / 255
        return (pixels - MEAN) / STD
    return {f"PIL {PIL.__version__}, RGB": run}


def ours(bench, seconds, small):
    """{format: milliseconds}, and what the benchmark says of the machine."""
    command = [bench, "--no-limits", "--threads", "1", "--precision", "fp32", "--seconds", str(seconds)]
    command += ["--small"] if small else []
    for name in OURS:
        command += ["--filter", f"preprocess/{name}/{WIDTH}x{HEIGHT}/patch{16 if small else 32}"]
    report = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    times = {r["name"].split("/")[1]: r["cpu_ms"] for r in report["results"]
             if r["name"].startswith("preprocess/") and r["cache"] == "cold" and not r["name"].endswith("side")}
    return times, report["machine"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--json")
    parser.add_argument("--small", action="store_true", help="tiny frames: whether it runs")
    options = parser.parse_args()
    if options.small:
        global WIDTH, HEIGHT, SIZE
        WIDTH, HEIGHT, SIZE = 64, 48, 32
    theirs = {**torchvision_cases(), **pil_cases()}
    rounds, machine = {}, {}
    for _ in range(options.rounds):
        times, machine = ours(options.bench, options.seconds / len(OURS), options.small)
        for name, ms in times.items():
            rounds.setdefault(f"cliptag, {name}", []).append(ms)
        for name, call in theirs.items():
            rounds.setdefault(name, []).append(least(call, options.seconds))
    table = {name: statistics.median(ms) for name, ms in rounds.items()}
    print(f"{machine['cpu']}, {machine['level']}, commit {machine['commit']}, load {machine['load']:.1f}")
    peers = [ms for name, ms in table.items() if name.startswith("torchvision")]
    for name, ms in table.items():
        ratio = ""
        if peers and name.startswith("cliptag"):
            ratio = f"   {min(peers) / ms:.2f} times torchvision's speed"
        print(f"  {name:40} {ms:8.3f} ms  ({min(rounds[name]):.3f} to {max(rounds[name]):.3f}){ratio}")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as f:
            json.dump({"machine": machine, "median_ms": table, "rounds_ms": rounds}, f, indent=1)


if __name__ == "__main__":
    main()
