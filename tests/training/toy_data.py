"""Coloured shapes with captions: something that a tiny model learns in seconds."""
import io
import json
import os
import random
import tarfile

from PIL import Image, ImageDraw

COLOURS = {'red': (220, 40, 40), 'green': (40, 170, 60), 'blue': (50, 80, 220), 'yellow': (230, 210, 50),
           'white': (245, 245, 245), 'black': (15, 15, 15)}
SHAPES = ('circle', 'square', 'bar', 'frame')


def draw(shape, colour, ground, rng, size=32):
    image = Image.new('RGB', (size, size), COLOURS[ground])
    pen, x, y, r = ImageDraw.Draw(image), rng.randrange(10, 22), rng.randrange(10, 22), rng.randrange(6, 10)
    fill = COLOURS[colour]
    if shape == 'circle':
        pen.ellipse((x - r, y - r, x + r, y + r), fill)
    elif shape == 'square':
        pen.rectangle((x - r, y - r, x + r, y + r), fill)
    elif shape == 'bar':
        pen.rectangle((0, y - 3, size, y + 3), fill)
    else:
        pen.rectangle((x - r, y - r, x + r, y + r), outline=fill, width=3)
    return image


def toys(count, seed=1):
    rng = random.Random(seed)
    for _ in range(count):
        shape, (colour, ground) = rng.choice(SHAPES), rng.sample(list(COLOURS), 2)
        yield draw(shape, colour, ground, rng), f'a {colour} {shape} on {ground}.'


def png(image):
    buffer = io.BytesIO()
    image.save(buffer, 'PNG', compress_level=1)
    return buffer.getvalue()


def write_shards(folder, count, shards=2, seed=1):
    """Tar shards; every other sample has its caption in a .json."""
    os.makedirs(folder, exist_ok=True)
    files = [tarfile.open(os.path.join(folder, f'{i:04}.tar'), 'w') for i in range(shards)]
    for i, (image, caption) in enumerate(toys(count, seed)):
        text = ('json', json.dumps({'caption': caption})) if i % 2 else ('txt', caption)
        for extension, data in (('png', png(image)), (text[0], text[1].encode())):
            info = tarfile.TarInfo(f'{i:06}.{extension}')
            info.size = len(data)
            files[i % shards].addfile(info, io.BytesIO(data))
    for file in files:
        file.close()
    return folder
