#!/usr/bin/env bash
# Installs what building, running, demonstrating and testing cliptag needs, with apt, on Debian 12 and
# 13 (and what derives from them). Asks nothing, and is done in a moment when everything is there.
#
#   pipelines/setup.sh [--list] [PACKAGE...]   --list prints the packages and installs nothing;
#                                              PACKAGE... are installed beside the usual ones
#
# CLIPTAG_SKIP_SETUP=1 trusts the machine as it is: for distributions without apt.
set -euo pipefail

build=(g++ meson ninja-build pkg-config cmake git ca-certificates
  libdnnl-dev libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev
  nlohmann-json3-dev libcli11-dev libicu-dev libsentencepiece-dev libcurl4-openssl-dev libssl-dev
  libopencv-dev libpango1.0-dev libcairo2-dev)
run=(gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad
  gstreamer1.0-plugins-ugly gstreamer1.0-libav fonts-dejavu-core fonts-droid-fallback
  python3 python3-gi gir1.2-gstreamer-1.0)
demo=(python3-pil fonts-noto-color-emoji)
tests=(libgtest-dev libgmock-dev python3-numpy gir1.2-gst-rtsp-server-1.0 clang-format)

say() { printf 'setup: %s\n' "$*"; }
die() {
  printf 'setup: %s\n' "$*" >&2
  exit 1
}

# Tag metadata for other elements (GstAnalytics) exists from GStreamer 1.24 on; before that its package
# brings 300 others, for frames in CUDA memory alone, and is left to those who want them.
os_id=unknown os_like='' os_version=''
if [[ -r /etc/os-release ]]; then
  os_id=$(. /etc/os-release && echo "${ID:-unknown}")
  os_like=$(. /etc/os-release && echo "${ID_LIKE:-}")
  os_version=$(. /etc/os-release && echo "${VERSION_ID:-}")
fi
if [[ $os_id == debian && $os_version == 12 ]]; then
  tests+=(clang-tidy) # version 14: the tests take no other
else
  build+=(libgstreamer-plugins-bad1.0-dev)
fi

# Debian testing's header of sentencepiece includes absl's, which its package does not bring.
needs_absl() { grep -Eqs '#include ["<]absl/' /usr/include/sentencepiece_processor.h; }
if needs_absl; then build+=(libabsl-dev); fi

list_only=false
if [[ ${1:-} == --list ]]; then
  list_only=true
  shift
fi
packages=("${build[@]}" "${run[@]}" "${demo[@]}" "${tests[@]}" "$@")

if $list_only; then
  printf '%s\n' "${packages[@]}"
  exit 0
fi
if [[ ${CLIPTAG_SKIP_SETUP:-0} == 1 ]]; then
  say "CLIPTAG_SKIP_SETUP is set: nothing installed"
  exit 0
fi
if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
  die "this is ${os_id}${os_like:+ (like $os_like)}, not Debian: install what these packages hold with" \
    "your own package manager, then call again with CLIPTAG_SKIP_SETUP=1: ${packages[*]}"
fi

# One query for all of them; a package that dpkg has never heard of is missing too.
installed=$(dpkg-query -W -f='${binary:Package} ${db:Status-Status}\n' 2>/dev/null |
  sed -n 's/^\([^ :]*\)[^ ]* installed$/\1/p')
missing=()
for package in "${packages[@]}"; do
  # Any flavour of libcurl will do, and apt would take away one for the other.
  [[ $package == libcurl4-openssl-dev && $installed == *libcurl4-*-dev* ]] && continue
  grep -qxF -- "$package" <<<"$installed" || missing+=("$package")
done
if ((${#missing[@]} == 0)); then
  say "everything is there"
  exit 0
fi

as_root=()
if ((EUID != 0)); then
  command -v sudo >/dev/null || die "not root and no sudo here: as root, run" \
    "apt-get install --no-install-recommends ${missing[*]}"
  as_root=(sudo)
  # Without a terminal sudo has nobody to ask for a password.
  [[ -t 0 ]] || as_root+=(-n)
fi

say "installing ${#missing[@]} packages and what they need: ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() {
  # The lock is waited for: a fresh machine often runs its own updates first.
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 \
    -o Acquire::Retries=2 -o Dpkg::Use-Pty=0 "$@" </dev/null >>"$log" 2>&1
}
# What update could not fetch may not be needed; install knows. Only then is it known what the header of
# sentencepiece needs.
install() {
  apt update || true
  apt install --no-install-recommends "${missing[@]}" || return
  if needs_absl && [[ " ${packages[*]} " != *' libabsl-dev '* ]]; then
    apt install --no-install-recommends libabsl-dev
  fi
}

if ! install; then
  say "apt-get failed, perhaps for want of network; once more in ten seconds"
  sleep 10
  if ! install; then
    tail -n 25 "$log" >&2
    die "apt-get could not install ${missing[*]}; its last words are above"
  fi
fi
say "done"
