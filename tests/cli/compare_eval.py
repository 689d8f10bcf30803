#!/usr/bin/env python3
"""`cliptag eval` beside PyTorch: the same model, pictures, corrupted pictures and captions through
transformers' CLIPModel in fp32, printed side by side.

    compare_eval.py [--model DIR] [--dataset DIR] [--templates T] [--precision P] [--corruptions] [--every N]
                    [--retrieval] [--probe]

Not a test of the suite: needs Python with torch, transformers and pillow (and scikit-learn for --probe).
Without --dataset: the starter's sets in tests/data/starter. --every N takes each N-th picture of a class. The tool keeps the corrupted pictures that it has seen (--dump-corruptions), so that
both see the same pixels, whatever the libraries that made them. The probe is held to scikit-learn's
LogisticRegression with the same penalty on the tool's own embeddings.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile

import torch
from PIL import Image
from transformers import CLIPImageProcessor, CLIPModel, CLIPTokenizer

from tool import DATA, SOURCE, TOOL, read_npy


def tool(*args):
    done = subprocess.run([TOOL, *map(str, args)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"cliptag {' '.join(map(str, args))}\n{done.stderr}")
    return done.stdout


class Reference:
    """The model in fp32, with what transformers does to pictures and texts."""

    def __init__(self, directory):
        self.model = CLIPModel.from_pretrained(directory, dtype=torch.float32).eval()
        self.tokenizer = CLIPTokenizer.from_pretrained(directory)
        self.processor = CLIPImageProcessor.from_pretrained(directory)
        self.length = self.model.config.text_config.max_position_embeddings

    @staticmethod
    def unit(features):
        features = getattr(features, "pooler_output", features)
        return features / features.norm(dim=-1, keepdim=True)

    @torch.no_grad()
    def texts(self, texts):
        tokens = self.tokenizer(texts, padding="max_length", max_length=self.length, truncation=True,
                                return_tensors="pt")
        return self.unit(self.model.get_text_features(**tokens))

    @torch.no_grad()
    def images(self, paths, batch=64):
        rows = []
        for start in range(0, len(paths), batch):
            pictures = [Image.open(path).convert("RGB") for path in paths[start:start + batch]]
            pixels = self.processor(pictures, return_tensors="pt")["pixel_values"]
            rows.append(self.unit(self.model.get_image_features(pixel_values=pixels)))
        return torch.cat(rows)

    def classes(self, names, templates):
        rows = []
        for name in names:
            mean = self.texts([t.replace("{}", name) for t in templates]).mean(0)
            rows.append(mean / mean.norm())
        return torch.stack(rows)


def files_of(dataset):
    folders = sorted(os.listdir(dataset))
    files = [(os.path.join(dataset, folder, name), i) for i, folder in enumerate(folders)
             for name in sorted(os.listdir(os.path.join(dataset, folder)))]
    return folders, [path for path, _ in files], torch.tensor([i for _, i in files])


def recall(sims, right):
    """Of queries (rows) over candidates: shares within 1, 5, 10 and the median rank."""
    best = sims.masked_fill(~right, -2).max(dim=1, keepdim=True).values
    ranks = 1 + (sims > best).sum(dim=1)
    return [(ranks <= k).float().mean().item() for k in (1, 5, 10)] + [ranks.float().quantile(0.5).item()]


def line(what, reference, ours):
    print(f"{what:<28} {100 * reference:8.2f} {100 * ours:8.2f} {100 * (ours - reference):+8.2f}", flush=True)


def compare(reference, dataset, templates, args):
    folders, paths, truth = files_of(dataset)
    names = [folder.replace("_", " ") for folder in folders]
    rows = reference.classes(names, templates)
    common = ["eval", "--model", args.model, "--dataset", dataset, "--templates", ";".join(templates), "--json"]
    print(f"\n{dataset}: {len(paths)} pictures of {len(names)} classes, templates {templates}\n"
          f"{'':<28} {'PyTorch':>8} {'cliptag':>8} {'apart':>8}   % (cliptag in {args.precision})")
    embeddings = reference.images(paths)
    answers = (embeddings @ rows.T).argmax(dim=1)
    for precision in dict.fromkeys(["fp32", args.precision]):
        out = json.loads(tool(*common, "--precision", precision))
        same = sum(names[a] == one["answer"] for a, one in zip(answers, out["answers"]))
        line(f"top-1, {precision}", (answers == truth).float().mean().item(), out["top1"])
        if out["top5"] is not None:
            top5 = (embeddings @ rows.T).topk(5).indices
            line(f"top-5, {precision}", (top5 == truth[:, None]).any(1).float().mean().item(), out["top5"])
        print(f"{'  same answers':<28} {same} of {len(paths)}")
    if args.corruptions:
        with tempfile.TemporaryDirectory() as folder:
            out = json.loads(tool(*common, "--precision", args.precision, "--corruptions",
                                  "--dump-corruptions", folder))
            means = []
            for kind in out["corruptions"]["kinds"]:
                theirs = []
                for strength in range(1, 6):
                    there = os.path.join(folder, f"{kind['name'].replace(' ', '-')}-{strength}")
                    _, dumped, _ = files_of(there)
                    theirs.append(((reference.images(dumped) @ rows.T).argmax(1) == truth).float().mean().item())
                    line(f"{kind['name']} {strength}", theirs[-1], kind["strengths"][strength - 1]["top1"])
                means.append(sum(theirs) / 5)
                line(f"{kind['name']}, mean", means[-1], kind["mean_top1"])
            line("all corruptions, mean", sum(means) / 8, out["corruptions"]["mean_top1"])
    if args.retrieval:
        captions = [templates[0].replace("{}", name) for name in names]
        right = truth[:, None] == torch.arange(len(names))[None]
        sims = embeddings @ reference.texts(captions).T
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as f:
            for path, c in zip(paths, truth.tolist()):
                f.write(json.dumps({"image": path, "caption": captions[c]}) + "\n")
            f.flush()
            out = json.loads(tool("eval", "--model", args.model, "--captions", f.name, "--precision",
                                  args.precision, "--json"))["retrieval"]
        for way, theirs in (("image_to_text", recall(sims, right)), ("text_to_image", recall(sims.T, right.T))):
            for k, value in zip((1, 5, 10), theirs):
                line(f"{way} R@{k}", value, out[way][f"recall@{k}"])
            print(f"{way + ' median rank':<28} {theirs[3]:8.1f} {out[way]['median_rank']:8.1f}")
    if args.probe:
        probe(dataset, templates, args)


def probe(dataset, templates, args):
    """The first half of every class teaches, the second is asked."""
    from sklearn.linear_model import LogisticRegression
    folders, paths, truth = files_of(dataset)
    with tempfile.TemporaryDirectory() as folder:
        for path, c in zip(paths, truth.tolist()):
            siblings = [p for p, d in zip(paths, truth.tolist()) if d == c]
            if len(siblings) < 2:
                continue
            half = "train" if siblings.index(path) < len(siblings) // 2 else "test"
            os.makedirs(os.path.join(folder, half, folders[c]), exist_ok=True)
            shutil.copy(path, os.path.join(folder, half, folders[c]))
        sides = []
        for half in ("train", "test"):
            _, files, labels = files_of(os.path.join(folder, half))
            tool("embed", "--model", args.model, "--precision", "fp32", "--output", f"{folder}/{half}.npy", *files)
            sides.append((torch.tensor(read_npy(f"{folder}/{half}.npy")).double().numpy(), labels.numpy()))
        (x, y), (u, v) = sides
        for l2 in (0.1, 0.003, 0.0003):
            out = json.loads(tool("eval", "--model", args.model, "--dataset", f"{folder}/test", "--train",
                                  f"{folder}/train", "--l2", l2, "--shots", "1", "--seeds", "1", "--precision",
                                  "fp32", "--templates", ";".join(templates), "--json"))
            fitted = LogisticRegression(C=1 / (l2 * len(y)), fit_intercept=False, tol=1e-8, max_iter=10000)
            fitted.fit(x, y)
            line(f"probe, l2 {l2} (scikit-learn)", (fitted.predict(u) == v).mean(), out["probe"]["all"]["top1"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=os.path.join(SOURCE, "models", "starter"))
    parser.add_argument("--dataset")
    parser.add_argument("--templates", default="a photo of a {}.")
    parser.add_argument("--precision", default="bf16")
    parser.add_argument("--every", type=int, default=1)
    for name in ("corruptions", "retrieval", "probe"):
        parser.add_argument("--" + name, action="store_true")
    args = parser.parse_args()
    reference = Reference(args.model)
    starter = os.path.join(DATA, "starter")
    with open(os.path.join(DATA, "models", "starter-answers.json")) as f:
        templates = json.load(f)["templates"]
    sets = [(args.dataset, args.templates.split(";"))] if args.dataset else [
        (os.path.join(starter, name), templates[name]) for name in templates]
    for dataset, sentences in sets:
        with tempfile.TemporaryDirectory() as folder:
            if args.every > 1:
                _, paths, _ = files_of(dataset)
                for path in paths[::args.every]:
                    there = os.path.join(folder, os.path.relpath(path, dataset))
                    os.makedirs(os.path.dirname(there), exist_ok=True)
                    shutil.copy(path, there)
                dataset = folder
            compare(reference, dataset, sentences, args)


if __name__ == "__main__":
    main()
