"""models/training/compose.py and phrases.py: what they say of their pictures is true."""
import torch_python  # first: it may go on in another Python or skip

import os
import unittest

import torch

import compose
import phrases
import sprites
import starter_captions as words
import tokenizer as tokenizers

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


if __name__ == '__main__':
    unittest.main(verbosity=2)
