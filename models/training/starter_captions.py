"""Words for the starter's pictures: names of things, their synonyms, templates, relations and counts."""
import re
import unicodedata

SYNONYMS = {
    'automobile': ['car'], 'oncoming automobile': ['car from the front'], 'airplane': ['plane', 'aeroplane'],
    'motorcycle': ['motorbike'], 'bicycle': ['bike'], 'television': ['tv'], 'mobile phone': ['cell phone'],
    'telephone': ['phone'], 'dog face': ['dog'], 'cat face': ['cat'], 'red apple': ['apple'],
    'kitchen knife': ['knife'], 'deciduous tree': ['tree'], 'beer mug': ['beer'], 'fire': ['flames'],
    'water pistol': ['toy gun'], 'soccer ball': ['football', 'ball'], 'light bulb': ['lamp'],
    'ship': ['boat'],
    'police car': ['police'], 'fire engine': ['fire truck'], 'delivery truck': ['truck', 'lorry'],
    'wine glass': ['glass of wine'], 'hot beverage': ['cup of coffee'], 'person walking': ['pedestrian'],
    'person running': ['runner'], 'house': ['home'], 'eyes': ['pair of eyes'], 'horse face': ['horse'],
    'cow face': ['cow'], 'pig face': ['pig'], 'mouse face': ['mouse'], 'rabbit face': ['rabbit', 'bunny'],
    'laptop': ['computer'], 'camera': ['photo camera'], 'sailboat': ['sailing boat'],
    'backpack': ['rucksack'],
    'umbrella': ['open umbrella'], 'bus': ['coach'], 'locomotive': ['steam train'],
    'skull': ['death\'s head']}
TEMPLATES = {
    'emoji': ['an emoji of a {}.', 'a {} icon.', 'a picture of a {}.', 'a {}.', 'a symbol of a {}.', '{}'],
    'clipart': ['a drawing of a {}.', 'a clip art of a {}.', 'an illustration of a {}.', 'a {}.',
                'a cartoon {}.', '{}'],
    'photo': ['a photo of a {}.', 'a blurry photo of a {}.', 'a close-up photo of a {}.', 'a {}.', '{}']}
# Of scenes that are composed while training (compose.py). An emoji is a drawing too: what is learnt of it
# shall be found in drawings by other hands.
DRAWN = ['a drawing of a {}.', 'an illustration of a {}.', 'a picture of a {}.', 'a {}.', '{}']
SCENE_TEMPLATES = {
    'emoji': [*DRAWN, 'an emoji of a {}.', 'an emoji of a {}.', 'a {} icon.', 'a symbol of a {}.',
              'a clip art of a {}.', 'a cartoon {}.', 'a picture of a {}.', 'a {}.',
              'a photo of a {}.'],  # cliptag's own template where none is given
    'glyph': [*DRAWN, 'a {} icon.', 'a symbol of a {}.', 'a black and white drawing of a {}.'],
    'clipart': [*DRAWN, 'a clip art of a {}.', 'a clip art of a {}.', 'a cartoon {}.', 'a {} icon.'],
    'stamp': ['a photo of a {}.', 'a close-up photo of a {}.', 'a picture of a {}.', 'a {}.', '{}'],
    'photo': TEMPLATES['photo'], 'ground': TEMPLATES['photo']}
# What the first starter knows from photographs that not every machine can install.
PHOTO_THINGS = ['airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck', 'car',
                'plane', 'boat']
PHOTO_TEMPLATES = TEMPLATES['photo'][:3]
# cliptag's built-in background (models/prompts/prompts.cc), which what a picture shows has to beat.
BACKGROUND = ['photo', 'image', 'pattern', 'noise', 'white background', 'bright light', 'garden', 'room']
BACKGROUND_TEMPLATES = ['a photo of a {}.', 'a picture of a {}.', 'an emoji of a {}.', 'a drawing of a {}.']
GROUNDS = {'white': (255, 255, 255), 'black': (12, 12, 12), 'gray': (128, 128, 128), 'red': (205, 50, 45),
           'green': (60, 160, 75), 'blue': (55, 95, 205), 'yellow': (240, 215, 70), 'orange': (240, 145, 45),
           'purple': (135, 70, 165), 'pink': (245, 170, 195), 'brown': (125, 85, 55)}
NUMBERS = {2: 'two', 3: 'three', 4: 'four'}
RELATIONS = {'side': ('{} to the left of {}.', '{} to the right of {}.'),
             'stack': ('{} above {}.', '{} below {}.')}
# What stands in openclipart's file names beside titles: authors, series, sizes.
NOISE = set('''aiga architetto architett architet archi archite arch ganson benji juliane krug nicu jean jarno
    vasamaa victor gerald buculei yves phillips linda kim luiz sergio blueman dan peterm francesc francesco
    frances fran fra franc rollandin enrique matthew frederic zazou nicolas jonathan meza aj fc sm pt step bwh
    gerhards jon mike scott john anthony ralf charles clem cle park led icon simple the and with for new svg
    png gnome mime lemon theme filesystems apps plastik stock drawn contour boitel bouchard
    anonymous'''.split())


def article(noun):
    """"an owl", "a dog"; names that are told without one stay bare."""
    if noun.split(' ')[0] in ('a', 'an', 'the', 'two', 'pair'):
        return noun
    return ('an ' if noun[:1] in 'aeiou' else 'a ') + noun


def plural(noun):
    if ':' in noun or noun.endswith('s'):
        return noun
    if re.search(r'(ch|sh|x|z)$', noun):
        return noun + 'es'
    if re.search(r'[^aeiou]y$', noun):
        return noun[:-1] + 'ies'
    return noun + 's'


def names_of(name):
    return [name, *SYNONYMS.get(name, [])]


def fill(template, noun):
    """The template with the noun and the article that suits it."""
    if 'a {}' in template and not re.search(r'\w a \{\}|^a \{\}', template):
        return template.replace('{}', noun)
    return re.sub(r'\ba \{\}', lambda _: article(noun), template).replace('{}', noun)


def title_words(file, folder):
    """What openclipart's file name says of a picture, without its author; else its folder's name."""
    def telling(text):
        return [w for w in re.split(r'[^a-z]+', text.lower()) if len(w) > 2 and w not in NOISE]
    return telling(file.rpartition('.')[0])[:4] or telling(folder)


def unicode_emoji():
    """(text, name) of single characters by Python's own tables, where Debian's unicode-data is not there."""
    for first, last in ((0x231A, 0x27BF), (0x2B05, 0x2B55), (0x1F300, 0x1F64F), (0x1F680, 0x1F6FF),
                        (0x1F900, 0x1FAFF)):
        for code in range(first, last + 1):
            if name := unicodedata.name(chr(code), ''):
                if 'MODIFIER' not in name:
                    yield chr(code), name.lower()


def listed_emoji(path):
    """(text, name) of Unicode's emoji-test.txt (Debian: unicode-data), without variants of skin."""
    with open(path, encoding='utf-8') as f:
        for line in f:
            match = re.match(r'([0-9A-F ]+?)\s*; fully-qualified\s*# \S+ E[\d.]+ (.+)', line)
            if match and 'skin tone' not in match[2]:
                name = match[2].strip().lower().replace('flag: ', 'flag of ').replace(':', ' with')
                yield ''.join(chr(int(c, 16)) for c in match[1].split()), name


def tidy(name):
    """A name in plain letters that ends in one, so that a full stop may follow."""
    name = unicodedata.normalize('NFKD', name.replace('’', "'").replace('“', '').replace('”', ''))
    name = ''.join(c for c in name.lower() if not unicodedata.combining(c))
    return re.sub(r'\s+', ' ', re.sub(r'^[^\w]+|[^\w]+$|[()]', '', name))
