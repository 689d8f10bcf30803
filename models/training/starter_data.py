#!/usr/bin/env python3
"""Makes the starter's training data from what any machine can install, as tar shards for train.py.

    apt install fonts-noto-color-emoji unicode-data openclipart-png python3-pil python3-numpy
    starter_data.py --output shards --count 200000 [--add FOLDER...]

Emoji of Noto Color Emoji with their Unicode names, Debian's openclipart with its titles, and captioned
pictures of one's own, alone, in pairs that stand in a relation, and in numbers, on grounds of every kind.
What the starter is evaluated on is left out (holdout.py). The same arguments give the same shards.
"""
import argparse
import functools
import io
import json
import multiprocessing
import os
import random
import sys
import tarfile
import warnings

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont, features

import starter_captions as words
from folders import Folder
from holdout import Holdout, on_white

FONT = '/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf'
EMOJI_LIST = '/usr/share/unicode/emoji/emoji-test.txt'
CLIPART = '/usr/share/openclipart/png'
EMOJI_SIZE = 109  # the only one that the font has
Image.MAX_IMAGE_PIXELS = 32_000_000  # some of openclipart's are of gigantic size, and left out
warnings.simplefilter('error', Image.DecompressionBombWarning)
SKIPPED = ('special', 'computer/icons', 'unsorted/duplicates', 'shapes/stars')


@functools.lru_cache(maxsize=1)
def font(path):
    return ImageFont.truetype(path, EMOJI_SIZE)


@functools.lru_cache(maxsize=4000)
def draw_emoji(path, text):
    """The emoji on a transparent ground, cropped to what there is of it; None where the font has none."""
    mask = Image.new('RGBA', (4 * EMOJI_SIZE, 2 * EMOJI_SIZE))
    ImageDraw.Draw(mask).text((EMOJI_SIZE, 20), text, font=font(path), embedded_color=True)
    box = mask.getchannel('A').getbbox()
    if not box or box[2] - box[0] > 1.5 * EMOJI_SIZE:  # two glyphs: the font knows no such sequence
        return None
    return mask.crop(box)


def emoji_things(path, listing):
    if not os.path.exists(path):
        return
    pairs = words.listed_emoji(listing) if os.path.exists(listing) else words.unicode_emoji()
    for text, name in pairs:
        joined = len(text.replace('\ufe0f', '')) > 1
        if not joined or features.check('raqm'):  # without raqm a sequence is drawn as its parts
            if draw_emoji(path, text):
                yield 'emoji', text, name


def clipart_things(path, holdout, told):
    left_out = 0
    for folder, names, files in os.walk(path):
        names.sort()
        inside = os.path.relpath(folder, path)
        if inside.startswith(SKIPPED):
            continue
        for file in sorted(f for f in files if f.endswith('.png')):
            title = words.title_words(file, os.path.basename(folder))
            whole = os.path.join(folder, file)
            if holdout.names(title) or not title or os.path.islink(whole):
                left_out += 1
                continue
            try:
                with Image.open(whole) as image:
                    shown = max(image.size) > 4000 or holdout.shows(image)
            except Exception:  # whatever a decoder makes of it; counted with the others
                shown = True
            if shown:
                left_out += 1
            else:
                yield 'clipart', whole, ' '.join(title)
    told(f'{left_out} clip arts are left out: held out, empty, links or not readable')


def folder_things(path, holdout, told):
    """Pictures of one's own; a caption of more than three words is taken as it is."""
    folder = Folder(path)
    for file, captions, _ in folder.rows:
        whole = os.path.join(path, file)
        try:
            with Image.open(whole) as image:
                shown = holdout.shows(image)
        except Exception as e:
            told(f'{whole} cannot be read: {e}.')
            continue
        if shown:
            told(f'{whole} is one of the pictures of the evaluation and left out')
        else:
            yield 'photo', whole, captions[0]


@functools.lru_cache(maxsize=6000)
def picture(kind, source, font_path):
    if kind == 'emoji':
        return draw_emoji(font_path, source)
    with Image.open(source) as image:
        image = image.convert('RGB' if kind == 'photo' else 'RGBA')
        image.thumbnail((256, 256))
    return image.crop(image.getchannel('A').getbbox()) if kind == 'clipart' else image


def ground(size, rng):
    """(picture, name of its colour or None): plain, graded, noisy, or blurred patches."""
    kind = rng.random()
    name = rng.choice(list(words.GROUNDS))
    colour = np.array(words.GROUNDS[name], float)
    if kind < 0.45:
        return Image.new('RGB', (size, size), words.GROUNDS[name]), name
    noise = np.random.default_rng(rng.getrandbits(32))
    if kind < 0.65:
        other = np.array(words.GROUNDS[rng.choice(list(words.GROUNDS))], float)
        slope = np.linspace(0, 1, size)[:, None, None]
        pixels = np.broadcast_to(colour * slope + other * (1 - slope), (size, size, 3))
        image = Image.fromarray(pixels.astype(np.uint8))
        return image.rotate(90 * rng.randrange(4)), None
    if kind < 0.8:
        pixels = colour + noise.normal(0, rng.uniform(10, 60), (size, size, 3))
        return Image.fromarray(pixels.clip(0, 255).astype(np.uint8)), None
    patches = Image.fromarray(noise.integers(0, 256, (rng.randrange(2, 7),) * 2 + (3,), dtype=np.uint8))
    blur = ImageFilter.GaussianBlur(rng.uniform(0, 3))
    return patches.resize((size, size), Image.BICUBIC).filter(blur), None


def paste(scene, thing, centre, size, rng):
    """Puts a thing within a square of `size` pixels about `centre`, turned a little."""
    thing = thing.convert('RGBA').rotate(rng.uniform(-15, 15), Image.BICUBIC, expand=True)
    scale = size / max(thing.size)
    thing = thing.resize([max(1, round(side * scale)) for side in thing.size], Image.BICUBIC)
    scene.paste(thing, [round(c - side / 2) for c, side in zip(centre, thing.size)], thing)


def degrade(image, rng):
    if rng.random() < 0.2:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.5)))
    if rng.random() < 0.2:
        small = max(24, round(image.width * rng.uniform(0.25, 0.7)))
        image = image.resize((small, small), Image.BILINEAR).resize(image.size, Image.BICUBIC)
    return image


def alone(things, size, font_path, rng):
    kind, source, name = rng.choice(things)
    shown = picture(kind, source, font_path)
    if kind == 'photo' and len(name.split()) > 3:
        return shown.resize((size, size), Image.BICUBIC), [name], name
    templates = words.TEMPLATES[kind]
    captions = [words.fill(rng.choice(templates), noun) for noun in words.names_of(name)] + [
        words.fill(rng.choice(templates), name)]
    if kind == 'photo':
        return shown.resize((size, size), Image.BICUBIC), captions, name
    scene, colour = ground(size, rng)
    large = size * rng.uniform(0.45, 0.98)
    slack = (size - large) / 2
    paste(scene, shown, [size / 2 + rng.uniform(-slack, slack) for _ in 'xy'], large, rng)
    if colour:
        captions.append(f'{words.article(name)} on a {colour} background.'.replace('a orange', 'an orange'))
    return scene, captions, name


def pair(things, size, font_path, rng):
    """Two things side by side or one above the other; what is said of them holds in both directions."""
    (kind, source, name), (other_kind, other_source, other) = rng.sample(things, 2)
    scene, _ = ground(size, rng)
    way = rng.choice(list(words.RELATIONS))
    near, far = 0.27 * size, 0.73 * size
    along = size * rng.uniform(0.35, 0.65)
    large = size * rng.uniform(0.38, 0.5)
    places = ((near, along), (far, along)) if way == 'side' else ((along, near), (along, far))
    for (k, s), place in zip(((kind, source), (other_kind, other_source)), places):
        paste(scene, picture(k, s, font_path), place, large, rng)
    first, second = (words.article(rng.choice(words.names_of(n))) for n in (name, other))
    forward, backward = words.RELATIONS[way]
    captions = [forward.format(first, second), backward.format(second, first), f'{first} and {second}.',
                f'{second} and {first}.']
    return scene, captions, f'{way}|{name}|{other}'


def several(things, size, font_path, rng):
    kind, source, name = rng.choice(things)
    count = rng.choice(list(words.NUMBERS))
    scene, _ = ground(size, rng)
    cells = rng.sample([(x, y) for x in (0.25, 0.75) for y in (0.25, 0.75)], count)
    for x, y in cells:
        large = size * rng.uniform(0.3, 0.46)
        paste(scene, picture(kind, source, font_path), (x * size, y * size), large, rng)
    nouns = words.plural(rng.choice(words.names_of(name)))
    captions = [f'{words.NUMBERS[count]} {nouns}.', f'a picture of {words.NUMBERS[count]} {nouns}.']
    return scene, captions, f'{count}|{name}'


def sample(things, index, args):
    """(JPEG or PNG bytes, extension, what goes into the .json) of the index-th sample."""
    rng = random.Random(f'{args.seed}/{index}')
    objects = [t for t in things if t[0] != 'photo'] or things
    draw = rng.random()
    if draw < 0.65 or len(objects) < 2 or objects is things and things[0][0] == 'photo':
        scene, captions, concept = alone(things, args.size, args.font, rng)
    else:
        scene, captions, concept = (pair if draw < 0.88 else several)(objects, args.size, args.font, rng)
    scene = degrade(on_white(scene), rng)
    buffer = io.BytesIO()
    if rng.random() < 0.5:
        scene.save(buffer, 'JPEG', quality=rng.randrange(40, 96))
        extension = 'jpg'
    else:
        scene.save(buffer, 'PNG', compress_level=1)
        extension = 'png'
    return buffer.getvalue(), extension, {'captions': captions, 'concept': concept}


def write_shard(job):
    args, things, number, first, last = job
    path = os.path.join(args.output, f'{number:05}.tar')
    with tarfile.open(path + '.new', 'w') as tar:
        for index in range(first, last):
            data, extension, said = sample(things, index, args)
            for ending, content in ((extension, data), ('json', json.dumps(said).encode())):
                info = tarfile.TarInfo(f'{index:08}.{ending}')
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    os.replace(path + '.new', path)
    return path


def parse(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0],
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add = parser.add_argument
    add('--output', required=True, help='the directory of the shards')
    add('--count', type=int, default=200000, help='samples')
    add('--shard-size', type=int, default=5000, help='samples in a shard')
    add('--size', type=int, default=128, help='pixels of a side')
    add('--add', nargs='*', default=[], help='folders of captioned pictures of your own')
    add('--font', default=FONT)
    add('--emoji-list', default=EMOJI_LIST, help='Unicode\'s emoji-test.txt, of Debian\'s unicode-data')
    add('--clipart', default=CLIPART, help='where Debian\'s openclipart-png is')
    add('--seed', type=int, default=1)
    add('--workers', type=int, default=os.cpu_count())
    return parser.parse_args(argv)


def collect(args, told=lambda sentence: print(f'starter_data: {sentence}', file=sys.stderr)):
    holdout = Holdout()
    emoji = list(emoji_things(args.font, args.emoji_list))
    clipart = list(clipart_things(args.clipart, holdout, told)) if os.path.isdir(args.clipart) else []
    for found, what, package in ((emoji, args.font, 'fonts-noto-color-emoji'),
                                 (clipart, args.clipart, 'openclipart-png')):
        if not found:
            told(f'nothing comes from {what}; Debian has it in {package}')
    own = [thing for folder in args.add for thing in folder_things(folder, holdout, told)]
    told(f'{len(emoji)} emoji, {len(clipart)} clip arts, {len(own)} pictures of your own')
    if not emoji + clipart + own:
        raise ValueError('there is nothing to make samples of.')
    return emoji + clipart + own


def main(argv=None):
    args = parse(argv)
    try:
        things = collect(args)
        os.makedirs(args.output, exist_ok=True)
        jobs = [(args, things, number, first, min(args.count, first + args.shard_size))
                for number, first in enumerate(range(0, args.count, args.shard_size))]
        with multiprocessing.Pool(min(args.workers, len(jobs))) as pool:
            for path in pool.imap(write_shard, jobs):
                print(path, flush=True)
    except (ValueError, OSError) as e:
        print(f'starter_data: {e}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
