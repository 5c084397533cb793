"""Which certificates are to be had from a CA: a file for the engine that gets them."""

import json
import logging
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from proxyctl.files import private
from proxyctl.state.certificates import Wanted

VERSION = 1
log = logging.getLogger("proxyctl")


def tell(path: Path, wanted: Iterable[Wanted]) -> None:
    """Replace the file, and only warn where it cannot be."""
    try:
        write(path, wanted)
    except OSError as error:
        log.warning("cannot tell which certificates are wanted: %s", error)


def write(path: Path, wanted: Iterable[Wanted]) -> bool:
    """Replace the file if it would differ, whole; tell whether it did. Raises OSError."""
    document = {"version": VERSION, "certificates": [asdict(one) for one in wanted]}
    data = (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()
    try:
        if private.read(path).data == data:
            return False
    except FileNotFoundError:
        pass
    private.write(path, data)
    return True
