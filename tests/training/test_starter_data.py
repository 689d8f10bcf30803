"""models/training/starter_data.py: what is said of the pictures it makes, that the same arguments make the
same ones, and that what the starter is evaluated on stays out. Needs Python's PIL and numpy."""
import argparse
import importlib.util
import io
import json
import os
import random
import sys
import tempfile
import unittest

SOURCE = os.environ.get('CLIPTAG_SOURCE_ROOT', os.path.join(os.path.dirname(__file__), '..', '..'))
missing = [m for m in ('PIL', 'numpy') if importlib.util.find_spec(m) is None]
if missing:
    print(f'Python has no {", ".join(missing)} here (pipelines/setup.sh installs them)')
    sys.exit(77)
sys.path.insert(0, os.path.join(SOURCE, 'models', 'training'))

from PIL import Image, ImageDraw  # noqa: E402

import holdout  # noqa: E402
import starter_captions as words  # noqa: E402
import starter_data  # noqa: E402
import tar_shards  # noqa: E402

EVAL = os.path.join(SOURCE, 'tests', 'data', 'starter', 'clipart-heldout')


def drawing(seed, size=(90, 60)):
    """Random shapes on a transparent ground."""
    rng = random.Random(seed)
    image = Image.new('RGBA', size)
    pen = ImageDraw.Draw(image)
    for _ in range(8):
        x, y = rng.randrange(size[0]), rng.randrange(size[1])
        box = (x, y, x + rng.randrange(8, 40), y + rng.randrange(8, 30))
        pen.ellipse(box, fill=tuple(rng.randrange(200) for _ in 'rgb') + (255,))
    return image


class CaptionTest(unittest.TestCase):
    def test_articles(self):
        for template, noun, expected in (
                ('an emoji of a {}.', 'owl', 'an emoji of an owl.'), ('a {} icon.', 'dog', 'a dog icon.'),
                ('a {}.', 'old key', 'an old key.'), ('{}', 'owl', 'owl'),
                ('a cartoon {}.', 'owl', 'a cartoon owl.'),
                ('a {}.', 'pair of eyes', 'pair of eyes.')):
            self.assertEqual(expected, words.fill(template, noun))

    def test_plurals(self):
        self.assertEqual(['dogs', 'buses', 'keys', 'cherries', 'boxes', 'glasses'],
                         [words.plural(w) for w in ('dog', 'buses', 'key', 'cherry', 'box', 'glasses')])

    def test_titles_without_authors(self):
        self.assertEqual(['emperor', 'penguin'], words.title_words('emperor_penguin_ganson_01.png', 'birds'))
        self.assertEqual(['music'], words.title_words('architetto_francesco_01.png', 'music'))

    def test_emoji_list(self):
        with tempfile.NamedTemporaryFile('w', suffix='.txt', encoding='utf-8') as f:
            f.write('# comment\n1F600 ; fully-qualified # 😀 E1.0 grinning face\n'
                    '1F44B 1F3FB ; fully-qualified # x E1.0 waving hand: light skin tone\n'
                    '1F1EE 1F1F9 ; fully-qualified # x E2.0 flag: Italy\n263A ; unqualified # x E0.6 smile\n')
            f.flush()
            self.assertEqual([('😀', 'grinning face'), ('🇮🇹', 'flag of italy')], list(words.listed_emoji(f.name)))
        self.assertIn(('🐕', 'dog'), list(words.unicode_emoji()))


class HoldoutTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.held = holdout.Holdout()

    def test_words(self):
        for title in (['red', 'apples'], ['butterflies'], ['knives'], ['cane'], ['buses'], ['pineapples'],
                      ['greenhouse'], ['fishes'], ['blue', 'sportcar']):
            self.assertTrue(self.held.names(title), title)
        for title in (['telephone'], ['scarf'], ['donkey'], ['catalogue']):
            self.assertFalse(self.held.names(title), title)

    def test_a_picture_is_known_however_it_lies_on_white(self):
        image = drawing(1)
        wanted = holdout.fingerprint(image)
        small = Image.new('RGB', (200, 160), 'white')
        shrunk = image.resize((72, 48), Image.BICUBIC)
        small.paste(shrunk, (90, 20), shrunk)
        self.assertLessEqual((holdout.fingerprint(small) ^ wanted).bit_count(), holdout.NEAR)
        for seed in range(2, 12):
            self.assertGreater((holdout.fingerprint(drawing(seed)) ^ wanted).bit_count(), holdout.NEAR)
        self.assertIsNone(holdout.fingerprint(Image.new('RGB', (9, 9), 'white')))

    def test_every_picture_of_the_evaluation_is_known(self):
        count = 0
        for folder, _, files in os.walk(EVAL):
            for file in files:
                with Image.open(os.path.join(folder, file)) as image:
                    count += 1
                    self.assertTrue(self.held.shows(image), file)
        self.assertEqual(41, count)
        self.assertTrue(set(os.listdir(EVAL)) <= self.held.words)
        self.assertFalse(self.held.shows(drawing(1)))


class SamplesTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix='cliptag-test.')
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.clipart = os.path.join(self.folder, 'clipart')
        os.makedirs(os.path.join(self.clipart, 'food'))
        for i, name in enumerate(('cheese', 'plate', 'red_apple', 'bread')):
            drawing(i).save(os.path.join(self.clipart, 'food', f'{name}_ganson_0{i}.png'))
        with open(os.path.join(self.clipart, 'food', 'broken.png'), 'wb') as f:
            f.write(b'\x89PNG rubbish')
        self.own = os.path.join(self.folder, 'own')
        os.makedirs(self.own)
        drawing(30).save(os.path.join(self.own, 'yard.png'))
        with open(os.path.join(self.own, 'yard.txt'), 'w', encoding='utf-8') as f:
            f.write('the yard behind our house at night')

    def arguments(self, output, *more):
        return ['--output', os.path.join(self.folder, output), '--count', '40', '--shard-size', '25',
                '--size', '48', '--clipart', self.clipart, '--font', '/nowhere.ttf', '--add', self.own,
                '--workers', '2', *more]

    def collect(self):
        said = []
        return starter_data.collect(starter_data.parse(self.arguments('x')), said.append), said

    def test_what_is_found(self):
        things, said = self.collect()
        self.assertEqual([('clipart', 'bread'), ('clipart', 'cheese'), ('clipart', 'plate'),
                          ('photo', 'the yard behind our house at night')], [(k, n) for k, _, n in things])
        self.assertIn('2 clip arts are left out: held out, empty, links or not readable', said)
        self.assertIn('nothing comes from /nowhere.ttf; Debian has it in fonts-noto-color-emoji', said)

    def test_captions_are_true(self):
        things, _ = self.collect()
        args = argparse.Namespace(seed=3, size=48, font='/nowhere.ttf')
        kinds = set()
        for index in range(120):
            data, extension, said = starter_data.sample(things, index, args)
            with Image.open(io.BytesIO(data)) as image:
                self.assertEqual((48, 48), image.size)
                self.assertEqual({'jpg': 'JPEG', 'png': 'PNG'}[extension], image.format)
            parts = said['concept'].split('|')
            kinds.add(parts[0] if len(parts) > 1 else 'one')
            if len(parts) == 3:
                first, second = (words.article(n) for n in parts[1:])
                self.assertIn(f'{first} and {second}.', said['captions'])
                where = 'to the left of' if parts[0] == 'side' else 'above'
                self.assertIn(f'{first} {where} {second}.', said['captions'])
            elif len(parts) == 2:
                self.assertIn(f'{words.NUMBERS[int(parts[0])]} {words.plural(parts[1])}.', said['captions'])
            else:
                self.assertTrue(all(parts[0] in c for c in said['captions']), said)
        self.assertEqual({'one', 'side', 'stack', '2', '3', '4'}, kinds)

    def test_left_is_left(self):
        red, blue = (Image.new('RGBA', (50, 50), c) for c in ('red', 'blue'))
        for file, image in (('red.png', red), ('blue.png', blue)):
            image.save(os.path.join(self.folder, file))
        things = [('clipart', os.path.join(self.folder, f'{c}.png'), c) for c in ('red', 'blue')]
        for seed in range(12):
            scene, captions, concept = starter_data.pair(things, 96, '', random.Random(seed))
            way, first, _ = concept.split('|')
            places = [(26, 48), (70, 48)] if way == 'side' else [(48, 26), (48, 70)]
            seen = ['red' if r > b else 'blue' for r, _, b in map(scene.getpixel, places)]
            self.assertEqual(first, seen[0], captions)

    def test_the_same_arguments_make_the_same_shards(self):
        for output in ('one', 'two'):
            self.assertEqual(0, starter_data.main(self.arguments(output)))
        self.assertEqual(0, starter_data.main(self.arguments('three', '--seed', '2')))
        shards = {}
        for output in ('one', 'two', 'three'):
            folder = os.path.join(self.folder, output)
            self.assertEqual(['00000.tar', '00001.tar'], sorted(os.listdir(folder)))
            with open(os.path.join(folder, '00001.tar'), 'rb') as f:
                shards[output] = f.read()
        self.assertEqual(shards['one'], shards['two'])
        self.assertNotEqual(shards['one'], shards['three'])
        path = os.path.join(self.folder, 'one', '00001.tar')
        found = list(tar_shards.samples(path, self.fail))
        self.assertEqual(15, len(found))
        _, (offset, size) = found[0].caption()
        self.assertTrue(json.loads(shards['one'][offset:offset + size])['captions'])

    def test_nothing_to_make_samples_of(self):
        args = ['--output', self.folder, '--clipart', '/nowhere', '--font', '/nowhere']
        self.assertEqual(1, starter_data.main(args))


if __name__ == '__main__':
    unittest.main(verbosity=2)
