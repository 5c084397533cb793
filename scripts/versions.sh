#!/bin/bash
# The contract tests with HAProxy of other Debian releases: versions.sh trixie forky (as root).
#
# Each is unpacked into .versions/SUITE with all that it needs, and told to find its libraries there.
set -euo pipefail
cd "$(dirname "$0")/.."

needed=()
for program in mmdebstrap patchelf; do
  command -v $program >/dev/null || needed+=($program)
done
if [ ${#needed[@]} -gt 0 ]; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${needed[@]}" >/dev/null
fi

fetch() { # SUITE
  local root=.versions/$1/root loader
  root=$(pwd)/$root
  mkdir -p "$(dirname "$root")"
  # A mirror may be behind; what it has is signed all the same.
  mmdebstrap --quiet --mode=root --variant=apt --include=haproxy \
    --aptopt='Acquire::Check-Valid-Until "false"' "$1" "$root"
  loader=$(patchelf --print-interpreter "$root/usr/sbin/haproxy")
  patchelf --force-rpath --set-interpreter "$root$loader" \
    --set-rpath "$(dirname "$(find "$root/usr/lib" -name 'libc.so.6' | head -n 1)")" \
    --output ".versions/$1/haproxy" "$root/usr/sbin/haproxy"
}

for suite; do
  [ -x ".versions/$suite/haproxy" ] || fetch "$suite"
  haproxy=$(pwd)/.versions/$suite/haproxy
  "$haproxy" -v | head -n 1
  PROXYCTL_TEST_HAPROXY=$haproxy .venv/bin/pytest -q tests/contract -k 'not acme and not podman'
done
