#!/usr/bin/env python3
"""What still-threshold saves on a fixed camera, and what it costs.

    meson devenv -C build -w "$PWD" tests/bench/still.py VIDEO [--prompts "car; road"] [--model M] [--json F]

Every frame of the video is tagged once without still-threshold, and again with each of several. Per
threshold: the share of inferences saved, and against the tags of the first run at every frame, the
share of frames with the same best label and the same active ones, and the mean difference of scores.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "pipelines"))
import print_tags  # noqa: E402  (of pipelines/)


def run(args, threshold):
    """[(pts, {label: (score, active)})] of every inference."""
    launch = ["gst-launch-1.0", "-m", "filesrc", f"location={args.video}", "!", "decodebin", "!", "videoconvert",
              "!", "cliptag", "name=tag", f"model={args.model}", f"prompts={args.prompts}", "top-k=0",
              "mode=exact", f"still-threshold={threshold}", "!", "fakesink", "sync=false"]
    done = subprocess.run(launch, check=True, capture_output=True, text=True)
    answers = [(fields["pts"], {t["label"]: (t["score"], t["active"]) for t in fields["tags"]})
               for name, fields in print_tags.messages(done.stdout.splitlines()) if name == "cliptag"]
    if not answers:
        sys.exit(f"still.py: nothing was tagged in {args.video}: {done.stderr.strip()[-300:]}")
    return answers


def compare(every, some):
    """Tags carried on to every frame, against that frame's own."""
    same_best = same_active = 0
    differences = []
    at = 0
    for pts, own in every:
        while at + 1 < len(some) and some[at + 1][0] <= pts:
            at += 1
        held = some[at][1]
        best = [max(tags, key=lambda label: tags[label][0]) for tags in (own, held)]
        same_best += best[0] == best[1]
        same_active += all(own[label][1] == held[label][1] for label in own)
        differences += [abs(own[label][0] - held[label][0]) for label in own]
    n = len(every)
    return {"saved": 1 - len(some) / n, "same_best": same_best / n, "same_active": same_active / n,
            "score_difference": statistics.fmean(differences)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video")
    parser.add_argument("--prompts", default="car; road; tree; person")
    parser.add_argument("--model", default="starter")
    parser.add_argument("--thresholds", default="0.002,0.005,0.01,0.02,0.05")
    parser.add_argument("--json")
    args = parser.parse_args()
    every = run(args, 0)
    table = {}
    print(f"{len(every)} frames\n threshold   saved  same best  same active  score difference")
    for threshold in args.thresholds.split(","):
        row = table[threshold] = compare(every, run(args, threshold))
        print(f"{threshold:>10}  {row['saved']:6.1%}  {row['same_best']:9.1%}  {row['same_active']:11.1%}"
              f"  {row['score_difference']:16.4f}", flush=True)
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump({"video": os.path.basename(args.video), "frames": len(every), "thresholds": table}, file,
                      indent=1)


if __name__ == "__main__":
    main()
