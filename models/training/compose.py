"""Composes the starter's pictures where they are trained on: sprites placed on grounds of every kind, alone,
in pairs and in numbers, turned, recoloured and degraded, whole batches at a time.

Everything is drawn from one generator on the device. A batch has the same make-up each time (how many pictures
are single, pairs, of several) and so fixed shapes; the loss does not care about the order within a batch.
"""
import concurrent.futures
import io
import json
import math
import re
import zipfile

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

import starter_captions as words
from phrases import Captions, draw
from sprites import SIDE

CANVAS = 128  # pixels of a sprite's square, SIDE of them for the sprite
REACH = SIDE / CANVAS
SHARES = {'emoji': 0.5, 'clipart': 0.31, 'stamp': 0.09, 'glyph': 0.1}  # of what is drawn, where there are such
# What a name says that mirroring or recolouring would make untrue.
SIDED = re.compile(r'left|right|clock|arrow|flag|button|letter|sign\b|number|symbol|forward|thirty|calendar')
COLOURED = re.compile(r'\b(red|green|blue|yellow|orange|purple|pink|brown|white|black|gr[ae]y|gold\w*|silver|dark'
                      r'|light|flag|circle|square|heart|rainbow|sign|colou?rs?)\b')
HELD_OUT = 16  # of so many pairs of things one is never shown


def decode(data):
    with Image.open(io.BytesIO(data)) as image:
        image = image.convert('RGBA')
    whole = Image.new('RGBA', (CANVAS, CANVAS))
    whole.paste(image, ((CANVAS - image.width) // 2, (CANVAS - image.height) // 2))
    return np.asarray(whole)


def read_sprites(path):
    """(index, bytes (sprites, 4, CANVAS, CANVAS)) of a file that sprites.py wrote."""
    try:
        with zipfile.ZipFile(path) as file:
            index = json.loads(file.read('index.json'))
            data = [file.read(f'{i:05}.webp') for i in range(len(index))]
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as e:
        raise ValueError(f'{path} is no file of sprites.py: {e}.') from e
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        pixels = np.stack(list(pool.map(decode, data)))
    return index, torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()


def premultiplied(pixels):
    """Floats of 0 to 1, colours times opacity, of RGBA bytes."""
    pixels = pixels.float() / 255
    return torch.cat([pixels[:, :3] * pixels[:, 3:], pixels[:, 3:]], 1)


def pool_of(index, kinds):
    """Sprites to draw from evenly, so that the kinds have their shares."""
    members = {k: [i for i, row in enumerate(index) if row['kind'] == k] for k in kinds}
    members = {k: m for k, m in members.items() if m}
    if not members:
        return None
    total = sum(SHARES.get(k, 0.2) for k in members)
    rng, size = np.random.default_rng(0), 1 << 18
    drawn = [np.resize(rng.permutation(m), round(size * SHARES.get(k, 0.2) / total)) for k, m in members.items()]
    return torch.from_numpy(np.concatenate(drawn))


def between(generator, low, high, *shape):
    return low + (high - low) * draw(generator, *shape)


def blur(images, sigma):
    """Gaussian; sigma in pixels, a tensor of one number."""
    at = torch.arange(-4, 5, device=images.device, dtype=images.dtype)
    kernel = torch.exp(-0.5 * (at / sigma) ** 2)
    kernel = (kernel / kernel.sum()).repeat(images.shape[1], 1, 1, 1)
    images = F.conv2d(F.pad(images, (4, 4, 4, 4), mode='replicate'), kernel, groups=images.shape[1])
    return F.conv2d(images, kernel.transpose(2, 3), groups=images.shape[1])


def shrunk(images, side):
    """As if they had been `side` pixels large once."""
    small = F.interpolate(images, size=side, mode='area')
    return F.interpolate(small, size=images.shape[-1], mode='bicubic', align_corners=False).clamp(0, 1)


def recolouring(generator, kept):
    """(batch, 3, 3): turned hues and changed saturation; hardly any of what is to be kept."""
    batch = len(kept)
    free = ~kept
    strong = (draw(generator, batch) < 0.25) & free
    angle = between(generator, -1, 1, batch) * torch.where(strong, math.pi, torch.where(free, 0.12, 0.03))
    saturation = torch.where(free, between(generator, 0.5, 1.4, batch), between(generator, 0.85, 1.15, batch))
    saturation = torch.where((draw(generator, batch) < 0.08) & free, 0.0, saturation)
    cosine, sine = (f(angle)[:, None, None] for f in (torch.cos, torch.sin))
    device = angle.device
    one = torch.eye(3, device=device)
    mean = torch.full((3, 3), 1 / 3, device=device)
    turn = torch.tensor([[0., -1, 1], [1, 0, -1], [-1, 1, 0]], device=device) / math.sqrt(3)
    hue = cosine * (one - mean) + sine * turn
    gain = between(generator, 0.8, 1.15, batch)
    return (mean + saturation[:, None, None] * hue) * gain[:, None, None]


def line_drawing(layer):
    """Dark lines where a layer's brightness changes, white paper between them."""
    light = layer[:, :3].mean(1, keepdim=True) + 1 - layer[:, 3:]
    across = F.pad(light, (0, 1, 0, 0), mode='replicate').diff(dim=3)
    down = F.pad(light, (0, 0, 0, 1), mode='replicate').diff(dim=2)
    ink = ((across.square() + down.square()).sqrt() * 5).clamp(0, 1)
    alpha = torch.maximum(layer[:, 3:], ink)
    return torch.cat([(layer[:, 3:] * (1 - ink)).expand(-1, 3, -1, -1), alpha], 1)


class Composer:
    """Draws batches {pixels (batch, 3, side, side) of 0..1, ids, ends, concepts} of sprites."""

    def __init__(self, index, sprites, tokenizer, device, seed, side=112):
        self.device, self.side = device, side
        self.generator = torch.Generator(device).manual_seed(seed)
        self.captions = Captions(index, tokenizer, device)
        self.large = sprites.to(device)
        small = [F.avg_pool2d(premultiplied(part), 2) for part in self.large.split(256)]
        self.small = (torch.cat(small) * 255).round().to(torch.uint8)  # premultiplied, for small pictures of it
        self.pool = pool_of(index, ('emoji', 'clipart', 'stamp', 'glyph', 'photo')).to(device)
        things = pool_of(index, ('emoji', 'clipart', 'stamp', 'glyph'))
        self.things = self.pool if things is None else things.to(device)
        self.thing = self.things.unique()  # and the rank of each among them, by which pairs are held out
        self.rank = torch.zeros(len(index), dtype=torch.long, device=device)
        self.rank[self.thing] = torch.arange(len(self.thing), device=device)
        photographed = [pool_of(index, kinds) for kinds in (('ground',), ('stamp',))]
        self.cuttings, self.stamps = (None if pool is None else pool.to(device) for pool in photographed)

        def flags(test):
            return torch.tensor([test(row) for row in index], device=device)
        self.sided = flags(lambda row: any(SIDED.search(n) for n in row['names']) or row['kind'] in ('photo', 'ground'))
        self.coloured = flags(lambda row: any(COLOURED.search(n) for n in row['names'] + row['about']))
        self.glyph = flags(lambda row: row['kind'] == 'glyph')
        self.photo = flags(lambda row: row['kind'] in ('photo', 'ground'))
        alpha = sprites[:, 3] > 0
        spread = torch.stack([alpha.any(2).sum(1), alpha.any(1).sum(1)], 1).float() / SIDE
        self.covering = (1.05 / spread.amin(1).clamp(min=0.05)).to(device)  # the size at which a photo fills all
        self.palette = torch.tensor(list(words.GROUNDS.values()), device=device) / 255
        self.white = list(words.GROUNDS).index('white')

    def draw(self, *shape):
        return draw(self.generator, *shape)

    def between(self, low, high, *shape):
        return between(self.generator, low, high, *shape)

    def sample(self, count, pool):
        return pool[(self.draw(count) * len(pool)).long().clamp(max=len(pool) - 1)]

    def place(self, sprites, size, centre, turned=15.0, level='large'):
        """A layer (batch, 4, side, side): each sprite `size` of the picture large about `centre` (-1..1)."""
        batch = len(sprites)
        layer = self.small[sprites].float() / 255 if level == 'small' else premultiplied(self.large[sprites])
        angle = self.between(-1, 1, batch) * (math.pi / 180) * turned
        wide = torch.where(self.draw(batch) < 0.12, 2.5, 1.0)
        angle = angle * torch.where(self.photo[sprites], 0.1, wide)
        stretch = torch.exp(self.between(-0.12, 0.12, batch) * torch.where(self.photo[sprites], 0.1, 1.0))
        mirror = torch.where((self.draw(batch) < 0.4) & ~self.sided[sprites], -1.0, 1.0)
        scale = REACH / size
        cosine, sine = torch.cos(angle) * scale, torch.sin(angle) * scale
        rows = torch.stack([torch.stack([mirror * stretch * cosine, mirror * stretch * sine], 1),
                            torch.stack([-sine / stretch, cosine / stretch], 1)], 1)
        shift = -(rows @ centre[:, :, None])
        grid = F.affine_grid(torch.cat([rows, shift], 2), (batch, 4, self.side, self.side), align_corners=False)
        return F.grid_sample(layer, grid, mode='bilinear', padding_mode='zeros', align_corners=False)

    def paint(self, layer, sprites, ground_light):
        """The layer in other colours; glyphs get an ink that stands out from the ground."""
        matrix = recolouring(self.generator, self.coloured[sprites] | self.photo[sprites])
        colour = torch.einsum('bij,bjhw->bihw', matrix, layer[:, :3])
        ink = self.draw(len(sprites), 3) * torch.where(self.draw(len(sprites), 1) < 0.5, 0.1, 0.45)
        ink = torch.where(ground_light[:, None] < 0.45, 1 - ink, ink) * self.glyph[sprites][:, None]
        colour = colour + ink[:, :, None, None] * layer[:, 3:]
        return torch.cat([torch.minimum(colour.clamp(min=0), layer[:, 3:]), layer[:, 3:]], 1)

    def textures(self, batch):
        """Cloudy patterns, coarse, fine or both."""
        out = 0
        weights = torch.softmax(4 * self.draw(batch, 5), 1)
        colourful = self.draw(batch, 1, 1, 1).square()
        for octave, cells in enumerate((2, 4, 8, 20, 48)):
            cloud = (self.draw(batch, 3, cells, cells) - 0.5) * colourful + self.draw(batch, 1, cells, cells) - 0.5
            cloud = F.interpolate(cloud, size=self.side, mode='bilinear', align_corners=False)
            out = out + weights[:, octave, None, None, None] * cloud
        return out

    def grounds(self, batch):
        """(pictures, the number of a plain ground's colour or -1)"""
        kind = self.draw(batch)
        colour = (self.draw(batch) * len(self.palette)).long()
        colour = torch.where((kind < 0.18), self.white, colour)
        plain, graded, noisy = kind < 0.48, (kind >= 0.48) & (kind < 0.62), (kind >= 0.62) & (kind < 0.72)
        first = (self.palette[colour] + self.between(-0.04, 0.04, batch, 3)).clamp(0, 1)
        first = torch.where((kind < 0.13)[:, None], 1.0, first)  # many drawings stand on pure white
        second = torch.where(graded[:, None], self.draw(batch, 3), first)
        way = self.draw(batch)[:, None, None] * 2 * math.pi
        axis = torch.linspace(-1, 1, self.side, device=self.device)
        slope = ((torch.cos(way) * axis[None, None, :] + torch.sin(way) * axis[None, :, None]) * 0.5 + 0.5)
        slope = slope.clamp(0, 1)[:, None]
        ground = first[:, :, None, None] * slope + second[:, :, None, None] * (1 - slope)
        strength = torch.where(noisy, self.between(0.1, 0.6, batch), 0.0)[:, None, None, None]
        ground = ground + strength * (self.draw(batch, 3, self.side, self.side) - 0.5)
        busy = ~(plain | graded | noisy)
        strength = torch.where(busy, self.between(0.4, 2.0, batch), 0.0)[:, None, None, None]
        ground = ground + strength * self.textures(batch)
        # Some have other things in them, large and out of focus.
        others = max(1, batch // 8)
        things = self.small[self.sample(others, self.things)].float() / 255
        things = F.adaptive_avg_pool2d(things, 16)[:, :, 4:12, 4:12]
        things = F.interpolate(things, size=self.side, mode='bilinear', align_corners=False)
        mask = busy[:others, None, None, None].float() * things[:, 3:]
        ground[:others] = ground[:others] * (1 - mask) + busy[:others, None, None, None] * things[:, :3]
        if self.cuttings is not None:
            part = slice(others, 3 * others)
            ground[part] = torch.where(busy[part, None, None, None], self.photographs(2 * others), ground[part])
        return ground.clamp(0, 1), torch.where(plain, colour, -1)

    def photographs(self, count):
        """Parts of photographs that fill the picture."""
        cuttings = self.sample(count, self.cuttings)
        size = self.covering[cuttings] * torch.exp(self.between(0.05, 0.9, count))
        layer = self.place(cuttings, size, self.between(-0.05, 0.05, count, 2))
        matrix = recolouring(self.generator, self.photo[cuttings])
        return torch.einsum('bij,bjhw->bihw', matrix, layer[:, :3]).clamp(0, 1)

    def degrade(self, pictures):
        """Some blurred, some once smaller, all a little brighter or darker; in place."""
        batch = len(pictures)
        pictures[1::8] = blur(pictures[1::8], self.between(0.4, 1.6, 1))
        pictures[2::8] = shrunk(pictures[2::8], self.side // 2)
        pictures[5::8] = shrunk(pictures[5::8], self.side * 3 // 8)
        pictures[11::16] = shrunk(pictures[11::16], self.side // 4)
        noise = torch.where(self.draw(batch) < 0.2, self.between(0, 0.15, batch), 0.0)[:, None, None, None]
        contrast = self.between(0.8, 1.15, batch)[:, None, None, None]
        light = self.between(-0.06, 0.06, batch)[:, None, None, None]
        pictures = (pictures - 0.5) * contrast + 0.5 + light
        return (pictures + noise * (self.draw(*pictures.shape) - 0.5)).clamp(0, 1)

    def put(self, grounds, layer):
        return grounds * (1 - layer[:, 3:]) + layer[:, :3]

    def alone(self, count, level):
        """Single sprites, the large ones sometimes cut by the picture's edge."""
        sprites = self.sample(count, self.pool)
        grounds, colours = self.grounds(count)
        size = self.between(0.62, 1.12, count) if level == 'large' else self.between(0.34, 0.64, count)
        photo = self.photo[sprites]
        size = torch.where(photo, self.covering[sprites] * self.between(1, 1.3, count), size)
        slack = ((1 - size).abs() + 0.05)[:, None]
        centre = self.between(-1, 1, count, 2) * torch.where(photo[:, None], 0.05, slack)
        layer = self.paint(self.place(sprites, size, centre, level=level), sprites, grounds.mean((1, 2, 3)))
        if level == 'large':
            drawn = count // 8
            lines = line_drawing(layer[:drawn])
            keep = (self.coloured | self.photo)[sprites[:drawn]][:, None, None, None]
            layer[:drawn] = torch.where(keep, layer[:drawn], lines)
        colours = torch.where(photo, -1, colours)
        rows, concepts = self.captions.alone(self.generator, sprites, colours)
        return self.put(grounds, layer), rows, concepts

    def places_of_pair(self, count, stacked):
        near = self.between(0.40, 0.52, count)
        along, other = (self.between(-0.32, 0.32, count) for _ in range(2))
        first = torch.stack([torch.where(stacked, along, -near), torch.where(stacked, -near, along)], 1)
        second = torch.stack([torch.where(stacked, other, near), torch.where(stacked, near, other)], 1)
        return first, second

    def held_out_pairs(self, count):
        """Two things each that pair() never puts together."""
        a, b = self.rank[self.sample(count, self.things)], self.rank[self.sample(count, self.things)]
        b = b - (a + b) % HELD_OUT
        b = torch.where(b < 0, b + HELD_OUT, b).clamp(max=len(self.thing) - 1)
        return self.thing[a], self.thing[b]

    def pair(self, count, sprites=None, stacked=None):
        """Two things; of all combinations one of HELD_OUT is never drawn, in either order."""
        if sprites is None:
            a, b = self.rank[self.sample(count, self.things)], self.rank[self.sample(count, self.things)]
            other = torch.where(b + 1 < len(self.thing), b + 1, b - 1)
            a, b = self.thing[a], self.thing[torch.where((a + b) % HELD_OUT == 0, other, b)]
            stacked = self.draw(count) < 0.5
        else:
            a, b = sprites
        grounds, _ = self.grounds(count)
        pictures, light = grounds, grounds.mean((1, 2, 3))
        for things, centre in zip((a, b), self.places_of_pair(count, stacked)):
            layer = self.place(things, self.between(0.36, 0.52, count), centre, level='small')
            pictures = self.put(pictures, self.paint(layer, things, light))
        rows, concepts = self.captions.pair(self.generator, a, b, stacked)
        return pictures, rows, concepts

    def several(self, count):
        sprites = self.sample(count, self.things)
        counts = (self.draw(count) * 3).long().clamp(max=2)
        pictures, _ = self.grounds(count)
        light = pictures.mean((1, 2, 3))
        cells = torch.tensor([[-0.5, -0.5], [0.5, -0.5], [-0.5, 0.5], [0.5, 0.5]], device=self.device)
        order = self.draw(count, 4).argsort(1)
        for number in range(4):
            centre = cells[order[:, number]] + self.between(-0.08, 0.08, count, 2)
            layer = self.place(sprites, self.between(0.28, 0.46, count), centre, level='small')
            shown = (number < counts + 2).float()[:, None, None, None]
            pictures = self.put(pictures, self.paint(layer, sprites, light) * shown)
        rows, concepts = self.captions.several(self.generator, sprites, counts)
        return pictures, rows, concepts

    @torch.no_grad()
    def batch(self, size):
        pairs, many, small = size * 22 // 100, size // 10, size * 18 // 100
        parts = [self.alone(size - pairs - many - small, 'large'), self.alone(small, 'small'), self.pair(pairs),
                 self.several(many)]
        pictures, rows, concepts = (torch.cat(column) for column in zip(*parts))
        ids, ends = self.captions.table.join(rows)
        return {'pixels': self.degrade(pictures), 'ids': ids, 'ends': ends, 'concepts': concepts}

    @torch.no_grad()
    def coarse(self, pictures):
        """The same as if they had been 32 pixels large once; every third gives way to a photograph, every third
        to a photographed thing before one, where there are such, and some shine through each other."""
        pictures = pictures.clone()
        if self.cuttings is not None:
            pictures[::3] = self.photographs(len(pictures[::3]))
        if self.cuttings is not None and self.stamps is not None:
            things = self.sample(len(pictures[1::3]), self.stamps)
            size = self.between(0.7, 1.3, len(things))
            layer = self.place(things, size, self.between(-0.3, 0.3, len(things), 2))
            pictures[1::3] = self.put(self.photographs(len(things)), layer)
        share = self.between(0, 0.5, len(pictures)) * (self.draw(len(pictures)) < 0.3)
        return shrunk(torch.lerp(pictures, pictures.roll(1, 0), share[:, None, None, None]), 32)
