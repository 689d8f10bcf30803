"""models/training as a whole: a run that is resumed, one spread over two processes, and one whose model
`cliptag` loads."""
import torch_python  # first: it may go on in another Python or skip

import contextlib
import csv
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest

import numpy as np
import torch
from PIL import Image

import checkpoint
import data
import evaluate_starter
import mix
import sprites
import starter_data
import tokenizer as tokenizers
import toy_data
import train
import train_starter
from model import Clip

SOURCE = torch_python.SOURCE
TOOL = os.path.join(os.environ.get('CLIPTAG_BUILD_ROOT', os.path.join(SOURCE, 'build')), 'plugin', 'cli',
                    'cliptag')
COMMON = ['--shape', 'tiny', '--merges', '300', '--precision', 'fp32', '--save-precision', 'fp32',
          '--threads', '1', '--device', 'cpu']


def starter_tokenizer():
    return tokenizers.read(os.path.join(SOURCE, 'models', 'starter'), 16, 300)


class WithFolder(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='cliptag-test.')
        self.addCleanup(shutil.rmtree, self.folder)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def train(self, *arguments, output='run', expected=0):
        """What a run said; with `expected` other than 0, its complaint."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = train.main([*map(str, arguments), '--output', self.path(output)])
        self.assertEqual(expected, code, err.getvalue())
        return err.getvalue() if expected else out.getvalue()

    def losses(self, output='run'):
        with open(self.path(output, 'log.jsonl'), encoding='utf-8') as f:
            return [(row['step'], row['loss']) for row in map(json.loads, f)]


class DataTest(WithFolder):
    def save(self, name, colour='red', text=None):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        Image.new('RGB', (40, 30), colour).save(self.path(name))
        if text is not None:
            with open(self.path(name.rpartition('.')[0] + '.txt'), 'w', encoding='utf-8') as f:
                f.write(text)

    def pairs(self, *paths, **kwargs):
        return data.Pairs(data.open_sources([self.path(*p) for p in paths]), starter_tokenizer(), 16, seed=4,
                          **kwargs)

    def test_a_folder_with_texts(self):
        self.save('a/one.png', 'red', 'a red square\n\nsomething red\n')
        self.save('b/two.JPG'.lower(), 'blue', 'a blue square')
        self.save('b/three.png')  # nothing is said of it
        source = data.Folder(self.folder)
        self.assertEqual(2, len(source))
        self.assertEqual(['a red square', 'something red'], source.read(0)[1])

    def test_a_table(self):
        self.save('one.png')
        with open(self.path('captions.csv'), 'w', encoding='utf-8', newline='') as f:
            csv.writer(f).writerows([('file', 'caption', 'concept'), ('one.png', 'a, b', 'thing'),
                                     ('one.png', 'c', '')])
        self.assertEqual((['a, b', 'c'], 'thing'), data.Folder(self.folder).read(0)[1:])

    def test_errors(self):
        with self.assertRaisesRegex(ValueError, 'has no picture with a caption: put a .txt'):
            data.open_sources([self.folder])
        with self.assertRaisesRegex(ValueError, 'nowhere does not exist'):
            data.open_sources([self.path('nowhere')])
        with open(self.path('captions.csv'), 'w', encoding='utf-8') as f:
            f.write('path,text\n')
        with self.assertRaisesRegex(ValueError, 'needs the columns file and caption'):
            data.open_sources([self.folder])
        with open(self.path('captions.csv'), 'w', encoding='utf-8') as f:
            f.write('file,caption\na.png,\n')
        with self.assertRaisesRegex(ValueError, r'captions.csv:2: a row needs a file and a caption'):
            data.open_sources([self.folder])
        with self.assertRaisesRegex(ValueError, 'A batch of 9 pairs cannot be made of 5'):
            data.Schedule(5, 9, 1, 0, 1)
        with self.assertRaisesRegex(ValueError, 'cannot be divided among 3 processes'):
            data.Schedule(50, 8, 1, 0, 1, 0, 3)

    def test_a_broken_picture_gives_way_to_its_neighbour(self):
        self.save('0.png', 'red', 'red')
        self.save('1.png', 'blue', 'blue')
        with open(self.path('0.png'), 'r+b') as f:
            f.truncate(60)
        with contextlib.redirect_stderr(io.StringIO()) as said:
            pairs = self.pairs([])
            first, second = pairs[0, 0], pairs[0, 1]
        self.assertIn('pair 0 cannot be read and its neighbour is taken', said.getvalue())
        self.assertTrue(np.array_equal(first[0], second[0]))
        os.truncate(self.path('1.png'), 60)
        with contextlib.redirect_stderr(io.StringIO()):
            with self.assertRaisesRegex(RuntimeError, 'None of 16 pairs'):
                pairs[0, 0]

    def test_every_pair_once_an_epoch_over_all_processes(self):
        whole = data.Schedule(21, 4, 1, 0, 10)
        steps = list(whole)
        self.assertEqual(5, whole.steps_per_epoch)
        for epoch in (0, 1):
            seen = [i for step in steps[5 * epoch:5 * epoch + 5] for e, i in step if e == epoch]
            self.assertEqual(20, len(set(seen)))
        self.assertNotEqual([i for _, i in steps[0]], [i for _, i in steps[5]])
        halves = [list(data.Schedule(21, 4, 1, 3, 10, rank, 2)) for rank in (0, 1)]
        self.assertEqual(steps[3:], [a + b for a, b in zip(*halves)])
        self.assertNotEqual(steps, list(data.Schedule(21, 4, 2, 0, 10)))

    def test_crops_and_flips_follow_from_the_seed(self):
        toy_data.write_shards(self.path('toys'), 20)
        one, two = self.pairs(['toys'], flip=True), self.pairs(['toys'], flip=True)
        for i in range(20):
            self.assertTrue(np.array_equal(one[0, i][0], two[0, i][0]))
        self.assertTrue(any(not np.array_equal(one[0, i][0], one[1, i][0]) for i in range(20)))
        still = self.pairs(['toys'], crop_scale=(1.0, 1.0))
        self.assertEqual((3, 16, 16), still[0, 0][0].shape)
        self.assertEqual(20, len(still))
        self.assertEqual(still[0, 3][3], data.concept_id(still.read(3)[1][0].upper() + ' '))

    def test_captions_in_json(self):
        toy_data.write_shards(self.path('toys'), 4, shards=1)
        captions = [self.pairs(['toys']).read(i)[1] for i in range(4)]
        self.assertEqual([[text] for _, text in toy_data.toys(4)], captions)


class RunTest(WithFolder):
    def setUp(self):
        super().setUp()
        toy_data.write_shards(self.path('toys'), 60)
        self.arguments = ['--data', self.path('toys'), *COMMON, '--batch', 16, '--warmup', 2, '--log-every',
                          1, '--workers', 0]

    def state(self, output):
        return torch.load(self.path(output, checkpoint.STATE), weights_only=True)

    def test_resumed_is_the_same_to_the_bit(self):
        self.train(*self.arguments, '--steps', 6, '--micro-batch', 5, output='whole')
        self.train(*self.arguments, '--steps', 6, '--micro-batch', 5, '--stop-after', 4)
        self.assertEqual(4, self.state('run')['step'])
        said = self.train(*self.arguments, '--steps', 6, '--micro-batch', 5, '--resume', '--workers', 1)
        self.assertIn('steps 5 to 6 of 6', said)
        whole, resumed = self.state('whole'), self.state('run')
        for name, tensor in whole['model'].items():
            self.assertTrue(torch.equal(tensor, resumed['model'][name]), name)
        for key, slots in whole['optimizer']['state'].items():
            for name, value in slots.items():
                self.assertTrue(torch.equal(value, resumed['optimizer']['state'][key][name]), (key, name))
        self.assertEqual(self.losses('whole'), self.losses('run'))
        models = []
        for run in ('whole', 'run'):
            with open(self.path(run, 'model', 'model.safetensors'), 'rb') as f:
                models.append(f.read())
        self.assertEqual(*models)

    def test_two_processes_are_one(self):
        extra = ['--steps', '2', '--soft-targets', '--micro-batch', '5']
        self.train(*self.arguments, *extra, output='one')
        command = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', '2',
                   os.path.join(torch_python.TRAINING, 'train.py'), *map(str, self.arguments), *extra,
                   '--output', self.path('two')]
        done = subprocess.run(command, capture_output=True, text=True, timeout=280)
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertIn('2 x cpu', done.stdout)
        for (_, a), (_, b) in zip(self.losses('one'), self.losses('two')):
            self.assertAlmostEqual(a, b, delta=1e-5)
        one, two = self.state('one')['model'], self.state('two')['model']
        for name, tensor in one.items():
            self.assertLessEqual((tensor - two[name]).abs().max().item(), 2e-5, name)
        # Adam's memory of gradients tells sums that went wrong by a constant factor.
        one, two = self.state('one')['optimizer']['state'], self.state('two')['optimizer']['state']
        for key, slots in one.items():
            worst = (slots['exp_avg'] - two[key]['exp_avg']).abs().max().item()
            self.assertLessEqual(worst, 1e-5, key)

    def test_fine_tuning_begins_with_the_model(self):
        self.train(*self.arguments, '--steps', 2, output='first')
        model = self.path('first', 'model')
        again = ['--data', self.path('toys'), '--from', model, '--batch', 16, '--warmup', 0, '--workers', 0,
                 '--save-precision', 'fp32', '--freeze', 'text', '--device', 'cpu']
        self.train(*again, '--steps', 1, '--lr', 0, output='second')
        before, after = (checkpoint.read_tensors(self.path(run, 'model')) for run in ('first', 'second'))
        for name, tensor in before.items():
            self.assertTrue(torch.equal(tensor, after[name]), name)
        self.train(*again, '--steps', 2, '--lr', 1e-3, '--loss', 'siglip', output='third')
        third = checkpoint.read_tensors(self.path('third', 'model'))
        for name, tensor in before.items():
            self.assertEqual(name.startswith('text_model.'), torch.equal(tensor, third[name]), name)
        self.assertIn('logit_bias', third)

    def test_errors(self):
        steps = ['--steps', 1]
        self.assertIn('there is nothing that --resume could go on with',
                      self.train(*self.arguments, *steps, '--resume', expected=1))
        self.train(*self.arguments, *steps)
        self.assertIn('holds a run already', self.train(*self.arguments, *steps, expected=1))
        self.assertIn('was made with lr=0.001, not 0.5',
                      self.train(*self.arguments, *steps, '--resume', '--lr', 0.5, expected=1))
        toy_data.write_shards(self.path('toys'), 62)
        self.assertIn('was made with data=', self.train(*self.arguments, *steps, '--resume', expected=1))
        self.assertIn('no finite number; lower --lr', self.train(
            *self.arguments, '--steps', 5, '--lr', 1e30, '--warmup', 0, '--clip-grad', 0, output='wild',
            expected=1))
        self.assertIn('has no vocab.json', self.train(
            *self.arguments, *steps, '--tokenizer', self.folder, output='x', expected=1))
        os.unlink(self.path('run', checkpoint.STATE))
        with open(self.path('run', checkpoint.STATE), 'wb') as f:
            f.write(b'rubbish')
        self.assertIn('state.pt cannot be read', self.train(*self.arguments, *steps, '--resume', expected=1))


class DocumentTest(unittest.TestCase):
    def test_the_commands_are_understood(self):
        count = 0
        for path in ('models/README.md', 'models/training/README.md'):
            with open(os.path.join(SOURCE, path), encoding='utf-8') as f:
                blocks = re.findall(r'^```sh\n(.*?)^```', f.read(), re.M | re.S)
            for line in ''.join(blocks).splitlines():
                command = re.search(r'models/training/(\w+)\.py (.*)', line)
                if command:
                    count += 1
                    module = {m.__name__: m for m in (
                        train, starter_data, sprites, train_starter, evaluate_starter, mix)}[command[1]]
                    module.parse(shlex.split(command[2], comments=True))
        self.assertGreaterEqual(count, 8)

    def test_shapes(self):
        sizes = {}
        for name in train.SHAPES:
            with torch.device('meta'):
                sizes[name] = sum(p.numel() for p in Clip(train.shape_config(name, 'gelu')).parameters())
        self.assertEqual(151277313, sizes['vit-b-32'])  # as OpenAI's
        self.assertEqual(427616513, sizes['vit-l-14'])


class ShortRunTest(WithFolder):
    """200 steps, and what comes of them in `cliptag`."""

    def test_the_loss_falls_and_cliptag_loads_the_model(self):
        toy_data.write_shards(self.path('toys'), 1200)
        self.train('--data', self.path('toys'), *COMMON, '--batch', 48, '--steps', 200, '--lr', 2e-3,
                   '--warmup', 20, '--weight-decay', 0.05, '--soft-targets', '--workers', 0, '--log-every', 1,
                   '--plot', self.path('loss.svg'))
        losses = [loss for _, loss in self.losses()]
        first, last = np.mean(losses[:10]), np.mean(losses[-10:])
        print(f'200 steps: loss {first:.3f} -> {last:.3f}')
        self.assertLess(last, 0.6 * first)
        self.assertTrue(os.path.getsize(self.path('loss.svg')) > 1000)

        model, tokenizer, pixels = checkpoint.load_model(self.path('run', 'model'))
        model.set_pixels(pixels.mean, pixels.std)
        toys = list(toy_data.toys(60, seed=9))  # not trained on
        texts = sorted({text for _, text in toys})
        with torch.no_grad():
            pictures = torch.from_numpy(np.stack([np.asarray(i).transpose(2, 0, 1) for i, _ in toys]))
            expected = {'images': model.encode_images(pictures),
                        'texts': model.encode_texts(*map(torch.tensor, zip(*map(tokenizer.encode, texts))))}
        answers = (expected['images'] @ expected['texts'].T).argmax(1).tolist()
        right = np.mean([texts[a] == text for a, (_, text) in zip(answers, toys)])
        print(f'of {len(toys)} new pictures {right:.0%} find their caption among {len(texts)}')
        self.assertGreater(right, 0.3)  # by chance 2 %

        if not os.path.exists(TOOL):
            self.skipTest(f'there is no {TOOL}: the model was not tried in cliptag')
        files = []
        for i, (image, _) in enumerate(toys):
            files.append(self.path(f'{i}.png'))
            image.save(files[-1])
        words = [word for text in texts for word in ('--text', text)]
        for kind, arguments in (('images', files), ('texts', words)):
            rows = self.path('rows.npy')
            done = subprocess.run([TOOL, 'embed', '--model', self.path('run', 'model'), '--precision', 'fp32',
                                   '--threads', '1', '--output', rows, *arguments],
                                  capture_output=True, text=True, timeout=120)
            self.assertEqual((0, ''), (done.returncode, done.stderr))
            worst = (torch.from_numpy(np.load(rows)) * expected[kind]).sum(-1).min().item()
            print(f'{kind}: worst cosine of cliptag to PyTorch {worst:.6f}')
            self.assertGreaterEqual(worst, 0.9999)


if __name__ == '__main__':
    unittest.main(verbosity=2)
