"""Writes the C++ source of models/text/embedded.h from the files in models/vocab."""
import array
import sys


def rows(values, per_row):
    for i in range(0, len(values), per_row):
        yield ','.join('%d' % v for v in values[i:i + per_row])


def write_array(out, kind, name, values):
    out.write(f'constexpr {kind} {name}[] = {{\n' + ',\n'.join(rows(values, 24)) + '};\n')


def main(entities_path, letters_path, merges_path, out_path):
    texts = {}
    for name, path in (('HtmlEntities', entities_path), ('LettersAndNumbers', letters_path)):
        with open(path, 'rb') as f:
            texts[name] = f.read()
    with open(merges_path, 'rb') as f:
        merges = array.array('H', f.read())
    if sys.byteorder == 'big':
        merges.byteswap()
    with open(out_path, 'w', encoding='ascii') as out:
        out.write('#include "models/text/embedded.h"\n\nnamespace cliptag {\nnamespace {\n')
        for name, data in texts.items():
            write_array(out, 'char', 'k' + name, data)
        write_array(out, 'uint16_t', 'kMerges', merges)
        out.write('}  // namespace\n\n')
        for name in texts:
            out.write(f'std::string_view Embedded{name}() '
                      f'{{ return {{k{name}, sizeof(k{name})}}; }}\n')
        out.write('std::span<const uint16_t> EmbeddedClipMerges() { return kMerges; }\n\n')
        out.write('}  // namespace cliptag\n')


if __name__ == '__main__':
    main(*sys.argv[1:])
