"""Private folders for `haproxy -c`, below the folder for run-time data.

Each is locked as long as somebody works in it. What a killed process has left is not, and goes
with the next start of the service.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PREFIX = "proxyctl-check-"


@contextmanager
def private_folder(parent: Path | None) -> Iterator[Path]:
    """Make a folder in *parent*, and remove it at the end.

    Among the temporary files if there is no parent, or who asks may not write there: everybody
    may check.
    """
    path, lock = _made(parent)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def sweep(parent: Path) -> None:
    """Remove the folders in *parent* that nobody works in any more."""
    for path in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            lock = _locked(path, fcntl.LOCK_NB)
            try:
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(lock)


def _made(parent: Path | None) -> tuple[Path, int]:
    while True:
        path = _new(parent)
        try:
            return path, _locked(path)
        except FileNotFoundError:
            continue  # swept in the moment before it was locked


def _new(parent: Path | None) -> Path:
    if parent is not None:
        with suppress(OSError):
            return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    return Path(tempfile.mkdtemp(prefix=_PREFIX))


def _locked(path: Path, flags: int = 0) -> int:
    """Return a descriptor that holds the lock of a folder, which still has its name.

    Raises OSError: BlockingIOError if it is another's, FileNotFoundError if it is gone.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | flags)
        path.lstat()
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
