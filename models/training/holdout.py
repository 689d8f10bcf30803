"""What the starter is never trained on: holdout.json, made of the pictures that it is evaluated on.

Clip arts of its words are left out by their titles; and any picture that looks like one of the evaluation's
is, whatever its name, size, margin or place in the middle of a white ground.

    holdout.py EVAL         writes holdout.json anew from the folders clipart-heldout/ and photos/ of EVAL
"""
import json
import os
import sys

from PIL import Image, ImageChops

PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'holdout.json')
GRID = 16
# The same things as openclipart's authors name them, in English and Italian.
ALSO = '''mela banane ape bicicletta bici bike autobus farfalla fotocamera auto automobile macchina sportcar
    gatto kitten cane puppy pesce chitarra martello cavallo pony casa chiave coltello fungo gufo pinguino maiale
    razzo ragno albero tartaruga tortoise ombrello'''.split()
NEAR = 26  # of 256 bits; drawings that have nothing to do with each other differ in some 100


def on_white(image):
    image = image.convert('RGBA')
    return Image.alpha_composite(Image.new('RGBA', image.size, 'white'), image).convert('RGB')


def fingerprint(image):
    """256 bits: where what is not white gets brighter from left to right, on a grid. None of an empty one."""
    image = on_white(image)
    difference = ImageChops.difference(image, Image.new('RGB', image.size, 'white')).convert('L')
    box = difference.point(lambda v: 255 * (v > 12)).getbbox()
    if not box:
        return None
    grey = image.crop(box).convert('L').resize((GRID + 1, GRID), Image.BOX).tobytes()
    bits = 0
    for row in range(GRID):
        for column in range(GRID):
            at = row * (GRID + 1) + column
            bits = bits << 1 | (grey[at + 1] > grey[at] + 2)
    return bits


def singular(word):
    """The word and whatever it may be the plural of."""
    endings = (('ies', 'y'), ('ves', 'fe'), ('es', ''), ('s', ''))
    return {word} | {word[:-len(plural)] + single for plural, single in endings if word.endswith(plural)}


class Holdout:
    def __init__(self, path=PATH):
        with open(path, encoding='utf-8') as f:
            data = json.load(f)
        self.words = set(data['words'])
        self.fingerprints = [int(f, 16) for f in data['fingerprints']]

    def names(self, words):
        """Whether one of the words is held out, in either number, alone or at the end of a compound."""
        return any(form == held or (len(held) > 3 and form.endswith(held))
                   for word in words for form in singular(word) for held in self.words)

    def shows(self, image):
        found = fingerprint(image)
        return found is None or any((found ^ held).bit_count() <= NEAR for held in self.fingerprints)


def write(folder, path=PATH):
    clipart = os.path.join(folder, 'clipart-heldout')
    words, prints = sorted(os.listdir(clipart) + ALSO), set()
    for kind in (clipart, os.path.join(folder, 'photos')):
        for name, _, files in os.walk(kind):
            for file in files:
                with Image.open(os.path.join(name, file)) as image:
                    prints.add(fingerprint(image))
    prints.discard(None)
    with open(path, 'w', encoding='utf-8') as f:
        json.dump({'words': words, 'fingerprints': [f'{p:064x}' for p in sorted(prints)]}, f, indent=0)
        f.write('\n')


if __name__ == '__main__':
    write(*sys.argv[1:])
