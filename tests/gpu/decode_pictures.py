"""Decodes every picture below the folders into PICTURE.ppm: tests on a GPU are built without OpenCV.

    decode_pictures.py FOLDER...
"""
import pathlib
import sys


def decoder():
    """A function that decodes a path to rows of RGB: (width, height, bytes)."""
    try:
        import cv2

        def decode(path):
            picture = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
            return picture.shape[1], picture.shape[0], cv2.cvtColor(picture, cv2.COLOR_BGR2RGB).tobytes()
    except ImportError:
        from PIL import Image

        def decode(path):
            picture = Image.open(path).convert("RGB")
            return *picture.size, picture.tobytes()
    return decode


def main():
    decode = decoder()
    for path in (path for folder in sys.argv[1:] for path in sorted(pathlib.Path(folder).rglob("*"))):
        if path.suffix in (".png", ".jpg"):
            width, height, rows = decode(path)
            path.with_name(path.name + ".ppm").write_bytes(b"P6 %d %d 255\n" % (width, height) + rows)


if __name__ == "__main__":
    main()
