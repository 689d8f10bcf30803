"""Pictures with captions, in an order that seed and step alone decide.

Sources are tar shards (tar_shards.py) and folders of pictures with a .txt beside each or a captions.csv.
What the run's n-th pair is, how it is cropped and which of its captions is taken follow from the seed and
n, whatever the number of processes and workers; so a run that is resumed goes on as if it had never stopped.
"""
import functools
import hashlib
import io
import json
import os
import sys

import numpy as np
import torch
from PIL import Image

from folders import Folder, lines_of
from tar_shards import samples

TRIES = 16     # neighbours that are tried in place of a picture that cannot be read
COMPLAINTS = 20  # of each process


def note(sentence, told=[0]):
    told[0] += 1
    if told[0] <= COMPLAINTS:
        more = ' (More of this kind goes untold.)' if told[0] == COMPLAINTS else ''
        print(f'data: {sentence}{more}', file=sys.stderr)


def concept_id(text):
    """Captions that say the same have the same id, in every process."""
    digest = hashlib.blake2b(text.strip().lower().encode(), digest_size=8).digest()
    return int.from_bytes(digest, 'big', signed=True)


class Shard:
    """The samples of one tar file: their places, not their contents."""

    def __init__(self, path):
        self.path = path
        rows = []
        for sample in samples(path, note):
            kind, caption = sample.caption()
            rows.append((*sample.picture(), *caption, kind == 'json'))
        self.rows = np.array(rows, dtype=np.int64).reshape(-1, 5)
        self.signature = (os.path.basename(path), len(rows))

    def __len__(self):
        return len(self.rows)

    def read(self, index):
        """(picture file's bytes, captions, what it shows or None)"""
        picture_at, picture_size, text_at, text_size, is_json = self.rows[index].tolist()
        with open(self.path, 'rb') as file:
            file.seek(picture_at)
            picture = file.read(picture_size)
            file.seek(text_at)
            text = file.read(text_size).decode('utf-8', 'replace')
        if not is_json:
            return picture, lines_of(text), None
        fields = json.loads(text)
        captions = fields.get('captions') or fields.get('caption')
        captions = [captions] if isinstance(captions, str) else list(captions or [])
        return picture, captions, fields.get('concept')


def open_sources(paths):
    """Shards and folders of the paths: tar files, directories of tar files, directories of pictures."""
    sources = []
    for path in paths:
        if not os.path.exists(path):
            raise ValueError(f'{path} does not exist; --data names tar shards and folders.')
        if os.path.isfile(path):
            sources.append(Shard(path))
            continue
        shards = sorted(f for f in os.listdir(path) if f.endswith('.tar'))
        sources += [Shard(os.path.join(path, f)) for f in shards] or [Folder(path)]
    if not sum(map(len, sources)):
        raise ValueError(f'No picture with a caption was found in {", ".join(paths)}.')
    return sources


class Pairs(torch.utils.data.Dataset):
    """Reads the pair that an item (epoch, index) names, augmented and tokenized."""

    def __init__(self, sources, tokenizer, size, seed, crop_scale=(0.5, 1.0), flip=False, resample=3):
        self.sources, self.tokenizer, self.size, self.seed = sources, tokenizer, size, seed
        self.crop_scale, self.flip, self.resample = crop_scale, flip, resample
        self.ends = np.cumsum([len(s) for s in sources])

    def __len__(self):
        return int(self.ends[-1])

    def signature(self):
        """Changes when the data do."""
        return hashlib.blake2b(repr([s.signature for s in self.sources]).encode(), digest_size=8).hexdigest()

    def read(self, index):
        source = int(np.searchsorted(self.ends, index, side='right'))
        return self.sources[source].read(index - int(self.ends[source] - len(self.sources[source])))

    def __getitem__(self, item):
        epoch, index = item
        for attempt in range(TRIES):
            at = (index + attempt) % len(self)
            rng = np.random.default_rng([self.seed, epoch, at])
            try:
                data, captions, concept = self.read(at)
                if not captions:
                    raise ValueError('it has no caption')
                with Image.open(io.BytesIO(data)) as image:
                    pixels = self.augment(image.convert('RGB'), rng)
            except Exception as e:  # whatever a decoder makes of a broken file
                note(f'pair {at} cannot be read and its neighbour is taken: {e}.')
                continue
            caption = captions[rng.integers(len(captions))]
            ids, end = self.tokenizer.encode(caption)
            return pixels, ids, end, concept_id(str(concept or caption))
        raise RuntimeError(f'None of {TRIES} pairs from {index} on can be read; see what was said of them.')

    def augment(self, image, rng):
        """A part of the picture, squeezed a little, as bytes (3, size, size)."""
        width, height = image.size
        box = (0, 0, width, height)
        for _ in range(10):
            area = width * height * rng.uniform(*self.crop_scale)
            ratio = np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
            w, h = (area * ratio) ** 0.5, (area / ratio) ** 0.5
            if w <= width and h <= height:
                x, y = rng.uniform(0, width - w), rng.uniform(0, height - h)
                box = (x, y, x + w, y + h)
                break
        image = image.resize((self.size, self.size), self.resample, box=box)
        pixels = np.asarray(image)
        if self.flip and rng.random() < 0.5:
            pixels = pixels[:, ::-1]
        return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def collate(rows):
    pixels, ids, ends, concepts = zip(*rows)
    return {'pixels': torch.from_numpy(np.stack(pixels)), 'ids': torch.tensor(ids),
            'ends': torch.tensor(ends), 'concepts': torch.tensor(concepts, dtype=torch.int64)}


class Schedule:
    """The items of each step from `start` on that one of `world` processes reads. A pair comes once an
    epoch; what is left over of one when no batch can be filled any more is left out of it."""

    def __init__(self, count, batch, seed, start, steps, rank=0, world=1):
        if batch > count:
            raise ValueError(f'A batch of {batch} pairs cannot be made of {count}.')
        if batch % world:
            raise ValueError(f'A batch of {batch} pairs cannot be divided among {world} processes.')
        self.count, self.batch, self.seed, self.start, self.steps = count, batch, seed, start, steps
        self.rank, self.world = rank, world

    @property
    def steps_per_epoch(self):
        return self.count // self.batch

    def __len__(self):
        return self.steps - self.start

    @functools.lru_cache(maxsize=1)
    def order(self, epoch):
        return np.random.default_rng([self.seed, epoch]).permutation(self.count)

    def __iter__(self):
        own = self.batch // self.world
        for step in range(self.start, self.steps):
            epoch, place = divmod(step, self.steps_per_epoch)
            first = place * self.batch + self.rank * own
            yield [(epoch, int(i)) for i in self.order(epoch)[first:first + own]]


def loader(pairs, schedule, workers=0, pin=False):
    return torch.utils.data.DataLoader(pairs, batch_sampler=schedule, num_workers=workers, collate_fn=collate,
                                       pin_memory=pin, prefetch_factor=4 if workers else None)
