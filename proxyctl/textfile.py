"""Files that people write, read with care.

Only regular files are opened: a pipe would hold us for ever, a device may have no end, or do
something when it is opened. No file is read past `LARGEST`. Whatever is wrong is `Unreadable`,
whose text is for the person who put it there.
"""

import os
import stat
from pathlib import Path

from proxyctl.problems import ProxyctlError

LARGEST = 4 * 1024 * 1024
"""Bytes: some 30 000 static routes. A file with more is somewhere else's."""

_KINDS = {
    stat.S_IFIFO: "a named pipe (FIFO)",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}


class Unreadable(ProxyctlError):  # noqa: N818 - a state of the world, not a mistake of ours
    """A file that is not read: `why`, with what to do, and the path before it in the text."""

    exit_code = 78

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.path = path
        self.why = why


def read_text(path: Path, errors: str = "strict") -> str:
    """Return the text of a regular file; `errors` as in bytes.decode. Raises Unreadable."""
    try:
        data = _read(path)
        return data.decode("utf-8", errors)
    except UnicodeDecodeError as error:
        raise Unreadable(
            path, f"is not UTF-8 text (byte {error.start}): save it as such"
        ) from None
    except OSError as error:
        raise Unreadable(path, _explained(path, error)) from error


def listed(folder: Path, suffix: str) -> tuple[Path, ...]:
    """Return what ends in *suffix* in a folder, sorted; none if there is no such folder.

    Hidden names are left out, as in the shell: editors keep their own there. Raises Unreadable
    where it cannot be seen what is there: that is not the same as nothing.
    """
    if is_absent(folder):
        return ()
    try:
        names = sorted(one.name for one in folder.iterdir())
    except OSError as error:
        raise Unreadable(folder, _explained(folder, error)) from error
    return tuple(folder / name for name in names if name.endswith(suffix) and name[0] != ".")


def is_absent(path: Path) -> bool:
    """Tell whether there is nothing of that name; a link that leads nowhere is something.

    Raises Unreadable where that cannot be seen.
    """
    try:
        path.stat()
    except FileNotFoundError:
        return _dangling(path) is None
    except OSError as error:
        raise Unreadable(path, _explained(path, error)) from error
    return False


def _read(path: Path) -> bytes:
    _refuse_irregular(path, path.stat())  # before it is opened: opening alone can have effects
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor has no path
        _refuse_irregular(path, os.fstat(descriptor))
        data = file.read(LARGEST + 1)  # not its size: it may grow, and those of /proc have none
    if len(data) > LARGEST:
        raise Unreadable(path, f"is larger than {LARGEST // 1024**2} MiB: split it, or remove it")
    return data


def _refuse_irregular(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = _KINDS.get(stat.S_IFMT(found.st_mode), "something else")
        raise Unreadable(path, f"is {kind}, not a regular file: put a file in its place")


def _explained(path: Path, error: OSError) -> str:
    link = _dangling(path)
    if isinstance(error, FileNotFoundError) and link:
        target = link.readlink()
        what = "is" if link == path else f"is below {link},"
        return f"{what} a link to {target}, which does not exist: mend the link, or remove it"
    return f"cannot be read: {error.strerror or error}"


def _dangling(path: Path) -> Path | None:
    """Return the link on the way to *path* that leads nowhere, None if there is none."""
    every = (*reversed(path.parents), path)
    return next((one for one in every if one.is_symlink() and not one.exists()), None)
