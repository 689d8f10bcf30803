#!/usr/bin/env python3
"""Draws the demo's scene: a short film of the starter model's own world, with the truth beside it.

One thing after another (a car drives through, a dog comes, a fire breaks out, ...) moves over changing
grounds: plain, graded and noisy. The things are glyphs of Noto Color Emoji. The same seed draws the same
pixels; GStreamer encodes them as VP8 in WebM.

    make_scene.py [--output scene.webm] [--truth scene.json] [--seed 1]

The truth is JSON: {"fps", "frames", "duration", "things": [{"label", "from", "to", "seen_from",
"seen_to"}, ...]}, in seconds. Between `from` and `to` at least nine tenths of the thing, at nine tenths
of its size or more, are in the centre square that a model with a centre crop sees; outside of `seen_from`..`seen_to`
not one pixel of it is in the picture. Both come from where it was drawn, not from what a model says.

Needs Debian's python3-pil, fonts-noto-color-emoji and gstreamer1.0-plugins-good.
"""
import argparse
import json
import math
import random
import subprocess
import sys
from dataclasses import dataclass
from typing import Callable

from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT, FPS = 640, 480, 20
FONT = "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"
FONT_SIZE = 109  # the one size that the font's bitmaps come in
INSIDE = 0.9     # of a thing in the centre square, and of its full size, counts as well inside


def ease(t):
    """0..1 with a gentle start and end."""
    t = min(max(t, 0.0), 1.0)
    return t * t * (3 - 2 * t)


def pass_through(t, enter, leave, drift=60):
    """A coordinate over t in 0..1: in from `enter`, a slow drift through the centre, out to `leave`."""
    side = math.copysign(1.0, leave - enter)
    if t < 0.25:
        return enter + (-side * drift / 2 - enter) * ease(t / 0.25)
    if t > 0.75:
        return side * drift / 2 + (leave - side * drift / 2) * ease((t - 0.75) / 0.25)
    return -side * drift / 2 + side * drift * (t - 0.25) / 0.5


# A motion gives, for t in 0..1, the centre's offset from the picture's centre, the size and the angle.
def drive(t):
    return pass_through(t, 520, -520), 40 + 3 * math.sin(40 * t), 1.0, 0


def hop_in(t):
    x = pass_through(t, -520, 520, drift=20)
    return x, 30 - 40 * abs(math.sin(4 * math.pi * t)), 1.0, 5 * math.sin(4 * math.pi * t)


def flutter(t):
    return pass_through(t, 520, -520), 45 * math.sin(5 * math.pi * t), 1.0, 12 * math.sin(9 * math.pi * t)


def break_out(t):
    grown = ease(t / 0.25) * ease((1 - t) / 0.2)
    flicker = 1 + 0.04 * math.sin(31 * t) + 0.03 * math.sin(53 * t)
    return 0, 150 * (1 - grown), grown * flicker, 2 * math.sin(23 * t)


def fly_over(t):
    return pass_through(t, -520, 520), pass_through(t, 160, -160, drift=40), 1.0, 0


def lift_off(t):
    return 4 * math.sin(60 * t), pass_through(t, 460, -460), 1.0, 0


def creep(t):
    return pass_through(t, 520, -520), 50, 1.0, 2 * math.sin(12 * t)


@dataclass
class Thing:
    label: str
    glyph: str
    motion: Callable
    start: float  # seconds
    end: float
    size: int     # pixels, the longer side


THINGS = [
    Thing("car", "\U0001F697", drive, 0.8, 3.6, 320),
    Thing("dog", "\U0001F436", hop_in, 4.0, 6.8, 310),
    Thing("butterfly", "\U0001F98B", flutter, 7.2, 10.0, 310),
    Thing("fire", "\U0001F525", break_out, 10.4, 13.2, 330),
    Thing("ambulance", "\U0001F691", drive, 13.6, 16.4, 320),
    Thing("airplane", "\u2708", fly_over, 16.8, 19.6, 320),
    Thing("turtle", "\U0001F422", creep, 20.0, 22.8, 320),
]
DURATION = 23.6


def plain(rng, colour):
    del rng
    return Image.new("RGB", (WIDTH, HEIGHT), colour)


def graded(rng, top, bottom):
    del rng
    ramp = Image.linear_gradient("L").resize((WIDTH, HEIGHT))
    return Image.composite(Image.new("RGB", ramp.size, bottom), Image.new("RGB", ramp.size, top), ramp)


def noisy(rng, colour, amount, cell):
    size = (WIDTH // cell, HEIGHT // cell)
    noise = Image.frombytes("RGB", size, rng.randbytes(size[0] * size[1] * 3))
    return Image.blend(Image.new("RGB", (WIDTH, HEIGHT), colour),
                       noise.resize((WIDTH, HEIGHT), Image.BICUBIC), amount)


# (from second, how, arguments); each fades in over half a second.
GROUNDS = [
    (0.0, graded, ((120, 180, 235), (225, 235, 240))),
    (5.2, plain, ((170, 200, 150),)),
    (8.4, graded, ((150, 200, 240), (130, 180, 110))),
    (11.6, noisy, ((150, 155, 165), 0.25, 2)),
    (14.8, plain, ((205, 205, 205),)),
    (18.0, graded, ((100, 150, 220), (200, 220, 245))),
    (21.2, noisy, ((200, 190, 160), 0.25, 4)),
]
FADE = 0.5


def draw_glyph(glyph):
    """The glyph as large as the font has it, cut to what is not transparent."""
    try:
        font = ImageFont.truetype(FONT, FONT_SIZE)
    except OSError as error:
        raise SystemExit(f"make_scene: cannot use {FONT} ({error}): install fonts-noto-color-emoji")
    image = Image.new("RGBA", (2 * FONT_SIZE, 2 * FONT_SIZE))
    ImageDraw.Draw(image).text((FONT_SIZE // 4, FONT_SIZE // 4), glyph, font=font, embedded_color=True)
    # On a transparent ground Pillow leaves colours that are multiplied with alpha: a dark fringe else.
    image = Image.frombytes("RGBa", image.size, image.tobytes()).convert("RGBA")
    box = image.getchannel("A").getbbox()
    if box is None:
        raise SystemExit(f"make_scene: {FONT} has no picture of U+{ord(glyph[0]):04X}")
    return image.crop(box)


class Scene:
    """Frames by number, and where each thing is in them."""

    def __init__(self, seed=1):
        rng = random.Random(seed)
        self.frames = round(DURATION * FPS)
        self.grounds = [(start, how(rng, *arguments)) for start, how, arguments in GROUNDS]
        self.glyphs = {thing.label: draw_glyph(thing.glyph) for thing in THINGS}

    def ground(self, time):
        index = max(i for i, (start, _) in enumerate(self.grounds) if start <= time)
        start, image = self.grounds[index]
        if index and time < start + FADE:
            return Image.blend(self.grounds[index - 1][1], image, (time - start) / FADE)
        return image.copy()

    def place(self, thing, time):
        """(image, x, y, grown) of a thing that is on stage at `time`, or None."""
        if not thing.start <= time < thing.end:
            return None
        x, y, grown, angle = thing.motion((time - thing.start) / (thing.end - thing.start))
        glyph = self.glyphs[thing.label]
        scale = thing.size * grown / max(glyph.size)
        size = tuple(round(side * scale) for side in glyph.size)
        if min(size) < 1:
            return None
        image = glyph.resize(size, Image.LANCZOS).rotate(angle, Image.BICUBIC, expand=True)
        left = round(WIDTH / 2 + x - image.width / 2)
        top = round(HEIGHT / 2 + y - image.height / 2)
        # Turning leaves empty corners, which are no part of the thing.
        box = image.getchannel("A").getbbox()
        return image.crop(box), left + box[0], top + box[1], grown

    def frame(self, number):
        time = number / FPS
        picture = self.ground(time)
        for thing in THINGS:
            if placed := self.place(thing, time):
                image, x, y, _ = placed
                picture.paste(image, (x, y), image)
        return picture

    def truth(self):
        """The truth as the module's description has it."""
        things = []
        margin = (WIDTH - HEIGHT) / 2
        for thing in THINGS:
            seen, inside = [], []
            for number in range(self.frames):
                placed = self.place(thing, number / FPS)
                if not placed:
                    continue
                image, x, y, grown = placed
                share = (overlap(x, image.width, margin, WIDTH - margin) *
                         overlap(y, image.height, 0, HEIGHT))
                if share >= INSIDE and grown >= INSIDE:
                    inside.append(number)
                if overlap(x, image.width, 0, WIDTH) * overlap(y, image.height, 0, HEIGHT) > 0:
                    seen.append(number)
            if not inside or inside != list(range(inside[0], inside[-1] + 1)):
                raise SystemExit(f"make_scene: {thing.label} is not well inside for one span")
            things.append({"label": thing.label,
                           "from": inside[0] / FPS, "to": (inside[-1] + 1) / FPS,
                           "seen_from": seen[0] / FPS, "seen_to": (seen[-1] + 1) / FPS})
        return {"fps": FPS, "frames": self.frames, "duration": self.frames / FPS, "things": things}


def overlap(start, length, low, high):
    """The share of [start, start + length) that lies in [low, high)."""
    return max(0.0, min(start + length, high) - max(start, low)) / length


def encode(scene, path):
    """Pipes the frames into an encoder."""
    command = ["gst-launch-1.0", "-q", "fdsrc", "fd=0", f"blocksize={WIDTH * HEIGHT * 3}", "!",
               "rawvideoparse", f"width={WIDTH}", f"height={HEIGHT}", "format=rgb",
               f"framerate={FPS}/1", "!", "videoconvert", "!", "video/x-raw,format=I420", "!",
               "vp8enc", "deadline=1", "cpu-used=4", "target-bitrate=2500000",
               f"keyframe-max-dist={3 * FPS}", "!", "webmmux", "!", "filesink", f"location={path}"]
    try:
        with subprocess.Popen(command, stdin=subprocess.PIPE) as encoder:
            for number in range(scene.frames):
                encoder.stdin.write(scene.frame(number).tobytes())
                if sys.stderr.isatty():
                    print(f"\rdrawing {number + 1}/{scene.frames}", end="", file=sys.stderr)
            encoder.stdin.close()
            status = encoder.wait()
    except FileNotFoundError:
        raise SystemExit("make_scene: no gst-launch-1.0 here: run pipelines/setup.sh")
    except BrokenPipeError:
        raise SystemExit("make_scene: the encoder stopped early: its words are above")
    finally:
        if sys.stderr.isatty():
            print(file=sys.stderr)
    if status:
        raise SystemExit(f"make_scene: the encoder failed with status {status}")


def main():
    parser = argparse.ArgumentParser(description="Draws the demo's scene and its truth.")
    parser.add_argument("--output", default="scene.webm")
    parser.add_argument("--truth", default="scene.json")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    scene = Scene(arguments.seed)
    truth = scene.truth()
    encode(scene, arguments.output)
    with open(arguments.truth, "w", encoding="utf-8") as f:
        json.dump(truth, f, indent=1)
        f.write("\n")


if __name__ == "__main__":
    main()
