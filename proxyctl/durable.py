"""Files of ours: replaced whole or not at all, with just the permissions that were asked for."""

import os
from pathlib import Path


def replace_file(path: Path, data: bytes, mode: int = 0o600, *, durable: bool = True) -> None:
    """Put *data* in the place of what was in a file; its folder is there. Raises OSError.

    `durable`: its content is on the disk before the name is its own; else it may be empty after a
    loss of power, and has to be made again. The name itself is on the disk after `sync_folder`.
    """
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    try:
        with open(os.open(beside, flags, mode), "wb") as file:  # noqa: PTH123 - of a descriptor
            os.fchmod(file.fileno(), mode)  # whatever the umask says
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Wait until what was renamed or removed in a folder is so on the disk. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
