"""Reads what the engine of certificates tells."""

from pathlib import Path

from proxyctl.files import private
from proxyctl.state.issuance import Report, parse

_LARGEST = 16 * 1024 * 1024
"""Bytes: ten thousand certificates, each with a long error."""


def read(path: Path) -> Report:
    """Return what status.json tells: nothing if the engine never ran, or it cannot be read."""
    try:
        data = private.read(path, largest=_LARGEST).data
    except OSError:
        return Report()
    return parse(data) or Report()
