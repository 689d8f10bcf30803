"""models/training: the losses beside open_clip's, accumulation beside the whole batch, tokenizer and weights
beside what the references gave."""
import torch_python  # first: it may go on in another Python or skip

import importlib.util
import json
import os
import random
import struct
import tempfile
import unittest

import numpy as np
import torch
from torch.nn import functional as F

import checkpoint
import loss as losses
import tokenizer as tokenizers
from accumulate import backward
from model import Clip, ModelConfig, Tower, freeze, parameter_groups

SOURCE = torch_python.SOURCE
DATA = os.path.join(SOURCE, 'tests', 'data', 'models')
OPEN_CLIP = importlib.util.find_spec('open_clip') is not None
torch.set_num_threads(1)


def embeddings(count=24, dim=16, seed=0):
    generator = torch.Generator().manual_seed(seed)
    rows = [F.normalize(torch.randn(count, dim, generator=generator), dim=-1) for _ in range(2)]
    return [r.requires_grad_() for r in rows]


def gradients(loss, *of):
    return torch.autograd.grad(loss, of)


class LossTest(unittest.TestCase):
    def close(self, expected, found, bound=1e-5):
        for a, b in zip(expected, found):
            worst = (a - b).abs().max().item()
            self.assertLessEqual(worst, bound)

    @unittest.skipUnless(OPEN_CLIP, 'open_clip is not installed (pip install open_clip_torch)')
    def test_clip_loss_is_open_clips(self):
        from open_clip.loss import ClipLoss
        for log_scale in (0.0, 2.6592, 4.6052):
            images, texts = embeddings()
            scale = torch.tensor(log_scale, requires_grad=True)
            expected = ClipLoss()(images, texts, scale.exp())
            found = losses.clip_loss(images, texts, scale)
            self.close([expected], [found])
            self.close(gradients(expected, images, texts, scale), gradients(found, images, texts, scale))

    @unittest.skipUnless(OPEN_CLIP, 'open_clip is not installed (pip install open_clip_torch)')
    def test_siglip_loss_is_open_clips(self):
        from open_clip.loss import SigLipLoss
        images, texts = embeddings()
        scale = torch.tensor(2.3, requires_grad=True)
        bias = torch.tensor(-10.0, requires_grad=True)
        expected = SigLipLoss()(images, texts, scale.exp(), bias)
        found = losses.siglip_loss(images, texts, scale, bias)
        self.close([expected], [found])
        of = (images, texts, scale, bias)
        self.close(gradients(expected, *of), gradients(found, *of))

    def test_by_the_formula(self):
        # Two pairs worked out by hand: logits [[2, 0], [0, 1]] of scale 2.
        images = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
        texts = torch.tensor([[1.0, 0.0], [0.0, 0.5]])  # not unit length: the loss does not ask
        found = losses.clip_loss(images, texts, torch.tensor(2.0).log())
        e = np.exp
        rows = -np.log(e(2) / (e(2) + 1)) - np.log(e(1) / (e(1) + 1))  # symmetric here
        self.assertAlmostEqual(rows / 2, found.item(), places=6)

    def test_pairs_of_one_concept_share_the_target(self):
        images, texts = embeddings(6)
        concepts = torch.tensor([7, 8, 7, 9, 7, 8])
        logits = 5.0 * images.double() @ texts.double().T
        right = (concepts[:, None] == concepts[None]).double()
        right /= right.sum(1, keepdim=True)
        expected = -(right * logits.log_softmax(1) + right * logits.T.log_softmax(1)).sum() / 12
        found = losses.clip_loss(images, texts, torch.tensor(5.0).log(), concepts)
        self.close([expected], [found])
        alone = torch.arange(6)
        self.close([losses.clip_loss(images, texts, torch.tensor(1.0))],
                   [losses.clip_loss(images, texts, torch.tensor(1.0), alone)])
        hard = losses.clip_loss(images, texts, torch.tensor(5.0).log())
        self.assertGreater((found - hard).abs().item(), 1e-3)


def toy_model(bias=False, seed=3):
    torch.manual_seed(seed)
    return Clip(ModelConfig(vision=Tower(32, 2, 2, 64), text=Tower(32, 2, 2, 64, 'gelu'), image_size=16,
                            patch_size=8, context=8, vocab_size=50, dim=16, bias=bias))


def toy_batch(count=14, seed=5):
    generator = torch.Generator().manual_seed(seed)
    return {'pixels': torch.randint(0, 256, (count, 3, 16, 16), generator=generator, dtype=torch.uint8),
            'ids': torch.randint(0, 50, (count, 8), generator=generator),
            'ends': torch.randint(1, 8, (count,), generator=generator),
            'concepts': torch.randint(0, 6, (count,), generator=generator)}


class AccumulateTest(unittest.TestCase):
    def run_both(self, micro_batch, kind='clip', frozen=(), soft=False):
        results = []
        for size in (0, micro_batch):
            model = toy_model(kind == 'siglip')
            freeze(model, frozen)
            loss = backward(model, toy_batch(), kind, size, soft)
            results.append((loss, {n: p.grad for n, p in model.named_parameters()}))
        return results

    def check(self, *args, **kwargs):
        (loss, whole), (cached_loss, cached) = self.run_both(*args, **kwargs)
        self.assertLessEqual((loss - cached_loss).abs().item(), 1e-6)
        largest = max(g.abs().max().item() for g in whole.values() if g is not None)
        self.assertGreater(largest, 1e-3)
        for name, gradient in whole.items():
            if gradient is None:
                self.assertIsNone(cached[name], name)
            else:
                worst = (gradient - cached[name]).abs().max().item()
                self.assertLessEqual(worst, 2e-6 * max(1, largest), name)
        return whole

    def test_equals_the_whole_batch(self):
        for size in (1, 4, 13):  # 14 pairs: the last part is smaller
            with self.subTest(size=size):
                self.check(size)

    def test_siglip_and_soft_targets(self):
        whole = self.check(4, 'siglip')
        self.assertNotEqual(0, whole['logit_bias'].item())
        self.check(4, 'siglip', soft=True)
        self.check(5, soft=True)

    def test_a_frozen_tower_stays(self):
        whole = self.check(4, frozen=['vision'])
        self.assertIsNone(whole['vision_model.post_layernorm.weight'])
        self.assertIsNotNone(whole['visual_projection.weight'])
        self.check(4, frozen=['vision', 'text'])

    def test_parts_alone_are_something_else(self):
        # What the caching is for: gradients of parts, averaged, are not the batch's.
        model, batch = toy_model(), toy_batch()
        backward(model, batch)
        whole = model.visual_projection.weight.grad.clone()
        model.zero_grad()
        for i in (0, 7):
            backward(model, {k: v[i:i + 7] for k, v in batch.items()})
        self.assertGreater((whole - model.visual_projection.weight.grad / 2).abs().max().item(), 1e-3)

    def test_the_temperature_is_clamped(self):
        model = toy_model()
        with torch.no_grad():
            model.logit_scale.fill_(9.0)
        model.clamp_scale()
        self.assertAlmostEqual(100.0, model.logit_scale.exp().item(), places=3)

    def test_what_is_decayed(self):
        model = toy_model(bias=True)
        decayed, free = parameter_groups(model, 0.2)
        names = {id(p): n for n, p in model.named_parameters()}
        self.assertEqual((0.2, 0.0), (decayed['weight_decay'], free['weight_decay']))
        self.assertEqual(len(names), len(decayed['params']) + len(free['params']))
        for p in decayed['params']:
            self.assertRegex(names[id(p)],
                             r'(proj|projection|fc1|fc2|patch_embedding|token_embedding)\.weight$')


def public_tokenizer():
    """CLIP's whole vocabulary, from the table that is built into cliptag: pairs of ids."""
    with open(os.path.join(SOURCE, 'models', 'vocab', 'clip_merges.bin'), 'rb') as f:
        data = f.read()
    ids = struct.unpack(f'<{len(data) // 2}H', data)
    symbols = list(tokenizers.byte_symbols().values())
    tokens = symbols + [s + '</w>' for s in symbols]
    merges = []
    for pair in zip(ids[::2], ids[1::2]):
        merges.append(tuple(tokens[i] for i in pair))
        tokens.append(''.join(merges[-1]))
    vocab = tokenizers.first_merges(merges, len(merges))
    # Named as open_clip names them, so that texts which spell them out compare.
    names = {tokenizers.BOS: '<start_of_text>', tokenizers.EOS: '<end_of_text>'}
    return tokenizers.Tokenizer({names.get(t, t): i for t, i in vocab.items()}, merges, 77, *names.values())


class TokenizerTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.public = public_tokenizer()

    def test_vocabulary(self):
        self.assertEqual((49406, 49407), (self.public.bos_id, self.public.eos_id))

    def test_cleaning_as_cliptags(self):
        count = 0
        with open(os.path.join(DATA, 'cleaning.jsonl'), encoding='utf-8') as f:
            for row in map(json.loads, f):
                if row['clean'] == 'lower':
                    count += 1
                    ids, end = self.public.encode(row['text'])
                    self.assertEqual(row['ids'], ids[1:end], row['text'])
        self.assertGreater(count, 20)

    def test_goldens(self):
        with open(os.path.join(DATA, 'tokenizer.jsonl'), encoding='utf-8') as f:
            rows = [json.loads(line) for line in f]
        self.assertGreater(len(rows), 20)
        for row in rows:
            ids = row['ids'] + [0] * (77 - len(row['ids']))
            self.assertEqual(ids, self.public.encode(row['text'])[0], row['text'])

    @unittest.skipUnless(OPEN_CLIP, 'open_clip is not installed (pip install open_clip_torch)')
    def test_random_texts_as_open_clip(self):
        from open_clip.tokenizer import SimpleTokenizer
        reference = SimpleTokenizer()
        rng = random.Random(11)
        pieces = ['dog', "it's", 'DON\'T', ' ', '12', '½', 'naïve', 'é', '東京', '🦊', '&lt;', '<', '\n',
                  '-',
                  '...', '</w>', 'ſt', '٣', '’s', 'a' * 90, '<|endoftext|>', '<end_of_text>']
        for _ in range(300):
            text = ''.join(rng.choice(pieces) for _ in range(rng.randrange(12)))
            self.assertEqual(reference([text])[0].tolist(), self.public.encode(text)[0], repr(text))

    def test_first_merges(self):
        starter = tokenizers.read(os.path.join(SOURCE, 'models', 'starter'), 24)
        small = tokenizers.read(os.path.join(SOURCE, 'models', 'starter'), 24, 300)
        self.assertEqual(self.public.merges[:8000], starter.merges)
        self.assertEqual((8514, 814), (len(starter.vocab), len(small.vocab)))
        self.assertEqual(starter.vocab, tokenizers.first_merges(self.public.merges, 8000))
        self.assertEqual(starter.bos_id, small.bos_id + 7700)
        ids, end = small.encode('a photo of a helicopter')
        self.assertEqual((812, 813), (ids[0], ids[end]))
        ids, end = starter.encode('word ' * 40)  # cut, and still ended
        self.assertEqual((24, 23, 8513), (len(ids), end, ids[-1]))

    def test_errors(self):
        with tempfile.TemporaryDirectory(prefix='cliptag-test.') as folder:
            with self.assertRaisesRegex(ValueError, 'has no vocab.json'):
                tokenizers.read(folder, 8)
            self.public.save(folder)
            again = tokenizers.read(folder, 8)
            self.assertEqual((self.public.merges, '<end_of_text>'), (again.merges, again.eos))
            with self.assertRaisesRegex(ValueError, 'fewer than the 60000'):
                tokenizers.read(folder, 8, 60000)
            with open(os.path.join(folder, 'merges.txt'), 'a', encoding='utf-8') as f:
                f.write('one\n')
            with self.assertRaisesRegex(ValueError, 'two tokens with a space between them, not "one"'):
                tokenizers.read(folder, 8)
        with self.assertRaisesRegex(ValueError, 'lacks the token "a</w>"'):
            tokenizers.Tokenizer({tokenizers.BOS: 0, tokenizers.EOS: 1}, [], 8)
        with self.assertRaisesRegex(ValueError, 'context of 1'):
            tokenizers.Tokenizer(self.public.vocab, [], 1, self.public.bos, self.public.eos)


class WeightsTest(unittest.TestCase):
    """tests/data/models/hf: transformers' answers for a tiny model with random weights."""

    def test_loads_and_answers_as_transformers(self):
        for name in ('hf', 'hf-legacy-gelu-sharded-bf16'):
            with self.subTest(model=name):
                folder = os.path.join(DATA, name)
                model, tokenizer, pixels = checkpoint.load_model(folder)
                model.set_pixels(pixels.mean, pixels.std)
                pictures = torch.from_numpy(np.load(os.path.join(DATA, 'pictures-32.npy'))).permute(0, 3, 1, 2)
                with open(os.path.join(DATA, 'texts.json'), encoding='utf-8') as f:
                    ids, ends = map(torch.tensor, zip(*map(tokenizer.encode, json.load(f))))
                with torch.no_grad():
                    found = {'images': model.encode_images(pictures), 'texts': model.encode_texts(ids, ends)}
                for kind, rows in found.items():
                    expected = torch.from_numpy(np.load(os.path.join(folder, f'{kind}.npy'))).float()
                    expected = F.normalize(expected)
                    self.assertGreater((rows * expected).sum(-1).min().item(), 0.99999, kind)

    def test_saved_and_read_back(self):
        model, tokenizer, pixels = checkpoint.load_model(os.path.join(DATA, 'hf'), bias=True)
        with tempfile.TemporaryDirectory(prefix='cliptag-test.') as folder:
            output = os.path.join(folder, 'model')
            for _ in range(2):  # the second time over the first
                checkpoint.save_model(output, model, tokenizer, pixels, torch.float32)
            self.assertEqual(['model'], os.listdir(folder))
            self.assertEqual(0o644, os.stat(os.path.join(output, 'model.safetensors')).st_mode & 0o777)
            again, same, same_pixels = checkpoint.load_model(output)
            self.assertEqual(model.config, again.config)
            self.assertEqual((tokenizer.vocab, pixels), (same.vocab, same_pixels))
            for name, tensor in model.state_dict().items():
                self.assertTrue(torch.equal(tensor, again.state_dict()[name]), name)
            model.logit_scale.data.fill_(float('nan'))
            with self.assertRaisesRegex(ValueError, 'logit_scale holds numbers that are not finite'):
                checkpoint.save_model(output, model, tokenizer, pixels)
            checkpoint.load_model(output)  # still whole

    def test_errors(self):
        for change, sentence in (
                (lambda c: c['vision_config'].update(hidden_size=96), r'is \(\d+.*config.json wants'),
                (lambda c: c['text_config'].update(num_hidden_layers=9), 'the weights lack the tensor text'),
                (lambda c: c['text_config'].update(num_hidden_layers=1), 'have in excess the tensor text'),
                (lambda c: c['text_config'].update(hidden_act='relu'), 'hidden_act is "relu"'),
                (lambda c: c['vision_config'].update(num_attention_heads=7), 'divided among 7 heads'),
                (lambda c: c['vision_config'].update(patch_size=9), 'patches of 9 do not fill'),
                (lambda c: c.update(model_type='bert'), 'model_type is "bert"')):
            with tempfile.TemporaryDirectory(prefix='cliptag-test.') as folder:
                for file in os.listdir(os.path.join(DATA, 'hf')):
                    os.symlink(os.path.abspath(os.path.join(DATA, 'hf', file)), os.path.join(folder, file))
                path = os.path.join(folder, 'config.json')
                config = checkpoint.read_json(path)
                change(config)
                os.unlink(path)
                with open(path, 'w', encoding='utf-8') as f:
                    json.dump(config, f)
                with self.assertRaisesRegex(ValueError, sentence):
                    checkpoint.load_model(folder)
        with self.assertRaisesRegex(ValueError, 'config.json cannot be read: No such file'):
            checkpoint.load_model('/nowhere')


if __name__ == '__main__':
    unittest.main(verbosity=2)
