#!/usr/bin/env bash
# Offers to get a small published CLIP, for footage that the starter model knows nothing of. Prints the
# name of the model to take: that one, or starter. What it says and asks goes to stderr.
#
#   CLIPTAG_DEMO_PULL=1 or 0   gets it, or does not, without asking; unset: asks on a terminal, and gets
#                              nothing where there is none
#   HF_ENDPOINT, HF_TOKEN …    as `cliptag models pull` takes them
#
# The tool is found in PATH (meson devenv). Without a hub this is over in seconds.
set -euo pipefail

id=wkcn/TinyCLIP-ViT-8M-16-Text-3M-YFCC15M # MIT
say() { printf 'demo: %s\n' "$*" >&2; }
starter() {
  echo starter
  exit 0
}
# Seconds for a connection, and without a byte; a user's own ones win.
export HF_HUB_ETAG_TIMEOUT=${HF_HUB_ETAG_TIMEOUT:-5} HF_HUB_DOWNLOAD_TIMEOUT=${HF_HUB_DOWNLOAD_TIMEOUT:-20}

wish=${CLIPTAG_DEMO_PULL:-ask}
[[ $wish != 0 ]] || starter
if [[ $wish != 1 ]] && ! [[ -t 0 && -t 2 ]]; then
  say "CLIPTAG_DEMO_PULL=1 gets $id from Hugging Face and tags real footage with it"
  starter
fi

# What there is; an error is the tool's own sentence.
if ! found=$(timeout 30 cliptag models pull --dry-run "$id" 2>&1 </dev/null); then
  found=$(tail -n 1 <<<"$found")
  say "no published model can be had here: ${found#cliptag: error: }"
  starter
fi
found=$(tail -n 1 <<<"$found") # "ID, main = COMMIT: 94.2 MB for DIRECTORY", or "here already as DIRECTORY"
if [[ $wish != 1 ]]; then
  size=${found##*: }
  question="Get $id (${size%% for *}) from Hugging Face and tag real footage with it?"
  [[ $size != *", here already as "* ]] || question="Tag real footage with $id, which is here?"
  printf 'demo: %s [Y/n] ' "$question" >&2
  if ! read -r -t 60 answer; then
    answer=n
    echo >&2
  fi
  [[ $answer =~ ^([Yy]|$) ]] || starter
fi

code=0
cliptag models pull "$id" >&2 </dev/null || code=$?
((code != 130)) || exit 130 # Ctrl-C
if ((code)); then
  say "the starter model it is, then"
  starter
fi
echo "${id##*/}"
