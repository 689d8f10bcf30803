"""Captions as rows of tokens that are put together where the pictures are, on the GPU too.

A caption is five phrases in a row ("a drawing of", "an owl", ", bird", "", "."). Each phrase is tokenized once;
as CLIP's tokens never cross a space or the border of a word and a full stop, the tokens of the phrases one
after the other are those of the whole caption.
"""
import torch

import starter_captions as words

PHRASES = 5
ARTICLE, BARE, PLURAL = range(3)  # what a template does to the noun


def draw(generator, *shape):
    """Numbers of 0 to 1 on the generator's device."""
    return torch.rand(*shape, generator=generator, device=generator.device)


def choose(generator, first, count):
    """For each row one of its `count` numbers from `first` on."""
    return first + (draw(generator, *count.shape) * count).long().clamp(max=count - 1)


class Table:
    """Phrases and their tokens; row 0 is the empty one."""

    def __init__(self, tokenizer):
        self.tokenizer, self.rows, self.tokens = tokenizer, {}, []
        self.add('')

    def add(self, text):
        if text not in self.rows:
            self.rows[text] = len(self.tokens)
            tokenizer = self.tokenizer
            self.tokens.append([i for word in tokenizer.split(text) for i in tokenizer.word(word)])
        return self.rows[text]

    def to(self, device):
        longest = max(map(len, self.tokens))
        ids = torch.zeros(len(self.tokens), longest, dtype=torch.long)
        for row, tokens in enumerate(self.tokens):
            ids[row, :len(tokens)] = torch.tensor(tokens, dtype=torch.long)
        self.ids = ids.to(device)
        self.lengths = torch.tensor([len(t) for t in self.tokens], device=device)

    def join(self, rows):
        """(token ids, places of the end tokens) of rows (batch, phrases), as Tokenizer.encode makes them."""
        context = self.tokenizer.context
        batch, longest = len(rows), self.ids.shape[1]
        out = torch.zeros(batch, context + 1, dtype=torch.long, device=rows.device)  # what is too long goes last
        out[:, 0] = self.tokenizer.bos_id
        at = torch.ones(batch, dtype=torch.long, device=rows.device)
        step = torch.arange(longest, device=rows.device)
        for phrase in rows.unbind(1):
            length = self.lengths[phrase]
            place = at[:, None] + step
            place = torch.where((step < length[:, None]) & (place < context - 1), place, context)
            out.scatter_(1, place, self.ids[phrase])
            at = at + length
        end = at.clamp(max=context - 1)
        out.scatter_(1, end[:, None], self.tokenizer.eos_id)
        return out[:, :context], end


def parts(template):
    """(what stands before the noun, form of the noun, what stands after)"""
    if template.startswith('{}') or 'cartoon {}' in template:
        before, after = template.split('{}')
        return before.strip(), BARE, after.strip()
    before, after = template.split('a {}')
    return before.strip(), ARTICLE, after.strip()


class Captions:
    """What can be said of sprites that stand alone, in pairs and in numbers.

    index: for each sprite its kind, its names and words about it (sprites.py).
    """

    def __init__(self, index, tokenizer, device):
        self.table = Table(tokenizer)
        self.device = device
        add = self.table.add
        names, first, count, about, templates = [], [], [], [], {}
        self.texts = {}  # a name's number
        for row in index:
            first.append(len(names))
            count.append(len(row['names']))
            for name in row['names']:
                forms = (words.article(name), name, words.plural(name))
                names.append([*map(add, forms), self.texts.setdefault(name, len(self.texts))])
            about.append(add(', ' + ', '.join(row['about']) if row['about'] else ''))
        self.templates = []
        for kind in words.SCENE_TEMPLATES:
            templates[kind] = (len(self.templates), len(words.SCENE_TEMPLATES[kind]))
            for template in words.SCENE_TEMPLATES[kind]:
                before, form, after = parts(template)
                self.templates.append((add(before), form, add(after)))
        grounds = [add(f'on {words.article(c)} background.') for c in words.GROUNDS]
        relations = [[[add(t.replace('{}', '').replace('.', '').strip()) for t in words.RELATIONS[way]]]
                     for way in words.RELATIONS]
        # Captions longer than three words are told as they are.
        whole = [row['kind'] == 'photo' and len(row['names'][0].split()) > 3 for row in index]
        tensors = {
            'names': names, 'first': first, 'count': count, 'about': about, 'templates_': self.templates,
            'kind_first': [templates[row['kind']][0] for row in index],
            'kind_count': [templates[row['kind']][1] for row in index], 'grounds': grounds,
            'relations': relations, 'whole': whole, 'numbers': [add(words.NUMBERS[n]) for n in (2, 3, 4)],
            'numbered': [add('a picture of ' + words.NUMBERS[n]) for n in (2, 3, 4)]}
        for name, values in tensors.items():
            setattr(self, name, torch.tensor(values, device=device))
        self.stop, self.both = add('.'), add('and')
        self.table.to(device)

    def name(self, generator, sprites):
        """For each sprite one of its names: (batch, 4), a row for each form and the name's number."""
        return self.names[choose(generator, self.first[sprites], self.count[sprites])]

    def rows(self, *columns):
        return torch.stack(torch.broadcast_tensors(*(torch.as_tensor(c, device=self.device) for c in columns)), 1)

    def alone(self, generator, sprites, colours):
        """(phrases, concepts) of single sprites; colours: of plain grounds, -1 where there is none."""
        names = self.name(generator, sprites)
        template = self.templates_[choose(generator, self.kind_first[sprites], self.kind_count[sprites])]
        before, form, after = template.unbind(1)
        way = draw(generator, len(sprites))
        of_ground = (way < 0.25) & (colours >= 0)
        listed = (way > 0.88) & (self.about[sprites] > 0)
        whole = self.whole[sprites]
        special = of_ground | listed | whole
        before = torch.where(special, 0, before)
        form = torch.where(of_ground, ARTICLE, torch.where(special, BARE, form))
        after = torch.where(of_ground, self.grounds[colours.clamp(min=0)], after)
        after = torch.where(listed & ~of_ground, self.stop, torch.where(whole, 0, after))
        middle = torch.where(listed & ~of_ground & ~whole, self.about[sprites], 0)
        noun = names.gather(1, form[:, None])[:, 0]
        return self.rows(before, noun, middle, 0, after), names[:, 3]

    def pair(self, generator, first, second, stacked):
        """first is left of second or, where `stacked`, above it."""
        a, b = self.name(generator, first), self.name(generator, second)
        way = (draw(generator, len(first)) * 4).long()  # forward, backward, and the two with "and"
        relation = self.relations[stacked.long(), 0].gather(1, (way % 2)[:, None])[:, 0]
        relation = torch.where(way < 2, relation, self.both)
        swapped = way % 2 == 1
        count = len(self.texts)
        concepts = count + (stacked.long() * count + a[:, 3]) * count + b[:, 3]
        nouns = torch.where(swapped, b[:, 0], a[:, 0]), torch.where(swapped, a[:, 0], b[:, 0])
        return self.rows(0, nouns[0], relation, nouns[1], self.stop), concepts

    def several(self, generator, sprites, counts):
        """counts: 0 to 2 for two to four of them."""
        names = self.name(generator, sprites)
        long = draw(generator, len(sprites)) < 0.3
        before = torch.where(long, self.numbered[counts], self.numbers[counts])
        count = len(self.texts)
        return (self.rows(before, names[:, PLURAL], 0, 0, self.stop),
                count + (2 * count + counts) * count + names[:, 3])
