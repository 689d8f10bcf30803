"""models/training: what sprites.py gathers, and that train_starter.py learns from it, ends in time and keeps
what it is told to keep."""
import torch_python  # first: it may go on in another Python or skip

import contextlib
import io
import json
import math
import os
import re
import shutil
import tempfile
import time
import unittest

import torch
from PIL import Image, ImageDraw

import checkpoint
import compose
import evaluate_starter
import sprites
import starter_captions as words
import train_starter

COLOURS = ((230, 20, 20), (20, 200, 40), (20, 40, 230), (240, 220, 20))


class WithFolder(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='cliptag-test.')
        self.addCleanup(shutil.rmtree, self.folder)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def run_script(self, module, *arguments):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = module.main([*map(str, arguments)])
        return code, out.getvalue(), err.getvalue()

    def complaint(self, module, *arguments):
        code, _, said = self.run_script(module, *arguments)
        self.assertEqual(1, code)
        return said

    def save(self, image, *names):
        os.makedirs(os.path.dirname(self.path(*names)), exist_ok=True)
        image.save(self.path(*names))

    def write(self, text, *names):
        os.makedirs(os.path.dirname(self.path(*names)), exist_ok=True)
        with open(self.path(*names), 'w', encoding='utf-8') as f:
            f.write(text)

    def gather(self, *more):
        return self.run_script(
            sprites, '--output', self.path('sprites.zip'), '--font', '/nowhere', '--glyphs', '/nowhere', '--clipart',
            self.path('png'), '--drawings', self.path('svg'), '--stamps', self.path('stamps'), '--grounds',
            self.path('grounds'), *more)


def picture(seed=0, size=(90, 60), ground=None):
    image = Image.new('RGBA', size, ground or (0, 0, 0, 0))
    pen = ImageDraw.Draw(image)
    for i in range(6):
        x, y = (seed * 37 + i * 23) % 60, (seed * 17 + i * 11) % 35
        pen.ellipse((x, y, x + 12 + 3 * i, y + 20), fill=((seed * 50 + i * 40) % 200, i * 30, 90, 255))
    return image


class SpritesTest(WithFolder):
    def metadata(self, title, *tags):
        listed = ''.join(f'<rdf:li>{t}</rdf:li>' for t in tags)
        return f'<svg><metadata><dc:title>{title}</dc:title>{listed}<dc:title>Someone</dc:title></metadata></svg>'

    def test_what_is_found_and_what_is_left_out(self):
        for number, name in enumerate(('cheese_01', 'pancake', 'old_thing', 'apple')):
            self.save(picture(number), 'png', 'food', f'{name}.png')
        self.write(self.metadata('Swiss &amp; Cheese', 'food', 'hash', 'dairy', 'cheese'), 'svg', 'food', 'cheese_01.svg')
        self.write(self.metadata('Clipart by Someone - 7', 'breakfast'), 'svg', 'food', 'pancake.svg')
        self.write(self.metadata('Old thing', 'pig'), 'svg', 'food', 'old_thing.svg')  # held out by its tag
        for number, (name, said) in enumerate((('birds/hen', 'A brown hen.'), ('birds/cartoon/duck', 'Duck!'),
                                               ('mammals/cat1', 'A cat.'), ('symbols/alphabets/q', 'The letter Q.'))):
            self.save(picture(10 + number), 'stamps', f'{name}.png')
            self.write(said + '\nde.utf8=anders', 'stamps', f'{name}.txt')
        self.save(picture(20), 'own', 'yard.png')
        self.write('my own yard', 'own', 'yard.txt')
        self.save(picture(30, (300, 200), (90, 90, 20, 255)).convert('RGB'), 'grounds', 'meadow.jpg')
        code, _, said = self.gather('--add', self.path('own'))
        self.assertEqual(0, code, said)
        index, pixels = compose.read_sprites(self.path('sprites.zip'))
        found = {r['names'][-1]: (r['kind'], r['names'], r['about']) for r in index if r['kind'] != 'ground'}
        self.assertEqual({
            'cheese': ('clipart', ['swiss cheese', 'cheese'], ['food', 'dairy']),
            'pancake': ('clipart', ['pancake'], ['breakfast']),
            'brown hen': ('stamp', ['brown hen'], ['birds']), 'duck': ('clipart', ['duck'], ['birds']),
            'my own yard': ('photo', ['my own yard'], [])}, found)
        self.assertEqual(sprites.CUTTINGS, sum(r['kind'] == 'ground' for r in index))
        self.assertEqual((len(index), 4, compose.CANVAS, compose.CANVAS), tuple(pixels.shape))
        self.assertIn('1 clip arts more are left out, held out by their own titles and tags', said)
        self.assertIn('3 clipart, 24 ground, 1 photo, 1 stamp', said)
        for sprite in pixels:  # the longer side has the size that is promised
            seen = sprite[3] > 0
            self.assertLessEqual(abs(max(seen.any(0).sum(), seen.any(1).sum()) - sprites.SIDE), 2)

    def test_a_white_ground_is_cut_away(self):
        image = Image.new('RGB', (40, 40), 'white')
        ImageDraw.Draw(image).ellipse((8, 8, 32, 32), fill=(200, 0, 0))
        ImageDraw.Draw(image).ellipse((16, 16, 24, 24), fill='white')
        alpha = sprites.cut_out(image).getchannel('A')
        self.assertEqual([0, 255, 255], [alpha.getpixel(p) for p in ((1, 1), (10, 20), (20, 20))])
        dark = Image.new('RGB', (40, 40), (90, 0, 0))
        self.assertEqual((255, 255), sprites.cut_out(dark).getchannel('A').getextrema())

    def test_names_are_tidy(self):
        self.assertEqual(["o'clock", 'cote divoire', 'a button blood type'],
                         [words.tidy(n) for n in ('O’clock!', 'Côte “divoire”.', 'A button (blood type)')])

    def test_nothing_found(self):
        code, _, said = self.gather()
        self.assertEqual(1, code)
        self.assertIn('there is nothing to make sprites of', said)
        self.assertEqual([], os.listdir(self.folder))

    def test_no_file_of_sprites(self):
        self.write('no zip', 'bad.zip')
        for path in (self.path('bad.zip'), self.path('none.zip')):
            with self.assertRaisesRegex(ValueError, 'is no file of sprites.py'):
                compose.read_sprites(path)


class TrainTest(WithFolder):
    def setUp(self):
        super().setUp()
        for number, colour in enumerate(COLOURS):
            name = ('brick', 'tile', 'board', 'slab')[number]
            self.save(Image.new('RGB', (60, 60), colour), 'own', f'{name}.png')
            self.write(name, 'own', f'{name}.txt')
        for number, name in enumerate(('cheese', 'plate', 'bread', 'spoon', 'fork')):
            self.save(picture(number), 'png', 'food', f'{name}.png')
        code, _, said = self.gather('--add', self.path('own'))
        self.assertEqual(0, code, said)

    def train(self, output, *more):
        code, out, err = self.run_script(
            train_starter, '--sprites', self.path('sprites.zip'), '--output', self.path(output), '--device', 'cpu',
            '--precision', 'fp32', '--threads', 1, '--batch', 48, '--log-every', 1, *more)
        self.assertEqual(0, code, err)
        with open(self.path(output, 'log.jsonl'), encoding='utf-8') as f:
            return out, [json.loads(line) for line in f]

    def test_it_learns_and_keeps(self):
        out, log = self.train('first', '--shape', 'tiny', '--steps', 60, '--lr', 2e-3, '--warmup', 5, '--background', 0.3)
        self.assertEqual(list(range(1, 61)), [r['step'] for r in log])

        def mean(key, rows):
            return sum(r[key] for r in rows) / len(rows)
        self.assertLess(mean('loss', log[-10:]), mean('loss', log[:5]) - 0.5)
        self.assertLess(mean('background', log[-10:]), mean('background', log[:5]))
        self.assertLess(log[-1]['lr'], 1e-5)
        self.assertRegex(out, r'\n2880 pairs in \d+ s\n')
        with open(self.path('first', 'evaluation.json'), encoding='utf-8') as f:
            found = json.load(f)
        self.assertIsNone(found['emoji names'])
        self.assertEqual(2048, found['combinations']['pictures'])
        model, _, _ = checkpoint.load_model(self.path('first', 'model'))
        self.assertEqual(32, model.config.image_size)

        moved = {}
        for keep in (0.01, 50):
            _, log = self.train(f'kept{keep}', '--from', self.path('first', 'model'), '--keep', keep, '--steps', 12,
                                '--lr', 1e-3, '--warmup', 1)
            self.assertLess(log[0]['moved'], 1e-4)
            moved[keep] = log[-1]['moved']
        self.assertLess(moved[50], 0.5 * moved[0.01])

    def test_it_ends_in_time(self):
        began = time.monotonic() - train_starter.BEGAN
        _, log = self.train('short', '--shape', 'tiny', '--seconds', began + 4, '--save-every', 1)
        self.assertLess(log[-1]['seconds'], began + 6)
        self.assertLess(log[-1]['lr'], 0.1 * max(r['lr'] for r in log))
        self.assertTrue(os.path.exists(self.path('short', 'model', 'model.safetensors')))

    def test_evaluation_of_folders(self):
        self.train('run', '--shape', 'tiny', '--steps', 1)
        for number in range(3):
            self.save(picture(number), 'eval', 'photos', f'thing {number}', '0.png')
        code, out, err = self.run_script(evaluate_starter, '--model', self.path('run', 'model'), '--folders',
                                         self.path('eval'), '--threads', 1)
        self.assertEqual(0, code, err)
        found = json.loads(out)
        self.assertEqual((3, 3, 1.0), tuple(found['photos'][k] for k in ('pictures', 'classes', 'top5')))
        self.assertNotIn('combinations', found)

    def test_complaints(self):
        common = ('--sprites', self.path('sprites.zip'), '--output', self.path('x'), '--device', 'cpu', '--shape',
                  'tiny', '--steps', 1)
        self.assertIn('--keep needs a model to keep', self.complaint(train_starter, *common, '--keep', 1))
        self.assertIn('--batch 31: a batch has pictures of every kind, so at least 32',
                      self.complaint(train_starter, *common, '--batch', 31))
        self.assertIn('lower --lr. The last save is untouched', self.complaint(
            train_starter, *common[:-1], 40, '--batch', 32, '--lr', 1e9, '--warmup', 1, '--log-every', 1))
        self.assertIn('is no file of sprites.py', self.complaint(
            train_starter, '--sprites', '/nowhere.zip', *common[2:]))
        self.assertIn('cannot be read', self.complaint(evaluate_starter, '--model', self.path('none')))


class BackgroundLossTest(unittest.TestCase):
    def test_beside_one_pair_after_the_other(self):
        torch.manual_seed(1)
        images, texts = (torch.nn.functional.normalize(torch.randn(6, 8), dim=1) for _ in 'it')
        count = len(words.BACKGROUND)
        background = torch.nn.functional.normalize(torch.randn(2 * count, 8), dim=1)
        concepts, scale = torch.tensor([1, 2, 2, 3, 4, 5]), 7.0
        missed, wrong = [], []
        for i in range(6):
            against = sum(math.exp(scale * float(images[i] @ b)) for b in background) / 2
            for j in range(6):
                own = math.exp(scale * float(images[i] @ texts[j]))
                if i == j:
                    missed.append(-math.log(own / (own + against)))
                elif concepts[i] != concepts[j]:
                    wrong.append(-math.log(against / (own + against)))
        expected = sum(missed) / 6 + train_starter.WRONG_WEIGHT * sum(wrong) / len(wrong)
        found = train_starter.background_loss(images, texts, background, torch.tensor(scale), concepts)
        self.assertAlmostEqual(expected, float(found), places=4)

    def test_the_background_is_cliptags(self):
        with open(os.path.join(torch_python.SOURCE, 'models', 'prompts', 'prompts.cc'), encoding='utf-8') as f:
            block = re.search(r'DefaultBackground\(\) \{(.*?)\};', f.read(), re.S)[1]
        self.assertEqual(words.BACKGROUND, re.findall(r'"([^"]+)"', block))


if __name__ == '__main__':
    unittest.main(verbosity=2)
