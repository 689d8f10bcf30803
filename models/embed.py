"""Writes the C++ source of models/embedded.h from the files in models/vocab."""
import array
import sys


def rows(values, per_row, form):
    for i in range(0, len(values), per_row):
        yield ','.join(form % v for v in values[i:i + per_row])


def main(entities_path, merges_path, out_path):
    with open(entities_path, 'rb') as f:
        entities = f.read()
    with open(merges_path, 'rb') as f:
        data = f.read()
    merges = array.array('H', data)
    if sys.byteorder == 'big':
        merges.byteswap()
    with open(out_path, 'w', encoding='ascii') as out:
        out.write('#include "models/embedded.h"\n\nnamespace cliptag {\nnamespace {\n')
        out.write('constexpr char kEntities[] = {\n')
        out.write(',\n'.join(rows(entities, 32, '%d')))
        out.write('};\nconstexpr uint16_t kMerges[] = {\n')
        out.write(',\n'.join(rows(merges, 24, '%d')))
        out.write('};\n}  // namespace\n\n')
        out.write('std::string_view EmbeddedHtmlEntities() {'
                  ' return {kEntities, sizeof(kEntities)}; }\n')
        out.write('std::span<const uint16_t> EmbeddedClipMerges() { return kMerges; }\n\n')
        out.write('}  // namespace cliptag\n')


if __name__ == '__main__':
    main(*sys.argv[1:])
