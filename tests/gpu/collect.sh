#!/usr/bin/env bash
# Gathers what tests/gpu/run.sh needs and a machine with a GPU may lack (GoogleTest's sources, JSON's
# and ICU's headers, ICU's libraries) in .gpu/deps.tar.xz, which git ignores, and notes the commit in
# .gpu/commit. To be run where ./pipelines/setup.sh has been.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
deps=$work/deps
mkdir -p "$deps"/{include,lib,googletest} .gpu

need() {
  [[ -e $1 ]] || {
    echo "tests/gpu/collect.sh: $1 is not here; run ./pipelines/setup.sh first" >&2
    exit 1
  }
}
for part in googletest googlemock; do
  need "/usr/src/googletest/$part"
  mkdir "$deps/googletest/$part"
  cp -rL "/usr/src/googletest/$part"/{include,src} "$deps/googletest/$part"
done
for headers in nlohmann unicode; do
  need "/usr/include/$headers"
  cp -rL "/usr/include/$headers" "$deps/include"
done
for name in icuuc icudata; do
  library=$(realpath "$(${CXX:-g++} -print-file-name="lib$name.so")")
  need "$library"
  soname=$(objdump -p "$library" | awk '$1 == "SONAME" { print $2 }')
  cp "$library" "$deps/lib/$soname"
  ln -s "$soname" "$deps/lib/lib$name.so"
done

tar -C "$work" -cf - deps | xz -T0 -6 >.gpu/deps.tar.xz
commit=$(git describe --always --abbrev=12 --dirty --exclude='*')
echo "$commit" >.gpu/commit
printf '.gpu/deps.tar.xz: %d MiB, commit %s\n' $(($(stat -c %s .gpu/deps.tar.xz) >> 20)) "$commit"
