#!/usr/bin/env python3
"""Gathers the starter's pictures, cut out and small, with all that is said of them, into one file for
train_starter.py.

    apt install fonts-noto-color-emoji unicode-data openclipart-png
    apt install unicode-cldr-core openclipart-svg tuxpaint-stamps-default fonts-symbola mate-backgrounds \
        lomiri-wallpapers-16.04                                                         (better, not needed)
    sprites.py --output sprites.zip [--add FOLDER...]

The zip has a WebP with transparency for each picture and index.json, which says of each what kind it is, its
names, and words for what it belongs to. What the starter is evaluated on is left out (holdout.py); the things
that no clip art is taken of are taken of no stamp and no glyph either, only of colour emoji.
"""
import argparse
import collections
import functools
import html
import io
import json
import os
import random
import re
import sys
import zipfile

from PIL import Image, ImageDraw, ImageFont

import starter_captions as words
import starter_data
from holdout import Holdout, on_white

SIDE = 120  # pixels of a picture's longer side
GLYPHS = '/usr/share/fonts/truetype/ancient-scripts/Symbola_hint.ttf'
GROUNDS = '/usr/share/backgrounds'
CUTTINGS = 24  # from each picture there
STAMPS = '/usr/share/tuxpaint/stamps'
DRAWINGS = '/usr/share/openclipart/svg'
KEYWORDS = '/usr/share/unicode/cldr/common/annotations/en.xml'
# Titles of whole collections rather than of pictures, and tags that say nothing.
COLLECTIONS = re.compile(r'clipart|clip art|collection|theme|icons\b|aiga|symbols\b|gramastar|submission|'
                         r'sibmission|library|untitled|drawing', re.I)
EMPTY_TAGS = set('''hash icon icons theme clip_art clipart signs_and_symbols sign symbol mapsym unsorted image
    png svg color colour black white shape shapes appicon application device action member'''.split())
# Stamps of letters, digits and coins teach nothing of things.
SKIPPED_STAMPS = ('symbols/alphabets', 'symbols/money', 'symbols/math')


def keywords(path):
    """{emoji: words for it} of Unicode's CLDR."""
    if not os.path.exists(path):
        return {}
    with open(path, encoding='utf-8') as f:
        found = re.findall(r'<annotation cp="([^"]+)">([^<]+)</annotation>', f.read())
    return {text: [html.unescape(w).strip() for w in said.split('|')] for text, said in found}


def metadata(path):
    """(title, tags) that an SVG of openclipart says of itself."""
    with open(path, encoding='utf-8', errors='replace') as f:
        text = f.read()
    block = re.search(r'<metadata.*?</metadata>', text, re.S)
    title = re.search(r'<dc:title>([^<]*)</dc:title>', block[0]) if block else None
    tags = re.findall(r'<rdf:li>([^<]*)</rdf:li>', block[0]) if block else []
    return (html.unescape(title[1]).strip() if title else '',
            [html.unescape(t).strip().lower().replace('_', ' ') for t in tags if t.strip()])


def split(text):
    return [w for w in re.split(r'[^a-z]+', text.lower()) if w]


def telling(said, names, most=4):
    """Of the words, those that the names do not have already."""
    known = {*names, *(w for name in names for w in name.split())}
    kept = [w for w in map(str.lower, said) if w not in known and w.replace(' ', '_') not in EMPTY_TAGS
            and w.isascii() and 2 < len(w) and len(w.split()) < 3 and not re.search(r'\d', w)]
    return list(dict.fromkeys(kept))[:most]


def fitted(image):
    """The picture's visible part, its longer side SIDE pixels."""
    image = image.convert('RGBA')
    box = image.getchannel('A').getbbox()
    if not box:
        return None
    image = image.crop(box)
    scale = SIDE / max(image.size)
    size = [max(1, round(side * scale)) for side in image.size]
    return image.resize(size, Image.LANCZOS if scale < 1 else Image.BICUBIC)


def pixels(image):
    data = image.tobytes()
    return zip(data[0::3], data[1::3], data[2::3])


def cut_out(image):
    """Without the white around it, if it has a white ground of its own."""
    image = image.convert('RGBA')
    corners = [image.getpixel((x, y)) for x in (0, image.width - 1) for y in (0, image.height - 1)]
    if not all(a == 255 and min(r, g, b) > 245 for r, g, b, a in corners):
        return image
    marked = on_white(image)
    for corner in ((0, 0), (image.width - 1, 0), (0, image.height - 1), (image.width - 1, image.height - 1)):
        ImageDraw.floodfill(marked, corner, (255, 0, 255), thresh=24)
    mask = Image.new('L', image.size, 255)
    mask.putdata([0 if p == (255, 0, 255) else 255 for p in pixels(marked)])
    image.putalpha(mask)
    return image


def of_emoji(args):
    said = keywords(args.keywords)
    for _, text, name in starter_data.emoji_things(args.font, args.emoji_list):
        name = words.tidy(name)
        names = words.names_of(name)
        about = said.get(text) or said.get(text.replace('\ufe0f', ''), [])
        yield 'emoji', starter_data.draw_emoji(args.font, text), names, telling(about, names)


def of_glyphs(args, holdout):
    """The same characters in black and white, each from a font of line drawings."""
    if not os.path.exists(args.glyphs):
        return
    font = ImageFont.truetype(args.glyphs, 2 * SIDE)
    nothing = bytes(font.getmask('\U0010fffe'))
    said = keywords(args.keywords)
    pairs = words.listed_emoji(args.emoji_list) if os.path.exists(args.emoji_list) else words.unicode_emoji()
    for text, name in pairs:
        text = text.replace('\ufe0f', '')
        if len(text) > 1 or holdout.names(split(name)) or 'face' in name and 'with' in name:
            continue
        mask = font.getmask(text)
        if bytes(mask) == nothing or 0 in mask.size:
            continue
        image = Image.new('RGBA', mask.size)
        image.putalpha(Image.frombytes('L', mask.size, bytes(mask)))
        names = words.names_of(words.tidy(name))
        yield 'glyph', image, names, telling(said.get(text, []), names)


@functools.lru_cache(maxsize=2)
def shared_titles(root):
    """Titles that more than four pictures have."""
    count = collections.Counter()
    for folder, _, files in os.walk(root):
        for file in files:
            if file.endswith('.svg'):
                count[metadata(os.path.join(folder, file))[0]] += 1
    return {title for title, times in count.items() if times > 4}


def of_clipart(args, holdout, told):
    if not os.path.isdir(args.clipart):
        return
    shared, left_out = shared_titles(args.drawings), 0
    for _, path, name in starter_data.clipart_things(args.clipart, holdout, told):
        names, tags = [words.tidy(name)], []
        drawing = os.path.join(args.drawings, os.path.relpath(path, args.clipart)[:-4] + '.svg')
        if os.path.exists(drawing):
            title, tags = metadata(drawing)
            if holdout.names(split(title) + [w for t in tags for w in split(t)]):
                left_out += 1
                continue
            if title not in shared and not COLLECTIONS.search(title):
                title = words.tidy(' '.join(w for w in split(title) if w not in words.NOISE)[:60])
                names = list(dict.fromkeys(n for n in (title, *names) if len(n) > 2))
        try:
            with Image.open(path) as image:
                image.thumbnail((4 * SIDE, 4 * SIDE))
                image = cut_out(image)
        except Exception as e:  # whatever a decoder makes of it
            told(f'{path} cannot be read: {e}.')
            continue
        yield 'clipart', image, names, telling(tags, names)
    told(f'{left_out} clip arts more are left out, held out by their own titles and tags')


def of_stamps(args, holdout, told):
    """Tux Paint's: photographs and drawings, each with a sentence beside it."""
    for folder, names, files in os.walk(args.stamps):
        names.sort()
        inside = os.path.relpath(folder, args.stamps)
        if inside.startswith(SKIPPED_STAMPS):
            continue
        for file in sorted(f for f in files if f.endswith('.png')):
            sentence = os.path.join(folder, file[:-4] + '.txt')
            if not os.path.exists(sentence):
                continue
            with open(sentence, encoding='utf-8', errors='replace') as f:
                said = re.split(r'[.,;:!?(—]', f.readline())[0].strip().lower()
            said = words.tidy(re.sub(r'^(a|an|the|one|some) ', '', said))
            if holdout.names(split(said) + split(file)) or not 2 < len(said) < 50:
                continue
            with Image.open(os.path.join(folder, file)) as image:
                if holdout.shows(image):
                    continue
                image = image.convert('RGBA')
            drawn = 'cartoon' in inside or 'symbols' in inside
            about = telling([w for w in split(inside) if w != 'cartoon'][::-1], [said])
            yield 'clipart' if drawn else 'stamp', image, [said], about


def of_folders(args, holdout, told):
    for folder in args.add:
        for _, path, caption in starter_data.folder_things(folder, holdout, told):
            with Image.open(path) as image:
                yield 'photo', image.convert('RGBA'), [caption], []


def of_grounds(args, told):
    """Cuttings of photographs for other things to stand on, of which nothing is said."""
    rng = random.Random(1)
    for folder, names, files in os.walk(args.grounds):
        names.sort()
        for file in sorted(f for f in files if f.lower().endswith(('.jpg', '.jpeg'))):
            try:
                with Image.open(os.path.join(folder, file)) as image:
                    image.draft('RGB', (1600, 1600))
                    image = image.convert('RGB')
            except Exception as e:  # whatever a decoder makes of it
                told(f'{file} cannot be read: {e}.')
                continue
            for _ in range(CUTTINGS):
                side = min(image.size) * rng.uniform(0.1, 0.9)
                x, y = (rng.uniform(0, s - side) for s in image.size)
                cut = image.resize((SIDE, SIDE), Image.LANCZOS, box=(x, y, x + side, y + side))
                yield 'ground', cut, ['ground'], []


def gather(args, told):
    holdout = Holdout()
    yield from of_emoji(args)
    yield from of_glyphs(args, holdout)
    yield from of_clipart(args, holdout, told)
    yield from of_stamps(args, holdout, told)
    yield from of_folders(args, holdout, told)
    yield from of_grounds(args, told)


def write(path, found, quality, told):
    index, count = [], collections.Counter()
    with zipfile.ZipFile(path + '.new', 'w', zipfile.ZIP_STORED) as file:
        for kind, image, names, about in found:
            image = fitted(image)
            if image is None or not names:
                continue
            buffer = io.BytesIO()
            image.save(buffer, 'WEBP', quality=min(quality, 60) if kind == 'ground' else quality,
                       alpha_quality=quality, method=4)
            file.writestr(zipfile.ZipInfo(f'{len(index):05}.webp'), buffer.getvalue())
            index.append({'kind': kind, 'names': names, 'about': about})
            count[kind] += 1
        file.writestr(zipfile.ZipInfo('index.json'), json.dumps(index, ensure_ascii=False, indent=0))
    if not index:
        os.remove(path + '.new')
        raise ValueError('there is nothing to make sprites of: Debian has pictures in fonts-noto-color-emoji '
                         'and openclipart-png, and --add takes folders of your own.')
    os.replace(path + '.new', path)
    told(', '.join(f'{n} {kind}' for kind, n in sorted(count.items())) + f': {path}')


def parse(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0],
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add = parser.add_argument
    add('--output', required=True, help='the zip')
    add('--add', nargs='*', default=[], help='folders of captioned pictures of your own')
    add('--font', default=starter_data.FONT, help='of colour emoji')
    add('--glyphs', default=GLYPHS, help='a font with emoji in black and white, of Debian\'s fonts-symbola')
    add('--emoji-list', default=starter_data.EMOJI_LIST, help='emoji-test.txt, of Debian\'s unicode-data')
    add('--keywords', default=KEYWORDS, help='words for emoji, of Debian\'s unicode-cldr-core')
    add('--clipart', default=starter_data.CLIPART, help='where Debian\'s openclipart-png is')
    add('--drawings', default=DRAWINGS, help='its titles and tags: where Debian\'s openclipart-svg is')
    add('--stamps', default=STAMPS, help='where Debian\'s tuxpaint-stamps-default has its stamps')
    add('--grounds', default=GROUNDS, help='photographs, of Debian\'s mate-backgrounds, to put things before')
    add('--quality', type=int, default=80, help='of the WebP files')
    return parser.parse_args(argv)


def main(argv=None):
    def told(sentence):
        print(f'sprites: {sentence}', file=sys.stderr)
    args = parse(argv)
    try:
        write(args.output, gather(args, told), args.quality, told)
    except (ValueError, OSError) as e:
        told(e)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
