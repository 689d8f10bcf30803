#!/usr/bin/env bash
# Gathers what tests/gpu/run.sh needs and a machine with a GPU may lack (GoogleTest's sources, JSON's
# and ICU's headers, ICU's libraries, the larger golden models) in .gpu/deps.tar.xz, which git ignores,
# and notes the commit in .gpu/commit. To be run where ./pipelines/setup.sh has been.
#
#   tests/gpu/collect.sh [SHARED]        SHARED: with goldens/ and media/photos/; else ../shared
#
# Tree and archive together stay below $LIMIT_MIB (62): goldens that do not fit are left out, by name.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
shared=$(realpath -m "${1:-../shared}")
limit=$((${LIMIT_MIB:-62} << 20))
goldens=(hf-vit-patch16 openclip-vit-patch14-gelu-quick openclip-vit-patch14-res336 openclip-vit-patch32)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
deps=$work/deps
mkdir -p "$deps"/{include,lib,googletest,shared} .gpu

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

# What a folder will add, a little too high: the quick way.
packed_size() { tar -chf - -C "$1" . | xz -T0 -1 | wc -c; }
tree=$(git ls-files -z --cached --others --exclude-standard | xargs -0 -r stat -c %s 2>/dev/null |
  awk '{ s += $1 } END { print s }')
if [[ -d $shared/goldens ]]; then
  mkdir -p "$deps/shared/"{goldens/preprocess,media/photos}
  cp "$shared"/goldens/preprocess/*-shortest-crop-*.png "$deps/shared/goldens/preprocess"
  cp "$shared"/media/photos/* "$deps/shared/media/photos"
  used=$((tree + $(packed_size "$deps")))
  for model in "${goldens[@]}"; do
    size=$(packed_size "$shared/goldens/$model")
    if ((used + size > limit)); then
      echo "left out, too large: $model"
      continue
    fi
    cp -rL "$shared/goldens/$model" "$deps/shared/goldens"
    used=$((used + size))
  done
  chmod -R u+w "$deps"
else
  echo "left out, not there: $shared/goldens"
fi

tar -C "$work" -cf - deps | xz -T0 -6 >.gpu/deps.tar.xz
commit=$(git describe --always --abbrev=12 --dirty --exclude='*')
echo "$commit" >.gpu/commit
printf '.gpu/deps.tar.xz: %d MiB, with the tree %d of %d MiB, commit %s\n' \
  $(($(stat -c %s .gpu/deps.tar.xz) >> 20)) $((($(stat -c %s .gpu/deps.tar.xz) + tree) >> 20)) $((limit >> 20)) \
  "$commit"
