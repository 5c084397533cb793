#!/bin/bash
# Make .venv and install proxyctl with its tools for development; nothing to do is done at once.
set -euo pipefail
cd "$(dirname "$0")/.."

stamp=.venv/.installed
# A moved clone needs a new one: scripts in there begin with the path.
wanted=$(sha256sum pyproject.toml; pwd)
[ "$(cat $stamp 2>/dev/null)" != "$wanted" ] || exit 0

# The real interpreter: a pyenv shim would start a shell, and look for its folder in every namespace.
python=$("${PYTHON:-python3}" -c 'import sys; print(sys.executable)')
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "proxyctl needs Python 3.11 or newer, and $python is older: make PYTHON=/path/to/python3" >&2
  exit 1
}
"$python" -c 'import ensurepip, venv' 2>/dev/null || {
  echo "$python cannot make virtual environments (on Debian: the package python3-venv)" >&2
  exit 1
}

echo "installing into .venv"
if .venv/bin/python -c '' 2>/dev/null && grep -qxF "$(pwd)" $stamp 2>/dev/null; then
  rm $stamp
else
  "$python" -m venv --clear .venv
fi
.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
echo "$wanted" >$stamp
