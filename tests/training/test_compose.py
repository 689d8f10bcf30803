"""models/training: what sprites.py gathers, that what compose.py says of its pictures is true, and that
train_starter.py learns from them, ends in time and keeps what it is told to keep."""
import torch_python  # first: it may go on in another Python or skip

import contextlib
import io
import json
import math
import os
import re
import shutil
import sys
import tempfile
import time
import unittest

import torch
from PIL import Image, ImageDraw

import checkpoint
import compose
import evaluate_starter
import phrases
import sprites
import starter_captions as words
import tokenizer as tokenizers
import train_starter

STARTER = os.path.join(torch_python.SOURCE, 'models', 'starter')
COLOURS = {'red': (230, 20, 20), 'green': (20, 200, 40), 'blue': (20, 40, 230), 'yellow': (240, 220, 20)}
CPU = torch.device('cpu')


def row(kind, *names, about=()):
    return {'kind': kind, 'names': list(names), 'about': list(about)}


def block(colour, side=sprites.SIDE):
    """A filled square on a transparent ground, as read_sprites has it."""
    pixels = torch.zeros(4, compose.CANVAS, compose.CANVAS, dtype=torch.uint8)
    margin = (compose.CANVAS - side) // 2
    pixels[:, margin:margin + side, margin:margin + side] = torch.tensor([*colour, 255], dtype=torch.uint8)[:, None, None]
    return pixels


def blocks(kind='emoji'):
    index = [row(kind, f'{name} brick') for name in COLOURS]
    return index, torch.stack([block(c) for c in COLOURS.values()])


def composer(index, pixels, seed=1, side=48):
    return compose.Composer(index, pixels, tokenizers.read(STARTER, 24), CPU, seed, side)


def text_of(tokenizer, ids, end):
    symbols = {i: token for token, i in tokenizer.vocab.items()}
    return ''.join(symbols[i] for i in ids[1:int(end)].tolist()).replace('</w>', ' ').strip().replace(' .', '.').replace(' - ', '-')


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


class CaptionsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tokenizer = tokenizers.read(STARTER, 24)

    def captions(self, *index):
        return phrases.Captions(index, self.tokenizer, CPU)

    def texts(self, made, rows):
        ids, ends = made.table.join(rows)
        found = []
        for own, end in zip(ids, ends):
            found.append(text_of(self.tokenizer, own, end))
            self.assertEqual((own.tolist(), int(end)), self.tokenizer.encode(found[-1]))
        return found

    def test_joined_phrases_are_the_encoded_caption(self):
        table = phrases.Table(self.tokenizer)
        said = [['a drawing of', 'an owl', ', bird, "wise"', '', '.'], ['', "o'clock", '', '', ''],
                ['a picture of four', 'extraordinarily long names of things ' * 3, '', 'of which the end is cut', '.']]
        rows = torch.tensor([[table.add(p) for p in caption] for caption in said])
        table.to(CPU)
        ids, ends = table.join(rows)
        for own, end, caption in zip(ids, ends, said):
            self.assertEqual(self.tokenizer.encode(' '.join(caption)), (own.tolist(), int(end)))
        self.assertEqual(23, int(ends[2]))

    def test_alone(self):
        made = self.captions(row('emoji', 'owl', about=['bird', 'wise']), row('stamp', 'zebra'),
                             row('photo', 'the yard behind our house'))
        generator = torch.Generator().manual_seed(1)
        blue = list(words.GROUNDS).index('blue')
        which = torch.arange(3).repeat(200)
        rows, concepts = made.alone(generator, which, torch.where(torch.arange(600) % 2 == 0, blue, -1))
        texts = [set(self.texts(made, rows[i::3])) for i in range(3)]
        allowed = [{words.fill(t, n) for t in words.SCENE_TEMPLATES[k]} | {f'{words.article(n)} on a blue background.'}
                   for k, n in (('emoji', 'owl'), ('stamp', 'zebra'))]
        self.assertEqual(allowed[0] | {'owl , bird , wise.'}, texts[0])
        self.assertEqual(allowed[1], texts[1])
        self.assertIn('the yard behind our house', texts[2])
        self.assertFalse([t for t in texts[2] if t.startswith('a photo')])
        self.assertEqual(3, len(concepts.unique()))

    def test_pairs_and_numbers(self):
        made = self.captions(row('emoji', 'owl'), row('clipart', 'key'))
        generator = torch.Generator().manual_seed(1)
        first, second = torch.zeros(100, dtype=torch.long), torch.ones(100, dtype=torch.long)
        for stacked, said in ((False, {'an owl to the left of a key.', 'a key to the right of an owl.'}),
                              (True, {'an owl above a key.', 'a key below an owl.'})):
            rows, concepts = made.pair(generator, first, second, torch.full((100,), stacked))
            self.assertEqual(said | {'an owl and a key.', 'a key and an owl.'}, set(self.texts(made, rows)))
            self.assertEqual(1, len(concepts.unique()))
        other = made.pair(generator, second, first, torch.full((100,), True))[1]
        self.assertNotEqual(int(concepts[0]), int(other[0]))
        rows, concepts = made.several(generator, first, torch.arange(100) % 3)
        self.assertEqual({f'{p}{n} owls.' for p in ('', 'a picture of ') for n in ('two', 'three', 'four')},
                         set(self.texts(made, rows)))
        self.assertEqual(3, len(concepts.unique()))


class ComposerTest(unittest.TestCase):
    def place_of(self, picture, colour):
        """The middle of what has a colour, or None; in -1..1."""
        wanted = torch.tensor(colour)[:, None, None] / 255
        mask = (picture - wanted).abs().amax(0) < 0.25
        if mask.sum() < 12:
            return None
        y, x = mask.nonzero().float().mean(0) / picture.shape[-1] * 2 - 1
        return float(x), float(y)

    def made(self, **more):
        made = composer(*blocks(), **more)
        white = torch.ones(1, 3, made.side, made.side)
        made.grounds = lambda count: (white.expand(count, -1, -1, -1).clone(), torch.full((count,), made.white))
        return made

    def test_left_is_left_and_above_is_above(self):
        made = self.made()
        names = list(COLOURS.values())
        for stacked in (False, True):
            a, b = torch.arange(24) % 4, (torch.arange(24) + 1) % 4
            with torch.no_grad():
                pictures, _, _ = made.pair(24, (a, b), torch.full((24,), stacked))
            seen = 0
            for i in range(24):
                first, second = (self.place_of(pictures[i], names[k[i]]) for k in (a, b))
                if first and second:
                    seen += 1
                    self.assertLess(first[stacked], second[stacked])
            self.assertGreater(seen, 16)

    def test_as_many_as_are_told(self):
        made = self.made(side=96)
        with torch.no_grad():
            pictures, rows, _ = made.several(48)
        numbers = {made.captions.table.rows[p + n]: k for p in ('', 'a picture of ') for k, n in words.NUMBERS.items()}
        for scene, said in zip(pictures, rows[:, 0].tolist()):
            corners = [scene[:, y:y + 48, x:x + 48] for y in (0, 48) for x in (0, 48)]
            shown = sum(bool(((1 - c).amax(0) > 0.3).float().mean() > 0.1) for c in corners)
            self.assertEqual(numbers[said], shown)

    def test_a_ground_has_the_colour_that_is_told(self):
        made = composer(*blocks())
        with torch.no_grad():
            pictures, colours = made.grounds(400)
        plain = colours >= 0
        self.assertGreater(int(plain.sum()), 100)
        self.assertLess(int(plain.sum()), 300)
        far = (pictures[plain].mean((2, 3)) - made.palette[colours[plain]]).abs().amax(1)
        self.assertLess(float(far.max()), 0.06)
        self.assertLess(float(pictures[plain].std((2, 3)).max()), 0.01)
        self.assertGreater(len(colours[plain].unique()), 8)

    def test_what_a_name_says_of_colour_and_side_stays(self):
        index = [row('emoji', 'red brick'), row('emoji', 'brick'), row('emoji', 'left half'), row('glyph', 'brick')]
        made = composer(index, torch.stack([block(COLOURS['red'])] * 4))
        self.assertEqual([True, False, False, False], made.coloured.tolist())
        self.assertEqual([False, False, True, False], made.sided.tolist())
        layer = made.place(torch.arange(2).repeat(200), torch.full((400,), 0.8), torch.zeros(400, 2))
        with torch.no_grad():
            painted = made.paint(layer, torch.arange(2).repeat(200), torch.ones(400))
        middle = painted[:, :3, 24, 24]
        kept, free = middle[0::2], middle[1::2]
        self.assertTrue(((kept[:, 0] > 0.5) & (kept[:, 1:].amax(1) < 0.35)).all())
        self.assertGreater(int((free[:, 0] < free[:, 1:].amax(1)).sum()), 20)

    def test_a_glyph_stands_out_from_any_ground(self):
        made = composer([row('glyph', 'brick')], torch.stack([block((0, 0, 0))]))
        which = torch.zeros(200, dtype=torch.long)
        layer = made.place(which, torch.full((200,), 0.8), torch.zeros(200, 2))
        light = torch.arange(200) % 2 * 1.0
        ink = made.paint(layer, which, light)[:, :3, 24, 24].mean(1)
        self.assertGreater(float((ink - light).abs().min()), 0.3)

    def test_lines_are_drawn_where_brightness_changes(self):
        layer = compose.premultiplied(block((250, 250, 250), 64)[None])
        lines = compose.line_drawing(layer)
        self.assertLess(float(lines[0, 0, 64, 31]), 0.3)   # the brick's edge is ink
        self.assertGreater(float(lines[0, 3, 64, 31]), 0.0)
        self.assertGreater(float(lines[0, 0, 64, 64]), 0.95)  # and its middle paper

    def test_some_pairs_are_never_shown(self):
        made = composer([row('emoji', f'thing {i}') for i in range(40)], torch.stack([block((9, 9, 9))] * 40), side=16)
        shown = set()
        pair = made.captions.pair
        made.captions.pair = lambda g, a, b, s: shown.update(zip(a.tolist(), b.tolist())) or pair(g, a, b, s)
        with torch.no_grad():
            for _ in range(8):
                made.pair(256)
        self.assertGreater(len(shown), 900)
        self.assertFalse({(a, b) for a, b in shown if (a + b) % compose.HELD_OUT == 0})
        held_out = set(zip(*(column.tolist() for column in made.held_out_pairs(4000))))
        self.assertGreater(len(held_out), 80)
        self.assertFalse(held_out & shown)

    def test_the_same_seed_makes_the_same_batch(self):
        one, two, other = (composer(*blocks(), seed=seed).batch(48) for seed in (3, 3, 4))
        for key in one:
            self.assertTrue(torch.equal(one[key], two[key]), key)
        self.assertFalse(torch.equal(one['pixels'], other['pixels']))
        self.assertEqual((48, 3, 48, 48), tuple(one['pixels'].shape))
        self.assertTrue(0 <= float(one['pixels'].min()) and float(one['pixels'].max()) <= 1)

    def test_photographs_fill_the_picture(self):
        made = composer([row('photo', 'a yard at night, empty')], torch.stack([block((90, 60, 30))]))
        with torch.no_grad():
            pictures, _, _ = made.alone(16, 'large')
        self.assertLess(float((pictures - torch.tensor([90, 60, 30])[:, None, None] / 255).abs().max()), 0.2)

    def test_coarse_pictures_have_little_detail(self):
        made = composer([*blocks()[0], row('ground', 'ground'), row('stamp', 'hen')],
                        torch.cat([blocks()[1], torch.stack([block((40, 90, 40))] * 2)]), side=96)
        noise = torch.rand(12, 3, 96, 96)
        coarse = made.coarse(noise)
        self.assertEqual(noise.shape, coarse.shape)
        self.assertLess(float(coarse.diff(dim=3).abs().mean()), 0.3 * float(noise.diff(dim=3).abs().mean()))
        self.assertLess(float((coarse[0].mean((1, 2)) - torch.tensor([40, 90, 40]) / 255).abs().max()), 0.2)


class TrainTest(WithFolder):
    def setUp(self):
        super().setUp()
        for number, colour in enumerate(COLOURS.values()):
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
        with open(os.path.join(torch_python.SOURCE, 'models', 'prompts.cc'), encoding='utf-8') as f:
            block = re.search(r'DefaultBackground\(\) \{(.*?)\};', f.read(), re.S)[1]
        self.assertEqual(words.BACKGROUND, re.findall(r'"([^"]+)"', block))


if __name__ == '__main__':
    unittest.main(verbosity=2)
