#!/usr/bin/env python3
"""Makes tests/data/preprocess/{index.txt,pil.bin}: what PIL, driven by open_clip's own transforms,
makes of pictures that the tests can generate again. Committed with Pillow 13.0.0, torchvision 0.29.2,
open_clip 3.3.0; run it in an environment that has them: make_goldens.py tests/data/preprocess

Every Pillow up to 12 resizes along the rows first, and so do we. Pillow 13 goes down the columns first
where that shrinks a picture much more than across (tall ones, from about 2:1): bytes then differ by
one here and there. No case below is of that kind.

index.txt, a line per case: seed width height channels orientation crop-x crop-y crop-w crop-h fit
filter size. pil.bin: the cases' (size, size, 3) bytes one after the other.
"""
import os
import sys

import numpy as np
import PIL
from PIL import Image, ImageOps
from open_clip.transform import CenterCropOrPad, ResizeKeepRatio
from torchvision.transforms import CenterCrop, InterpolationMode, Resize

LETTERBOX_FILL = (0, 128, 255)  # R, G, B; the tests use the same

CASES = [  # width, height, channels, orientation, crop, fit, filter, size
    (97, 61, 3, 0, None, "crop", "bicubic", 48),
    (61, 97, 3, 0, None, "crop", "bicubic", 47),
    (640, 361, 3, 0, None, "crop", "bicubic", 40),
    (640, 361, 3, 0, None, "crop", "bilinear", 40),
    (333, 500, 3, 0, None, "squash", "bicubic", 40),
    (333, 500, 3, 0, None, "squash", "bilinear", 40),
    (501, 303, 3, 0, None, "letterbox", "bicubic", 45),
    (303, 501, 3, 0, None, "letterbox", "bilinear", 44),
    (17, 23, 3, 0, None, "crop", "bicubic", 48),  # enlarged
    (23, 17, 3, 0, None, "letterbox", "bicubic", 48),
    (20, 9, 3, 0, None, "squash", "bilinear", 48),
    (48, 48, 3, 0, None, "crop", "bicubic", 48),  # neither pass does anything
    (48, 90, 3, 0, None, "crop", "bicubic", 48),  # one pass does nothing
    (1, 1, 3, 0, None, "crop", "bicubic", 16),
    (2, 3, 3, 0, None, "crop", "bicubic", 16),
    (1, 200, 3, 0, None, "crop", "bicubic", 16),
    (300, 2, 3, 0, None, "crop", "bilinear", 16),
    (300, 20, 3, 0, None, "letterbox", "bicubic", 16),
    (210, 131, 1, 0, None, "crop", "bicubic", 40),
    (131, 210, 1, 0, None, "letterbox", "bicubic", 40),
    (210, 131, 3, 0, (13, 7, 101, 93), "crop", "bicubic", 40),
    (210, 131, 3, 5, (13, 7, 101, 93), "crop", "bicubic", 33),
] + [(150, 95, 3, orientation, None, "crop", "bicubic", 32) for orientation in range(1, 8)]

# By number as kernels/frame.h orders them: mirrored first, then turned clockwise.
TURN = {1: Image.ROTATE_270, 2: Image.ROTATE_180, 3: Image.ROTATE_90}


def picture(seed, width, height, channels):
    """Noise that a hash makes: tests/preprocess/pictures.h has the same."""
    h = np.arange(width * height * channels, dtype=np.uint32) + np.uint32(seed * 0x9E3779B1 % 2**32)
    h ^= h >> np.uint32(16)
    h *= np.uint32(0x85EBCA6B)
    h ^= h >> np.uint32(13)
    h *= np.uint32(0xC2B2AE35)
    h ^= h >> np.uint32(16)
    pixels = (h >> np.uint32(24)).astype(np.uint8).reshape(height, width, channels)
    return Image.fromarray(pixels[..., 0] if channels == 1 else pixels)


def upright(image, orientation):
    if orientation >= 4:
        image = ImageOps.mirror(image)
    turn = orientation % 4
    return image.transpose(TURN[turn]) if turn else image


def fit_picture(image, fit, name, size):
    mode = InterpolationMode.BICUBIC if name == "bicubic" else InterpolationMode.BILINEAR
    if fit == "crop":
        return CenterCrop(size)(Resize(size, interpolation=mode)(image))
    if fit == "squash":
        return Resize((size, size), interpolation=mode)(image)
    fill = LETTERBOX_FILL if image.mode == "RGB" else 128
    return CenterCropOrPad(size, fill=fill)(ResizeKeepRatio(size, longest=1, interpolation=mode)(image))


def main(folder):
    print("Pillow", PIL.__version__)
    with open(os.path.join(folder, "index.txt"), "w") as index, \
         open(os.path.join(folder, "pil.bin"), "wb") as pixels:
        for seed, (width, height, channels, orientation, crop, fit, name, size) in enumerate(CASES, 1):
            image = picture(seed, width, height, channels)
            x, y, w, h = crop or (0, 0, width, height)
            image = upright(image.crop((x, y, x + w, y + h)), orientation)
            image = fit_picture(image, fit, name, size).convert("RGB")
            assert image.size == (size, size)
            pixels.write(image.tobytes())
            print(seed, width, height, channels, orientation, x, y, w, h, fit, name, size, file=index)


if __name__ == "__main__":
    main(sys.argv[1])
