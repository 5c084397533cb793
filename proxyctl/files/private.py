"""Files that hold keys: read with suspicion, written for their owner only."""

import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from proxyctl.durable import replace_file

LARGEST = 262_144
"""Bytes: a certificate with its chain has some 10 000."""


@dataclass(frozen=True, slots=True)
class Content:
    """What was in a file, and who else may read it."""

    data: bytes
    for_all: bool
    """Whether everybody on this host may read it."""


def read(path: Path, *, largest: int = LARGEST) -> Content:
    """Return a regular file of at most `largest` bytes.

    Raises OSError for anything else, which could hold us for ever.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor has no path
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        if status.st_size > largest:
            raise OSError(f"larger than {largest} bytes")
        return Content(file.read(largest + 1), bool(status.st_mode & stat.S_IROTH))


def write(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Replace a file, whole or not at all; only its owner may read it (0600).

    Not `durable`: after a loss of power it may be empty, and has to be made again.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_file(path, data, durable=durable)
