"""PyTorch, and ONNX Runtime where it has CUDA, on what tests/gpu/bench measures: the yardstick.

    bench_torch.py --results FILE [--seconds S] [--models A,B] [--batches 1,8] [--eager] [--device cpu] [--small]

Appends one JSON object a line to FILE and leaves out what is there already, so that a run that was stopped
can go on. Attention first (each implementation of scaled_dot_product_attention by itself), then the image
encoders in bf16: torch.compile(mode "max-autotune"; its CUDA graph captured here, which spares it Python's
share of every call) with the attention that was fastest at that shape. Weights are random, the input is the
prepared patches, as ours. ms: median over several calls in a row.
"""
import argparse
import json
import math
import os
import statistics
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

# name: image, patch, width, layers, heads, embedding, activation; as tests/gpu/bench/shapes.cc.
MODELS = {
    "ViT-B/32": (224, 32, 768, 12, 12, 512, "quick_gelu"),
    "ViT-L/14": (224, 14, 1024, 24, 16, 768, "quick_gelu"),
    "ViT-B/16": (224, 16, 768, 12, 12, 512, "quick_gelu"),
    "ViT-H/14": (224, 14, 1280, 32, 16, 1024, "gelu"),
    "ViT-L/14-336": (336, 14, 1024, 24, 16, 768, "quick_gelu"),
}
SMALL = {"tiny": (32, 16, 64, 2, 1, 64, "gelu")}
ATTENTION = {"cudnn": SDPBackend.CUDNN_ATTENTION, "flash": SDPBackend.FLASH_ATTENTION,
             "efficient": SDPBackend.EFFICIENT_ATTENTION, "math": SDPBackend.MATH}


class Block(nn.Module):
    def __init__(self, width, heads, activation):
        super().__init__()
        self.heads, self.activation = heads, activation
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        batch, tokens, width = x.shape
        qkv = self.qkv(self.norm1(x)).view(batch, tokens, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        attended = F.scaled_dot_product_attention(q, k, v)
        x = x + self.out(attended.transpose(1, 2).reshape(batch, tokens, width))
        y = self.fc1(self.norm2(x))
        y = F.gelu(y) if self.activation == "gelu" else y * torch.sigmoid(1.702 * y)
        return x + self.fc2(y)


class Encoder(nn.Module):
    """Patches (batch, patches, 3 * patch * patch) to unit embeddings."""

    def __init__(self, image, patch, width, layers, heads, embed, activation):
        super().__init__()
        self.patches, self.columns = (image // patch) ** 2, 3 * patch * patch
        self.patch = nn.Linear(self.columns, width, bias=False)
        self.token = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.position = nn.Parameter(torch.randn(self.patches + 1, width) * 0.02)
        self.before, self.after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.blocks = nn.ModuleList(Block(width, heads, activation) for _ in range(layers))
        self.projection = nn.Linear(width, embed, bias=False)

    def forward(self, patches):
        x = self.patch(patches)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.position
        x = self.before(x)
        for block in self.blocks:
            x = block(x)
        return F.normalize(self.projection(self.after(x[:, 0])).float(), dim=-1)


class Bench:
    def __init__(self, options):
        self.device, self.small = options.device, options.small
        self.end = time.monotonic() + options.seconds
        self.path = options.results
        self.done = []
        if os.path.exists(self.path):
            with open(self.path, encoding="utf-8") as f:
                self.done = [json.loads(line) for line in f if line.endswith("}\n")]

    def has(self, **wanted):
        return any(all(line.get(k) == v for k, v in wanted.items()) for line in self.done)

    def write(self, line):
        self.done.append(line)
        with open(self.path, "a", encoding="utf-8") as f:
            f.write(json.dumps(line) + "\n")
        print(json.dumps(line), file=sys.stderr)

    def time_is_up(self):
        return time.monotonic() > self.end

    def sync(self):
        if self.device == "cuda":
            torch.cuda.synchronize()

    def milliseconds(self, call):
        """Median over runs of several calls in a row."""
        def run(calls):
            self.sync()
            start = time.perf_counter()
            for _ in range(calls):
                call()
            self.sync()
            return (time.perf_counter() - start) / calls
        for _ in range(3):
            run(1)
        calls = min(100, max(1, int(0.01 / run(1))))
        end = time.perf_counter() + (0 if self.small else 0.2)
        times = []
        while time.perf_counter() < end or len(times) < 5:
            times.append(run(calls))
        return statistics.median(times) * 1e3

    def as_graph(self, call):
        """Replays of `call` as a CUDA graph; `call` itself where there is none."""
        if self.device != "cuda":
            return call
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                call()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            call()
        return graph.replay

    # --- attention -------------------------------------------------------------------------------

    def attention(self, name, shape, batch):
        image, patch, width, _, heads, _, _ = shape
        tokens = (image // patch) ** 2 + 1
        place = {"kind": "attention", "model": name, "tokens": tokens, "heads": heads,
                 "head_dim": width // heads, "batch": batch}
        # In the product's own layout, as in the encoder, and each by itself: as cuDNN likes it better.
        # Several sets that do not fit into the card's cache together, as ours are measured.
        size = (batch, tokens, 3, heads, width // heads)
        bytes_of_set = 8 * batch * tokens * width
        sets = 1 if self.small else max(1, min(16, (256 << 20) // bytes_of_set))
        packed = [torch.randn(size, device=self.device, dtype=torch.bfloat16).permute(2, 0, 3, 1, 4).unbind(0)
                  for _ in range(sets)]
        layouts = {"packed": packed, "contiguous": [[x.contiguous() for x in qkv] for qkv in packed]}
        count = 1 if self.small else 20
        for engine, backend in ATTENTION.items():
            if engine == "math" and self.device == "cuda":
                continue  # never the fastest, and slow
            for layout, inputs in layouts.items():
                if self.has(**place, engine=engine, layout=layout):
                    continue

                def calls(inputs=inputs):
                    kept = []  # so that no result is written where another was
                    for i in range(count):
                        kept.append(F.scaled_dot_product_attention(*inputs[i % len(inputs)]))
                try:
                    with sdpa_kernel(backend):
                        ms = self.milliseconds(self.as_graph(calls)) / count
                except RuntimeError as error:  # not for this device or shape
                    self.write({**place, "engine": engine, "layout": layout, "us": None,
                                "error": str(error).splitlines()[0][:100]})
                    continue
                flops = 4 * batch * tokens * tokens * width
                self.write({**place, "engine": engine, "layout": layout, "us": ms * 1e3,
                            "tflops": flops / ms * 1e-9})

    def best_attention(self, shape, batch):
        """The fastest implementation at the shape, measured at the nearest batch."""
        image, patch, width, _, heads, _, _ = shape
        tokens = (image // patch) ** 2 + 1
        found = [line for line in self.done if line["kind"] == "attention" and line["us"] is not None
                 and (line["tokens"], line["heads"], line["head_dim"]) == (tokens, heads, width // heads)
                 and line["layout"] == "packed"]
        if not found:
            return None
        near = min(found, key=lambda line: abs(math.log(line["batch"] / batch)))["batch"]
        return min((line for line in found if line["batch"] == near), key=lambda line: line["us"])["engine"]

    # --- encoders --------------------------------------------------------------------------------

    def copy(self):
        """The card's copy bandwidth, which a kernel reaches and cudaMemcpyAsync does not."""
        if self.has(kind="limit", name="copy"):
            return
        source = torch.randn(1 << (20 if self.small else 30), device=self.device)
        target = torch.empty_like(source)
        ms = self.milliseconds(lambda: target.copy_(source))
        self.write({"kind": "limit", "name": "copy", "gb_s": 8 * source.numel() / ms * 1e-6})

    def encoder(self, name, shape, batch, eager=False):
        """`eager`: not compiled, which takes a minute or two for each, but as a CUDA graph all the same."""
        place = {"kind": "model", "name": name, "engine": "pytorch-eager" if eager else "pytorch",
                 "precision": "bf16", "batch": batch}
        if self.has(**place):
            return
        start = time.monotonic()
        torch.manual_seed(0)
        model = Encoder(*shape).to(self.device, torch.bfloat16).eval()
        patches = torch.randn(batch, model.patches, model.columns, device=self.device, dtype=torch.bfloat16)
        best = self.best_attention(shape, batch)
        backends = [ATTENTION[best]] if best else list(ATTENTION.values())
        torch._dynamo.reset()  # every batch size a program of its own, none made general
        how = "max-autotune" if self.device == "cuda" else "default"
        compiled = model if eager else torch.compile(
            model, dynamic=False, mode=how + "-no-cudagraphs" if self.device == "cuda" else how)
        with torch.inference_mode(), sdpa_kernel(backends):
            call = lambda: compiled(patches)
            call()
            try:
                call, graph = self.as_graph(call), self.device == "cuda"
            except RuntimeError as error:
                print(f"{name}, batch {batch}: no graph: {error}", file=sys.stderr)
                graph = False
            ms = self.milliseconds(call)
        self.write({**place, "ms": ms, "images_per_second": batch / ms * 1e3, "attention": best, "graph": graph,
                    "mode": "eager" if eager else how, "compile_seconds": round(time.monotonic() - start, 1)})

    def onnx(self, name, shape, batch):
        import numpy
        import onnxruntime
        place = {"kind": "model", "name": name, "engine": "onnxruntime", "precision": "fp16", "batch": batch}
        if self.has(**place):
            return
        model = Encoder(*shape).to(self.device, torch.float16).eval()
        patches = torch.randn(batch, model.patches, model.columns, device=self.device, dtype=torch.float16)
        path = self.path + ".onnx"
        with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH):
            torch.onnx.export(model, (patches,), path, input_names=["x"], output_names=["y"])
        session = onnxruntime.InferenceSession(path, providers=["CUDAExecutionProvider"])
        if session.get_providers()[0] != "CUDAExecutionProvider":  # it goes on with the CPU, silently
            raise RuntimeError("ONNX Runtime found no CUDA")
        binding = session.io_binding()
        binding.bind_input("x", "cuda", 0, numpy.float16, tuple(patches.shape), patches.data_ptr())
        binding.bind_output("y", "cuda")
        ms = self.milliseconds(lambda: session.run_with_iobinding(binding))
        self.write({**place, "ms": ms, "images_per_second": batch / ms * 1e3})


def has_onnxruntime():
    try:
        import onnxruntime
        return "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    except ImportError:
        return False


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", required=True)
    parser.add_argument("--seconds", type=float, default=3600, help="when to begin nothing more")
    parser.add_argument("--models", help="names with commas between; else all")
    parser.add_argument("--batches", default="64,1,8,32,256", help="in the order of their worth")
    parser.add_argument("--eager", action="store_true", help="nothing is compiled")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--small", action="store_true", help="a tiny model: whether it runs")
    options = parser.parse_args()
    models = SMALL if options.small else MODELS
    if options.models:
        models = {name: models[name] for name in options.models.split(",")}
    batches = [1, 2] if options.small else [int(b) for b in options.batches.split(",")]
    bench = Bench(options)
    onnx = options.device == "cuda" and has_onnxruntime()
    if not bench.has(kind="engines"):
        bench.write({"kind": "engines", "pytorch": torch.__version__, "onnxruntime": onnx,
                     "cudnn": torch.backends.cudnn.version()})
    jobs = [(bench.copy,)]
    for name, shape in models.items():
        for batch in [2] if options.small else [1, 8, 64]:
            jobs.append((bench.attention, name, shape, batch))
    jobs += [(bench.encoder, name, shape, batch, True) for batch in batches for name, shape in models.items()]
    for batch in [] if options.eager else batches:
        for name, shape in models.items():
            jobs.append((bench.encoder, name, shape, batch))
            if onnx:
                jobs.append((bench.onnx, name, shape, batch))
    for i, (job, *arguments) in enumerate(jobs):
        if bench.time_is_up():
            print(f"time is up: {len(jobs) - i} of {len(jobs)} were not begun", file=sys.stderr)
            break
        try:
            job(*arguments)
        except Exception as error:  # one that fails is no reason to lose the others
            print(f"{job.__name__} {arguments}: {error}", file=sys.stderr)
        if options.device == "cuda":
            torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
