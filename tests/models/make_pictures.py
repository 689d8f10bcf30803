#!/usr/bin/env python3
"""Makes tests/data/pictures with PIL: pictures of many kinds and, beside each NAME, NAME.rgb: what
PIL's convert("RGB") gives of it, 8 bits a sample. Needs Pillow with WebP and JPEG 2000.

    make_pictures.py tests/data/pictures
"""
import os
import struct
import sys

from PIL import Image

WIDTH, HEIGHT = 52, 28


def sample(x, y, c):
    """Bands and slopes, so that lossy kinds stay near, with an alpha that is anything."""
    return ((5 * x + 40 * c) % 256, (9 * y + 3 * x) % 256, (x // 8 * 40 + y // 8 * 30) % 256, (x * 5 + y) % 256)[c]


def picture(mode, channels):
    data = bytes(sample(x, y, c) for y in range(HEIGHT) for x in range(WIDTH) for c in range(channels))
    return Image.frombytes(mode, (WIDTH, HEIGHT), data)


def portable_map(kind, maximum, depth):
    """P2, P3, P5 or P6, with a comment."""
    header = f"P{kind}\n# made by make_pictures.py\n{WIDTH} {HEIGHT}\n{maximum}\n".encode()
    values = [sample(x, y, c) * maximum // 255 for y in range(HEIGHT) for x in range(WIDTH) for c in range(depth)]
    if kind in "23":
        return header + b"".join(b"%d%s" % (v, b"\n" if i % 12 == 11 else b" ") for i, v in enumerate(values))
    return header + struct.pack(f">{len(values)}{'H' if maximum > 255 else 'B'}", *values)


def patched(path, tag, value):
    """The TIFF file with the first entry for `tag` set to a short `value`."""
    with open(path, "rb") as f:
        data = bytearray(f.read())
    start = struct.unpack_from("<I", data, 4)[0]
    for i in range(struct.unpack_from("<H", data, start)[0]):
        at = start + 2 + 12 * i
        if struct.unpack_from("<H", data, at)[0] == tag:
            struct.pack_into("<HIHH", data, at + 2, 3, 1, value, 0)
            return bytes(data)
    raise KeyError(tag)


def big_endian_tiff(rgba):
    """Unassociated alpha in the other byte order, which PIL does not write."""
    entries = [(256, 3, 1, WIDTH << 16), (257, 3, 1, HEIGHT << 16), (258, 3, 4, 200), (259, 3, 1, 1 << 16),
               (262, 3, 1, 2 << 16), (273, 4, 1, 208), (277, 3, 1, 4 << 16), (278, 3, 1, HEIGHT << 16),
               (279, 4, 1, len(rgba)), (284, 3, 1, 1 << 16), (338, 3, 1, 2 << 16)]
    data = b"MM\0*" + struct.pack(">IH", 8, len(entries))
    data += b"".join(struct.pack(">HHII", *entry) for entry in entries) + bytes(4)
    return data.ljust(200, b"\0") + struct.pack(">4H", 8, 8, 8, 8) + rgba


def masked_bmp(bits, masks, topmost_first=False):
    """A bitmap whose colours lie where `masks` say; without any, 5 bits each, as 16-bit ones do by themselves.
    Returns it and, where PIL does not read it, its RGB: 255 x sample / maximum."""
    fields = masks or (0x7C00, 0x3E0, 0x1F)
    rows, rgb = [], b""
    for y in range(HEIGHT):
        row = b""
        for x in range(WIDTH):
            pixel = 0
            for c, mask in enumerate(fields):
                low = mask & -mask
                value = sample(x, y, c) * (mask // low) // 255
                pixel |= value * low
                rgb += bytes([255 * value // (mask // low)]) if c < 3 else b""
            row += pixel.to_bytes(bits // 8, "little")
        rows.append(row.ljust((len(row) + 3) // 4 * 4, b"\0"))
    data = b"".join(rows if topmost_first else rows[::-1])
    header = struct.pack("<IiiHHIIiiII", 40, WIDTH, -HEIGHT if topmost_first else HEIGHT, 1, bits, 3 if masks else 0,
                         len(data), 2835, 2835, 0, 0) + struct.pack(f"<{len(masks)}I", *masks)
    return b"BM" + struct.pack("<IHHI", 14 + len(header) + len(data), 0, 0, 14 + len(header)) + header + data, rgb


def wide_tiff():
    """16 bits a sample, said to be multiplied by alpha."""
    rgba = picture("RGBA", 4).tobytes()
    wide = b"".join(bytes([37 * i % 256, value]) for i, value in enumerate(rgba))
    entries = [(256, 3, 1, WIDTH), (257, 3, 1, HEIGHT), (258, 3, 4, 200), (259, 3, 1, 1), (262, 3, 1, 2),
               (273, 4, 1, 208), (277, 3, 1, 4), (278, 3, 1, HEIGHT), (279, 4, 1, len(wide)), (338, 3, 1, 1)]
    data = b"II*\0" + struct.pack("<IH", 8, len(entries)) + b"".join(struct.pack("<HHII", *e) for e in entries)
    return data.ljust(200, b"\0") + struct.pack("<4H", 16, 16, 16, 16) + wide


def main():
    folder = sys.argv[1]

    def at(name):
        return os.path.join(folder, name)

    def write(name, data):
        with open(at(name), "wb") as f:
            f.write(data)

    rgb, rgba, grey = picture("RGB", 3), picture("RGBA", 4), picture("L", 1)
    palette, bits = rgb.quantize(32), grey.convert("1")
    for name, image in (("rgb", rgb), ("rgba", rgba), ("palette", palette), ("bits", bits), ("grey", grey)):
        image.save(at(name + ".bmp"))
    for name, image in (("rgba", rgba), ("grey-alpha", rgba.convert("LA")), ("bits", bits)):
        image.save(at(name + ".png"))
    palette.save(at("transparent.png"), transparency=3)
    rgb.save(at("rgb.jpg"), quality=95)
    rgb.save(at("progressive.jpg"), progressive=True)
    grey.save(at("grey.jpg"))
    exif = Image.Exif()
    exif[0x112] = 6
    rgb.save(at("turned.jpg"), exif=exif)
    picture("CMYK", 4).save(at("cmyk.jpg"), quality=95)
    for name, image in (("rgb", rgb), ("rgba", rgba), ("palette", palette), ("grey-alpha", rgba.convert("LA")),
                        ("cmyk", picture("CMYK", 4))):
        image.save(at(name + ".tif"))
    rgba.save(at("rgba-lzw.tif"), compression="tiff_lzw")
    rgb.save(at("turned.tif"), tiffinfo={274: 6})
    write("multiplied.tif", patched(at("rgba.tif"), 338, 1))
    write("unspecified.tif", patched(at("rgba.tif"), 338, 0))
    write("rgba-big-endian.tif", big_endian_tiff(rgba.tobytes()))
    rgb.save(at("rgb.webp"), quality=90)
    rgba.save(at("rgba.webp"), lossless=True)
    rgb.save(at("rgb.jp2"))
    rgb.save(at("rgb.j2k"))
    for kind, maximum, depth in (("6", 255, 3), ("6", 100, 3), ("6", 1, 3), ("6", 1023, 3), ("6", 65535, 3),
                                 ("3", 31, 3), ("2", 15, 1), ("5", 100, 1)):
        write(f"{depth}x{maximum}.p{kind}", portable_map(kind, maximum, depth))
    bits.save(at("bits.p4"), "PPM")
    text = "\n".join("".join("0" if bits.getpixel((x, y)) else "1" for x in range(WIDTH)) for y in range(HEIGHT))
    write("bits.p1", f"P1\n{WIDTH} {HEIGHT}\n{text}\n".encode())
    masked = {"555.bmp": (16, ()), "565.bmp": (16, (0xF800, 0x7E0, 0x1F), True),
              "rgbx.bmp": (32, (0xFF, 0xFF00, 0xFF0000)), "xrgb.bmp": (32, (0xFF000000, 0xFF0000, 0xFF00)),
              "wide.bmp": (32, (0x3FF00000, 0xFFC00, 0x3FF), True)}
    for name, arguments in masked.items():
        write(name, masked_bmp(*arguments)[0])
    write("multiplied-16.tif", wide_tiff())
    for name in sorted(os.listdir(folder)):
        if name in ("rgbx.bmp", "wide.bmp"):  # whose masks PIL does not know
            write(name + ".rgb", masked_bmp(*masked[name])[1])
        elif not name.endswith(".rgb"):
            with Image.open(at(name)) as image:
                write(name + ".rgb", image.convert("RGB").tobytes())
    # What PIL does not know, or what is to be refused by its name.
    write("rgba.pam", f"P7\nWIDTH {WIDTH}\nHEIGHT {HEIGHT}\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n".encode() +
          rgba.tobytes())
    write("rgba.pam.rgb", rgba.convert("RGB").tobytes())
    os.makedirs(at("refused"), exist_ok=True)
    rgb.save(at("refused/animated.webp"), save_all=True, append_images=[rgb.rotate(180)], duration=100)


if __name__ == "__main__":
    main()
