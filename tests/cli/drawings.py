"""Pictures that the starter model knows, drawn pixel by pixel: a smiling face, a star, a heart, a clock,
or nothing, somewhere on a graded ground."""
import math
import random
import struct
import zlib

SIZE = 112


def face(u, v):
    r = math.hypot(u, v)
    if r > 1:
        return None
    if math.hypot(abs(u) - 0.36, v + 0.28) < 0.14 or (0.48 < r < 0.62 and v > 0.14):
        return 80, 50, 20
    return 255, 205, 60


def star(u, v):
    fifth = math.pi / 5
    r, angle = math.hypot(u, v), math.atan2(u, -v)
    angle = abs((angle + fifth) % (2 * fifth) - fifth)
    x, y = 0.4 * math.cos(fifth), 0.4 * math.sin(fifth)
    return (255, 200, 40) if (x - 1) * r * math.sin(angle) - y * (r * math.cos(angle) - 1) > 0 else None


def heart(u, v):
    x, y = u / 0.8, -v / 0.8
    return (220, 30, 40) if (x * x + y * y - 1) ** 3 - x * x * y ** 3 < 0 else None


def clock(u, v):
    r = math.hypot(u, v)
    if r > 1:
        return None
    if (abs(u) < 0.06 and -0.68 < v < 0.05) or (abs(v) < 0.06 and -0.05 < u < 0.45):
        return 20, 20, 20
    return (60, 60, 70) if r > 0.86 else (245, 245, 245)


def nothing(u, v):
    return None


def pixels(thing, seed):
    """RGB rows, SIZE x SIZE."""
    rng = random.Random(f"{thing.__name__} {seed}")
    top, bottom = ([rng.uniform(60, 200) for _ in range(3)] for _ in range(2))
    cx, cy, radius = rng.uniform(0.45, 0.55), rng.uniform(0.45, 0.55), rng.uniform(0.3, 0.42)
    rows = []
    for y in range(SIZE):
        t = y / SIZE
        ground = [a + t * (b - a) for a, b in zip(top, bottom)]
        row = bytearray()
        for x in range(SIZE):
            colour = thing(((x + 0.5) / SIZE - cx) / radius, ((y + 0.5) / SIZE - cy) / radius) or ground
            row += bytes(min(255, max(0, int(c + rng.gauss(0, 6)))) for c in colour)
        rows.append(bytes(row))
    return rows


def write_drawing(path, thing, seed):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", SIZE, SIZE, 8, 2, 0, 0, 0))
    data += chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in pixels(thing, seed))))
    with open(path, "wb") as f:
        f.write(data + chunk(b"IEND", b""))
    return path
