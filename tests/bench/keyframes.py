#!/usr/bin/env python3
"""What cliptagkeyframes saves: many cameras, each tagged once a second, with and without it.

    meson devenv -C build -w "$PWD" tests/bench/keyframes.py [--streams 16] [--seconds 20] [--json F]

A film (pipelines/make_scene.py's, at 1920x1080 and 25 frames a second) is encoded once as H.264 with a
keyframe a second. Then one process reads it in `--streams` branches at its own pace, decodes and tags it
with the starter model once a second; once it decodes everything, once what cliptagkeyframes lets
through. Compared are the CPU time of the two processes (getrusage) and the tags of every stream at every
time: the status is 1 if a label differs, or a score by more than 0.001.

Needs GStreamer's x264enc or openh264enc and avdec_h264 (gstreamer1.0-plugins-ugly, -bad, -libav), and what
make_scene.py needs.
"""
import argparse
import json
import os
import platform
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "pipelines"))
import print_tags  # noqa: E402  (of pipelines/)

MESSAGE = re.compile(r'Got message #\d+ from element "tag(\d+)" \(element\): (cliptag,.*)')
FPS = 25
MOST_DIFFERENCE = 0.001
ENCODERS = {  # what cameras do: no B-frames, 4 Mbit/s, a keyframe a second and no others
    "x264enc": f"x264enc bitrate=4000 speed-preset=veryfast bframes=0 key-int-max={FPS} "
               "option-string=scenecut=0",
    "openh264enc": f"openh264enc bitrate=4000000 gop-size={FPS} scene-change-detection=false",
}


def installed(element):
    # Not --exists, which asks for a plugin of GStreamer's own version.
    return subprocess.run(["gst-inspect-1.0", element], check=False, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL).returncode == 0


def encode(folder, encoder, seconds):
    """The film as MP4, `seconds` long; at its end videorate leaves a frame out, so one fewer is asked for."""
    scene, film = os.path.join(folder, "scene.webm"), os.path.join(folder, "film.mp4")
    # Debian's own Python first: it has the packages that pipelines/setup.sh installs.
    python = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
    subprocess.run([python, os.path.join(ROOT, "pipelines", "make_scene.py"), "--output", scene,
                    "--truth", os.path.join(folder, "scene.json")], check=True, stdout=subprocess.DEVNULL)
    launch = (f"filesrc location={scene} ! matroskademux ! vp8dec ! videorate ! videoscale ! videoconvert ! "
              f"video/x-raw,format=I420,width=1920,height=1080,framerate={FPS}/1,pixel-aspect-ratio=1/1 ! "
              f"identity eos-after={FPS * seconds - 1} ! {ENCODERS[encoder]} ! h264parse ! mp4mux ! "
              f"filesink location={film}")
    subprocess.run(["gst-launch-1.0", "-q", *launch.split()], check=True)
    return film


def tags_of(output):
    """{(stream, pts): [(label, score), ...]}, best first."""
    found = {}
    for line in output.splitlines():
        if match := MESSAGE.search(line):
            fields = print_tags.StructureParser(match.group(2)).parse()[1]
            found[int(match.group(1)), fields["pts"]] = [(t["label"], t["score"]) for t in fields["tags"]]
    return found


def run(film, streams, keyframes):
    """One process with all the branches: its CPU and wall time in seconds, and its tags."""
    only = "cliptagkeyframes max-rate=1/1 ! " if keyframes else ""
    launch = " ".join(
        f"filesrc location={film} ! qtdemux ! h264parse ! {only}avdec_h264 ! videoconvert ! "
        f"cliptag name=tag{i} model=starter max-rate=1/1 prompts-file={ROOT}/pipelines/demo-prompts.json ! "
        "fakesink sync=true" for i in range(streams))
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    child = subprocess.run(["gst-launch-1.0", "-m", *launch.split()], check=False, capture_output=True,
                           text=True, errors="replace")
    wall, after = time.monotonic() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    if child.returncode != 0 or "ERROR" in child.stderr:
        sys.exit(f"gst-launch-1.0 failed: {child.stderr[-2000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"cpu_s": round(cpu, 2), "wall_s": round(wall, 2)}, tags_of(child.stdout)


def compare(full, keys):
    """(labels that differ, largest difference of a score), over all streams and times."""
    if full.keys() != keys.keys():
        sys.exit(f"not looked at at the same times: {sorted(full.keys() ^ keys.keys())[:10]}")
    wrong, difference = 0, 0.0
    for key, tags in full.items():
        scores = dict(keys[key])
        wrong += tags[0][0] != keys[key][0][0] or {label for label, _ in tags} != scores.keys()
        difference = max([difference] + [abs(score - scores.get(label, 9)) for label, score in tags])
    return wrong, difference


def cpu_name():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        return next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")),
                    platform.machine())


def main():
    parser = argparse.ArgumentParser(description="CPU time of many cameras with and without cliptagkeyframes.")
    parser.add_argument("--streams", type=int, default=16)
    parser.add_argument("--seconds", type=int, default=20, help="of film")
    parser.add_argument("--encoder", choices=ENCODERS, help="default: the first that is installed")
    parser.add_argument("--json", metavar="FILE", help="write the result there as well")
    arguments = parser.parse_args()
    if arguments.streams < 1 or arguments.seconds < 1:
        parser.error("--streams and --seconds must be at least 1")
    if not shutil.which("gst-launch-1.0") or not installed("cliptagkeyframes"):
        parser.error('cliptagkeyframes is not found: run this in meson devenv -C build -w "$PWD"')
    encoder = arguments.encoder or next((e for e in ENCODERS if installed(e)), None)
    if encoder is None or not installed(encoder) or not installed("avdec_h264"):
        parser.error("x264enc or openh264enc, and avdec_h264, must be installed")
    with tempfile.TemporaryDirectory() as folder:
        film = encode(folder, encoder, arguments.seconds)
        size = os.path.getsize(film)
        keyframes, keyframe_tags = run(film, arguments.streams, True)
        full, full_tags = run(film, arguments.streams, False)
    wrong, difference = compare(full_tags, keyframe_tags)
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True,
                            check=False).stdout.strip()
    result = {"streams": arguments.streams, "seconds": arguments.seconds, "encoder": encoder,
              "mbit_per_second": round(size * 8 / 1e6 / arguments.seconds, 2), "full": full,
              "keyframes": keyframes, "ratio": round(full["cpu_s"] / keyframes["cpu_s"], 2),
              "looks": len(full_tags), "labels_that_differ": wrong, "largest_score_difference": difference,
              "cpu": cpu_name(), "cores": os.cpu_count(), "commit": commit,
              "date": time.strftime("%Y-%m-%d")}
    text = json.dumps(result, indent=1)
    print(text)
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as f:
            f.write(text + "\n")
    return 1 if wrong or not difference <= MOST_DIFFERENCE or not full_tags else 0


if __name__ == "__main__":
    sys.exit(main())
