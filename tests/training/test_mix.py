"""models/training/mix.py: weights between those of two models, and what it refuses."""
import torch_python  # first: it may go on in another Python or skip

import contextlib
import io
import os
import tempfile
import unittest

import torch
from safetensors.torch import load_file, save_file

import mix



class MixTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def model(self, name, **tensors):
        path = os.path.join(self.folder, name)
        os.makedirs(path)
        save_file(tensors, os.path.join(path, mix.WEIGHTS))
        with open(os.path.join(path, 'config.json'), 'w', encoding='utf-8') as f:
            f.write(name)
        return path

    def run_mix(self, first, second, share):
        """(exit status or message, output directory)"""
        output = os.path.join(self.folder, 'mixed')
        with contextlib.redirect_stderr(io.StringIO()):
            try:
                mix.main(['--from', first, '--to', second, '--share', str(share), '--output', output])
            except SystemExit as e:
                return e.code, output
        return 0, output

    def test_between(self):
        first = self.model('a', x=torch.tensor([0.0, 4.0]), y=torch.ones(2, 2, dtype=torch.half))
        second = self.model('b', x=torch.tensor([1.0, 0.0]), y=torch.zeros(2, 2, dtype=torch.half))
        code, output = self.run_mix(first, second, 0.75)
        self.assertEqual(code, 0)
        mixed = load_file(os.path.join(output, mix.WEIGHTS))
        self.assertTrue(torch.equal(mixed['x'], torch.tensor([0.75, 1.0])))
        self.assertEqual(mixed['y'].dtype, torch.half)
        self.assertTrue(torch.equal(mixed['y'], torch.full((2, 2), 0.25, dtype=torch.half)))
        with open(os.path.join(output, 'config.json'), encoding='utf-8') as f:
            self.assertEqual(f.read(), 'b')

    def test_refused_by_name(self):
        first = self.model('a', x=torch.zeros(2))
        self.assertIn('"y" is in one', self.run_mix(first, self.model('b', x=torch.zeros(2), y=torch.zeros(1)), 0.5)[0])
        self.assertIn('"x" has shape [2]', self.run_mix(first, self.model('c', x=torch.zeros(3)), 0.5)[0])
        self.assertIn('nowhere', self.run_mix(first, os.path.join(self.folder, 'nowhere'), 0.5)[0])
        self.assertEqual(self.run_mix(first, first, 1.5)[0], 2)
        self.assertFalse(os.path.exists(os.path.join(self.folder, 'mixed')))


if __name__ == '__main__':
    unittest.main()
