"""Which names in which folders decide what a path leads to: those are to be watched.

/etc/proxyctl/routes.d may not be there yet, may be a link, or have one on its way: whoever makes,
replaces or removes any name of the trail changes what is read. Links in the folder are followed
too, since configuration management swaps one (`..data`) for all files at once.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

_LINKS = 40
"""So many are followed, as by the kernel: a loop ends."""

Names = frozenset[str] | None
"""Names that matter in a folder; None: all."""


def watched(folders: Iterable[Path]) -> Mapping[Path, Names]:
    """Return the folders to watch, links resolved, for what is read in *folders*.

    All of them exist, or did a moment ago. A folder of *folders* itself matters whole, and so does
    what is in it.
    """
    found: dict[Path, Names] = {}
    for folder in folders:
        end = _walk(folder, found)
        if end is None:
            continue
        found[end] = None
        for link in _links_in(end):
            _walk(link, found)
        for inner in _folders_in(end):  # certbot's, and our own, have one for each certificate
            if inside := _walk(inner, found):
                found[inside] = None
    return found


def _walk(path: Path, found: dict[Path, Names]) -> Path | None:
    """Note each name on the way; return the folder where the path leads, None if to none."""
    at = Path("/")
    rest = [*reversed(path.absolute().parts)]
    links = 0
    while rest:
        name = rest.pop()
        if name in {"/", ".."}:
            at = Path("/") if name == "/" else at.parent
            continue
        names = found.setdefault(at, frozenset())
        if names is not None:
            found[at] = names | {name}
        at /= name
        with suppress(OSError):  # no link, or nothing at all: the next name will not be there
            rest += reversed(at.readlink().parts)
            at = at.parent
            links += 1
        if links > _LINKS or not _is_there(at):
            return None
    return at if at.is_dir() else None


def _is_there(path: Path) -> bool:
    try:
        path.lstat()
    except OSError:
        return False
    return True


def _folders_in(folder: Path) -> list[Path]:
    with suppress(OSError):
        return sorted(path for path in folder.iterdir() if path.is_dir())
    return []


def _links_in(folder: Path) -> list[Path]:
    with suppress(OSError):
        return sorted(path for path in folder.iterdir() if path.is_symlink())
    return []
