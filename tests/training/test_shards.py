"""The tar reader of models/training, on whole shards and on broken ones; and the loss plot. Needs nothing
but Python."""
import io
import json
import os
import sys
import tarfile
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree

SOURCE = os.environ.get('CLIPTAG_SOURCE_ROOT', os.path.join(os.path.dirname(__file__), '..', '..'))
sys.path.insert(0, os.path.join(SOURCE, 'models', 'training'))

import plot  # noqa: E402
import tar_shards  # noqa: E402

BLOCK = 512


def tar_of(files, form=tarfile.GNU_FORMAT):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode='w', format=form) as tar:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def pairs(count, size=700):
    for i in range(count):
        yield f'{i:03}.jpg', bytes([i]) * size
        yield f'{i:03}.txt', f'caption {i}'.encode()


class TarTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix='cliptag-test.')
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, 'shard.tar')

    def read(self, data):
        """(captions by sample, what was noted); every picture's bytes are checked."""
        with open(self.path, 'wb') as f:
            f.write(data)
        notes, found = [], {}
        for sample in tar_shards.samples(self.path, notes.append):
            offset, size = sample.picture()
            picture = data[offset:offset + size]
            self.assertEqual(picture[:1] * size, picture, sample.name)
            kind, (offset, size) = sample.caption()
            found[sample.name] = data[offset:offset + size].decode()
        return found, notes

    def expect(self, data, *numbers):
        found, notes = self.read(data)
        self.assertEqual({f'{i:03}': f'caption {i}' for i in numbers}, found)
        return notes

    def test_a_whole_shard(self):
        for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT):
            self.assertEqual([], self.expect(tar_of(pairs(5), form), 0, 1, 2, 3, 4))

    def test_the_same_as_tarfile(self):
        data = tar_of([('a/b/c.tar.x', b'1'), ('d' * 90 + '/' + 'e' * 60, b'23'), ('é.txt', b'')])
        with open(self.path, 'wb') as f:
            f.write(data)
        with tarfile.open(self.path) as tar:
            expected = [(m.name, m.offset_data, m.size) for m in tar]
        self.assertEqual(expected, list(tar_shards.members(self.path, self.fail)))

    def test_long_names(self):
        name = 'x' * 150 + '/' + 'y' * 120
        for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
            found, notes = self.read(tar_of([(name + '.png', b'aa'), (name + '.txt', b'long')], form))
            self.assertEqual(({name: 'long'}, []), (found, notes))

    def test_directories_and_links_are_passed_over(self):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode='w') as tar:
            for kind in (tarfile.DIRTYPE, tarfile.SYMTYPE):
                info = tarfile.TarInfo('000.txt')
                info.type = kind
                tar.addfile(info)
        self.assertEqual(({}, []), self.read(buffer.getvalue()))

    def test_tars_put_together(self):
        first, second = tar_of(pairs(1)), tar_of([('001.png', b'bb'), ('001.json', b'{}')])
        self.assertEqual({'000': 'caption 0', '001': '{}'}, self.read(first + second)[0])

    def test_cut_off(self):
        data = tar_of(pairs(3))
        last = data.index(b'002.jpg') + BLOCK + 300  # in the middle of the last picture
        notes = self.expect(data[:last], 0, 1)
        self.assertEqual([f'{self.path}: 002.jpg is cut off at the end of the file and left out.'], notes)

    def test_a_damaged_header_costs_its_sample(self):
        data = bytearray(tar_of(pairs(4)))
        at = data.index(b'001.jpg')
        data[at + 130] ^= 0x41
        notes = self.expect(bytes(data), 0, 2, 3)
        self.assertEqual(2, len(notes), notes)  # the header, and a caption without its picture
        self.assertIn(f'no tar header at byte {at}; reading goes on at byte {data.index(b"001.txt")}',
                      notes[0])
        self.assertIn('001 has no picture', notes[1])

    def test_lost_bytes_shift_what_follows(self):
        data = tar_of(pairs(4))
        hole = data.index(b'001.jpg') + BLOCK + 100
        notes = self.expect(data[:hole] + data[hole + 333:], 0, 2, 3)
        self.assertIn('no tar header', notes[0])

    def test_overwritten_by_zeros(self):
        data = bytearray(tar_of(pairs(4)))
        start, end = data.index(b'001.jpg'), data.index(b'002.jpg')
        data[start:end] = bytes(end - start)
        self.assertEqual([], self.expect(bytes(data), 0, 2, 3))

    def test_the_end_is_rubbish(self):
        data = tar_of(pairs(2)).rstrip(b'\0')
        data += bytes(-len(data) % BLOCK)
        notes = self.expect(data + b'\x55' * 3000, 0, 1)
        self.assertEqual([f'{self.path}: no tar header at byte {len(data)} nor later; the rest is left out.'],
                         notes)

    def test_no_tar_at_all(self):
        found, notes = self.read(b'not a tar' * 1000)
        self.assertEqual({}, found)
        self.assertEqual(1, len(notes))
        self.assertEqual(({}, []), self.read(b''))

    def test_compressed(self):
        with self.assertRaisesRegex(ValueError, 'is compressed; shards are plain tar'):
            self.read(b'\x1f\x8b' + bytes(600))

    def test_caption_missing(self):
        found, notes = self.read(tar_of([('a.jpg', b'zz'), ('b.jpg', b'zz'), ('b.txt', b'b')]))
        self.assertEqual({'b': 'b'}, found)
        self.assertEqual([f'{self.path}: a has no caption and is left out.'], notes)


class PlotTest(unittest.TestCase):
    def test_curve(self):
        with tempfile.TemporaryDirectory(prefix='cliptag-test.') as folder:
            log, out = os.path.join(folder, 'log.jsonl'), os.path.join(folder, 'loss.svg')
            with open(log, 'w', encoding='utf-8') as f:
                for step, loss in ((10, 4.0), (20, 3.0), (30, 9.0), (30, 2.0), (40, 1.0)):  # 30 done twice
                    f.write(json.dumps({'step': step, 'loss': loss}) + '\n')
            self.assertEqual([(10, 4.0), (20, 3.0), (30, 2.0), (40, 1.0)], plot.read_log(log))
            plot.plot(log, out)
            lines = ElementTree.parse(out).findall('.//{http://www.w3.org/2000/svg}polyline')
            heights = [float(p.split(',')[1]) for p in lines[0].get('points').split()]
            self.assertEqual(sorted(heights), heights)  # downhill on the page
            self.assertEqual(4, len(heights))

    def test_a_constant_stays_constant_when_smoothed(self):
        for _, value in plot.smoothed([(i, 3.0) for i in range(50)]):
            self.assertAlmostEqual(3.0, value)

    def test_nothing_to_plot(self):
        with self.assertRaisesRegex(ValueError, 'holds no steps'):
            plot.svg([])


if __name__ == '__main__':
    unittest.main(verbosity=2)
