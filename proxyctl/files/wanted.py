"""Which certificates are to be had from a CA: a file for the engine that gets them."""

import json
import logging
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from proxyctl.files import private
from proxyctl.routes.conflicts import Share
from proxyctl.settings import Settings
from proxyctl.state.certificates import Stock, Wanted, wanted

VERSION = 1
log = logging.getLogger("proxyctl")


def tell(path: Path, shares: Iterable[Share], settings: Settings, stock: Stock) -> None:
    """Write what is wanted, if there is an engine to be told; only warn where it cannot be."""
    if settings.acme is None:
        return
    try:
        write(path, wanted(shares, settings, stock))
    except OSError as error:
        log.warning("cannot tell which certificates are wanted: %s", error)


def write(path: Path, found: Iterable[Wanted]) -> bool:
    """Replace the file if it would differ, whole; tell whether it did. Raises OSError."""
    document = {"version": VERSION, "certificates": [asdict(one) for one in found]}
    data = (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()
    try:
        if private.read(path).data == data:
            return False
    except FileNotFoundError:
        pass
    private.write(path, data)
    return True
