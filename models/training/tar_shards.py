"""Finds the files in webdataset-style tar shards, whatever state these are in.

A member that is damaged or cut off costs that member: reading goes on at the next header that can be
found. Shards are plain tar (ustar, GNU or pax names), not compressed; they are indexed once and then read
at random.
"""
import os
from dataclasses import dataclass, field

BLOCK = 512
MAGIC_AT = 257
PICTURES = ('jpg', 'jpeg', 'png', 'webp', 'bmp')


def number(text):
    """A header's number, octal or base 256; None where it is none."""
    if text[:1] and text[0] & 0x80:
        return int.from_bytes(bytes([text[0] & 0x7F]) + text[1:], 'big')
    digits = text.strip(b'\0 ')
    if not digits.isdigit() or b'8' in digits or b'9' in digits:
        return 0 if not digits else None
    return int(digits, 8)


def valid(header):
    if len(header) < BLOCK or not header[148:156].strip(b'\0 '):
        return False
    wanted = number(header[148:156])
    found = sum(header[:148]) + 8 * ord(' ') + sum(header[156:])
    return wanted == found and number(header[124:136]) is not None


def text_of(data):
    return data.split(b'\0', 1)[0].decode('utf-8', 'replace')


def pax_values(data):
    values, at = {}, 0
    while at < len(data):
        length, _, _ = data[at:].partition(b' ')
        if not length.isdigit() or int(length) <= len(length) + 1:
            break
        key, _, value = data[at + len(length) + 1:at + int(length)].rstrip(b'\n').partition(b'=')
        values[key.decode('utf-8', 'replace')] = value.decode('utf-8', 'replace')
        at += int(length)
    return values


def next_header(file, start):
    """The position of the next whole header from `start` on, or None."""
    at, data = start, b''
    while chunk := (file.seek(at + len(data)), file.read(1 << 20))[1]:
        data += chunk
        found = data.find(b'ustar')
        while found >= 0:
            if found >= MAGIC_AT:
                file.seek(at + found - MAGIC_AT)
                if valid(file.read(BLOCK)):
                    return at + found - MAGIC_AT
            found = data.find(b'ustar', found + 1)
        keep = BLOCK
        at, data = at + max(0, len(data) - keep), data[-keep:]
    return None


def members(path, note):
    """(name, offset, size) of the files in a tar; `note` is told in a sentence what had to be left out."""
    end = os.path.getsize(path)
    with open(path, 'rb') as file:
        at, long_name, pax = 0, None, {}
        while at < end:
            file.seek(at)
            header = file.read(BLOCK)
            if header.count(0) == len(header):
                at += BLOCK
                continue
            if not valid(header):
                if at == 0 and header[:2] in (b'\x1f\x8b', b'BZ', b'\x28\xb5', b'\xfd7'):
                    raise ValueError(f'{path} is compressed; shards are plain tar.')
                found = next_header(file, at + 1)
                if found is None:
                    note(f'{path}: no tar header at byte {at} nor later; the rest is left out.')
                    return
                note(f'{path}: no tar header at byte {at}; reading goes on at byte {found}.')
                at, long_name, pax = found, None, {}
                continue
            size, kind = number(header[124:136]), header[156:157]
            if kind in b'0\x007' and 'size' in pax and pax['size'].isdigit():
                size = int(pax['size'])
            data = at + BLOCK
            if data + size > end:
                note(f'{path}: {text_of(header[:100])} is cut off at the end of the file and left out.')
                return
            if kind == b'L':
                long_name = text_of(file.read(size))
            elif kind == b'x':
                pax = pax_values(file.read(size))
            elif kind != b'g':
                prefix = text_of(header[345:500]) if header[MAGIC_AT:MAGIC_AT + 6] == b'ustar\0' else ''
                name = text_of(header[:100])
                name = pax.get('path') or long_name or (f'{prefix}/{name}' if prefix else name)
                if kind in b'0\x007':
                    yield name, data, size
                long_name, pax = None, {}
            at = data + (size + BLOCK - 1) // BLOCK * BLOCK


@dataclass
class Sample:
    """Where a picture and what is said of it lie in a shard: extension -> (offset, size)."""
    name: str
    parts: dict = field(default_factory=dict)

    def picture(self):
        return next((self.parts[e] for e in PICTURES if e in self.parts), None)

    def caption(self):
        return next(((e, self.parts[e]) for e in ('txt', 'json') if e in self.parts), None)


def samples(path, note):
    """The shard's samples: neighbours whose names agree up to the first dot, with picture and caption."""
    def whole(sample):
        if sample and sample.picture() and sample.caption():
            return True
        if sample:
            missing = 'caption' if sample.picture() else 'picture'
            note(f'{path}: {sample.name} has no {missing} and is left out.')
        return False

    current = None
    for name, offset, size in members(path, note):
        folder, base = os.path.split(name)
        stem, _, extension = base.partition('.')
        key = os.path.join(folder, stem)
        if current is None or current.name != key:
            if whole(current):
                yield current
            current = Sample(key)
        current.parts[extension.lower()] = (offset, size)
    if whole(current):
        yield current
