"""Merges the results of tests/gpu/run.sh: DATE-GPU.json and a table, with the project's marks.

    report.py --directory DIR FILE...     prints DATE-GPU, the name of the two files

FILEs hold one JSON object a line; of several results for the same thing the last counts.
"""
import argparse
import json
import os
import re

MODELS = ["ViT-B/32", "ViT-B/16", "ViT-L/14", "ViT-L/14-336", "ViT-H/14"]
# What makes two results the same thing, by kind.
IDENTITY = {
    "machine": (), "engines": (), "check": ("name",), "limit": ("name",), "op": ("name", "model", "batch"),
    "attention": ("tokens", "heads", "head_dim", "batch", "engine", "layout"),
    "preprocess": ("name", "width", "height", "frames", "patch"),
    "model": ("name", "engine", "precision", "batch"),
}


def read(paths):
    """{kind: [result]}; a line that was cut off is left out."""
    found = {kind: {} for kind in IDENTITY}
    for path in paths:
        with open(path, encoding="utf-8") as f:
            for text in f:
                try:
                    line = json.loads(text)
                except ValueError:
                    continue
                key = tuple(line.get(k) for k in IDENTITY[line["kind"]])
                # The card is described by run.sh and by the benchmark.
                found[line["kind"]].setdefault(key, {}).update(
                    {k: v for k, v in line.items() if k != "kind"})
    return {kind: list(lines.values()) for kind, lines in found.items()}


def one(results, kind, **wanted):
    for line in results[kind]:
        if all(line.get(k) == v for k, v in wanted.items()):
            return line
    return None


def ratio(a, b):
    return a / b if a and b else None


def cudnn(results, ours):
    """cuDNN's best time for what `ours` measured, in microseconds."""
    times = [line["us"] for line in results["attention"] if line["engine"] == "cudnn" and line.get("us")
             and all(line[k] == ours[k] for k in ("tokens", "heads", "head_dim", "batch"))]
    return min(times, default=None)


def best_other(results, ours):
    times = [line["us"] for line in results["attention"] if line["engine"] != "cliptag" and line.get("us")
             and all(line[k] == ours[k] for k in ("tokens", "heads", "head_dim", "batch"))]
    return min(times, default=None)


def marks(results):
    """What the project wants of itself: [{"mark", "value", "wanted", "met"}]; value None = not measured."""
    out = []

    def mark(name, value, wanted):
        out.append({"mark": name, "value": value, "wanted": wanted,
                    "met": None if value is None else value >= wanted})

    for line in results["model"]:
        if line["engine"] == "cliptag" and line["precision"] == "bf16":
            torch = one(results, "model", name=line["name"], engine="pytorch", precision="bf16",
                        batch=line["batch"])
            mark(f"{line['name']}, batch {line['batch']:g}: PyTorch's time over ours",
                 ratio(torch and torch["ms"], line["ms"]), 1.2 if line["batch"] <= 8 else 1.1)
    product, copy = one(results, "limit", name="product"), one(results, "limit", name="copy")
    large = one(results, "model", name="ViT-L/14", engine="cliptag", precision="bf16", batch=64)
    mark("ViT-L/14, batch 64: share of the largest product's rate",
         ratio(large and large["tflops"], product and product["tflops"]), 0.55)
    for line in results["attention"]:
        if line["engine"] == "cliptag":
            mark(f"attention of {line['tokens']:g} tokens, {line['heads']:g} heads of {line['head_dim']:g}, "
                 f"batch {line['batch']:g}: cuDNN's time over ours",
                 ratio(cudnn(results, line), line["us"]), 1.0 if line["tokens"] <= 257 else 0.8)
    for line in results["preprocess"]:
        if line["name"] == "kernel":
            mark(f"preprocessing of {line['frames']:g} {line['width']:g}x{line['height']:g} frames, patches of "
                 f"{line['patch']:g}: share of copy bandwidth",
                 ratio(line["gb_s"], copy and copy["gb_s"]), 0.6)
    return out


def number(value, digits=1):
    return "–" if value is None else f"{value:,.{digits}f}".replace(",", " ")


def percent(value):
    return "–" if value is None else f"{100 * value:.0f} %"


def table(columns, rows):
    lines = ["| " + " | ".join(row) + " |" for row in [columns, ["---"] * len(columns), *rows]]
    return "\n".join(lines) + "\n"


def model_table(results):
    rows = []
    ours = [line for line in results["model"] if line["engine"] == "cliptag"]
    order = {name: i for i, name in enumerate(MODELS)}
    for line in sorted(ours, key=lambda x: (order.get(x["name"], 99), x["precision"], x["batch"])):
        others = {}
        for engine, precision in (("pytorch", "bf16"), ("pytorch-eager", "bf16"), ("onnxruntime", "fp16")):
            other = one(results, "model", name=line["name"], engine=engine, precision=precision,
                        batch=line["batch"])
            others[engine] = other["images_per_second"] if other else None
        same = line["precision"] == "bf16"  # as PyTorch's
        rows.append([line["name"], line["precision"], f"{line['batch']:g}", number(line["latency_ms"], 2),
                     number(line["images_per_second"], 0), number(line["tflops"], 0),
                     number(others["pytorch-eager"], 0), number(others["pytorch"], 0),
                     number(others["onnxruntime"], 0),
                     number(ratio(line["images_per_second"], others["pytorch"]) if same else None, 2)])
    return table(["model", "precision", "batch", "latency ms", "images/s", "TFLOP/s", "PyTorch, eager", "PyTorch, compiled",
                  "ONNX Runtime", "of the compiled"], rows)


def operation_table(results):
    product, copy = one(results, "limit", name="product"), one(results, "limit", name="copy")
    rows = []
    for line in results["op"]:
        rows.append([line["name"], line["model"], f"{line['batch']:g}", number(line["us"]),
                     number(line["gb_s"], 0), percent(ratio(line["gb_s"], copy and copy["gb_s"])),
                     number(line.get("tflops"), 0),
                     percent(ratio(line.get("tflops"), product and product["tflops"]))])
    return table(["kernel", "of", "batch", "µs", "GB/s", "of the copy", "TFLOP/s", "of the product"], rows)


def attention_table(results):
    rows = []
    for line in results["attention"]:
        if line["engine"] == "cliptag":
            rows.append([f"{line['tokens']:g}", f"{line['heads']:g} x {line['head_dim']:g}",
                         f"{line['batch']:g}", number(line["us"]), number(line["tflops"], 0),
                         number(cudnn(results, line)), number(best_other(results, line)),
                         number(ratio(cudnn(results, line), line["us"]), 2)])
    return table(["tokens", "heads", "batch", "µs", "TFLOP/s", "cuDNN µs", "PyTorch's best µs", "cuDNN / ours"],
                 rows)


def preprocess_table(results):
    copy = one(results, "limit", name="copy")
    rows = [[line["name"], f"{line['frames']:g} x {line['width']:g}x{line['height']:g}", f"{line['patch']:g}",
             number(line["us"]), number(line["frames_per_second"], 0), number(line["gb_s"], 0),
             percent(ratio(line["gb_s"], copy and copy["gb_s"]))] for line in results["preprocess"]]
    return table(["what", "frames", "patch", "µs", "frames/s", "GB/s", "of the copy"], rows)


def markdown(results, title, machine):
    product, copy = one(results, "limit", name="product"), one(results, "limit", name="copy")
    text = f"# {title}\n\n"
    text += ", ".join(f"{key}: {machine[key]}" for key in ("description", "driver", "nvcc", "commit")
                      if machine.get(key)) + "\n"
    for engines in results["engines"]:
        text += ", ".join(f"{k} {v}" for k, v in engines.items()) + "\n"
    if copy and product:
        text += (f"\nThe card's limits: a copy moves {number(copy['gb_s'], 0)} GB/s (read and written), a large bf16 "
                 f"product runs at {number(product['tflops'], 0)} TFLOP/s.\n")
    for heading, body in (("Image encoders", model_table), ("Attention", attention_table),
                          ("Preprocessing of NV12", preprocess_table), ("Kernels", operation_table)):
        text += f"\n## {heading}\n\n{body(results)}"
    rows = [[m["mark"], number(m["value"], 2), f"{m['wanted']:g}",
             {True: "yes", False: "no", None: "not measured"}[m["met"]]] for m in marks(results)]
    text += "\n## Marks\n\n" + table(["mark", "value", "wanted", "met"], rows)
    rows = [[c["name"], c["status"], c["detail"]] for c in results["check"]]
    return text + "\n## Checks\n\n" + table(["check", "status", ""], rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--directory", default=os.path.join(os.path.dirname(__file__), "results"))
    parser.add_argument("files", nargs="+")
    options = parser.parse_args()
    results = read(options.files)
    machine = results["machine"][0] if results["machine"] else {}
    gpu = re.sub(r"[^A-Za-z0-9]+", "-", machine.get("gpu", "unknown GPU")).strip("-")
    name = f"{machine.get('date', 'undated')}-{gpu}"
    os.makedirs(options.directory, exist_ok=True)
    with open(os.path.join(options.directory, name + ".json"), "w", encoding="utf-8") as f:
        json.dump({"machine": machine, **{k: v for k, v in results.items() if k != "machine"},
                   "marks": marks(results)}, f, indent=1)
        f.write("\n")
    with open(os.path.join(options.directory, name + ".md"), "w", encoding="utf-8") as f:
        f.write(markdown(results, name, machine))
    print(name)


if __name__ == "__main__":
    main()
