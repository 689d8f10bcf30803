"""Folders of pictures with captions."""
import csv
import hashlib
import os

from tar_shards import PICTURES


class Folder:
    """Pictures under a directory, each with a .txt of the same name (a caption a line), or listed in its
    captions.csv (columns file, caption and, if wanted, concept; a row for each caption)."""

    def __init__(self, path):
        table = os.path.join(path, 'captions.csv')
        self.rows = read_table(table) if os.path.exists(table) else beside(path)
        self.path = path
        if not self.rows:
            raise ValueError(f'{path} has no picture with a caption: put a .txt beside each picture, or a '
                             'captions.csv with the columns file and caption.')
        listed = hashlib.blake2b(repr(self.rows).encode(), digest_size=8).hexdigest()
        self.signature = (listed, len(self.rows))

    def __len__(self):
        return len(self.rows)

    def read(self, index):
        file, captions, concept = self.rows[index]
        with open(os.path.join(self.path, file), 'rb') as f:
            return f.read(), captions, concept


def lines_of(text):
    return [line.strip() for line in text.splitlines() if line.strip()]


def is_picture(name):
    return name.rpartition('.')[2].lower() in PICTURES


def beside(path):
    rows = []
    for folder, names, files in os.walk(path):
        names.sort()
        for name in sorted(filter(is_picture, files)):
            text = os.path.join(folder, name.rpartition('.')[0] + '.txt')
            if os.path.exists(text):
                with open(text, encoding='utf-8', errors='replace') as f:
                    if captions := lines_of(f.read()):
                        rows.append((os.path.relpath(os.path.join(folder, name), path), captions, None))
    return rows


def read_table(path):
    found = {}
    with open(path, encoding='utf-8-sig', newline='') as f:
        reader = csv.DictReader(f)
        if not {'file', 'caption'} <= set(reader.fieldnames or []):
            raise ValueError(f'{path} needs the columns file and caption; it has {reader.fieldnames}.')
        for row in reader:
            if not row['file'] or not (row['caption'] or '').strip():
                raise ValueError(f'{path}:{reader.line_num}: a row needs a file and a caption.')
            captions, _ = found.setdefault(row['file'], ([], row.get('concept') or None))
            captions.append(row['caption'].strip())
    return [(file, captions, concept) for file, (captions, concept) in found.items()]
