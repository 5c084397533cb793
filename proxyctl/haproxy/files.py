"""HAProxy's files: haproxy.cfg and its maps. A reader sees the old one or the new one, whole.

Maps are replaced before haproxy.cfg, which names them. What ran well is kept in `last-good`.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from proxyctl.problems import HAProxyUnavailable, NotPermitted
from proxyctl.state.render import CONFIG

MAPS = "maps"
_NAME = re.compile(r"haproxy\.cfg|maps/[A-Za-z0-9_][A-Za-z0-9_.:-]*\.map")


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things are: HAProxy's folder, and the socket of its master (`-S`)."""

    folder: Path
    master_socket: Path
    worker_socket: Path | None = None
    """The worker's own (`stats socket`), where haproxy.cfg is ours: three times faster, and it
    does not lose the end of long listings. None: the master hands everything on."""
    scratch: Path | None = None
    """Where `haproxy -c` works; None: among the temporary files."""

    @property
    def config(self) -> Path:
        """Return the path of our haproxy.cfg."""
        return self.folder / CONFIG

    @property
    def server_state(self) -> Path:
        """Return the path for `server-state-file`: health that the next worker begins with."""
        return self.folder / "server-state"

    @property
    def last_good(self) -> "Layout":
        """Return the place of a copy of the files that were loaded last."""
        return Layout(self.folder / "last-good", self.master_socket)

    def file_of(self, map_name: str) -> str:
        """Return `maps/web.map` for HAProxy's name of a map, "" if the map is not ours.

        It is the path as haproxy.cfg has it: absolute, or relative with `default-path config`.
        """
        name = map_name.removeprefix(f"{self.folder}/")
        return name if _NAME.fullmatch(name) else ""


def present(layout: Layout) -> Iterator[tuple[str, Path]]:
    """Yield name and path of the files that are there."""
    for path in (layout.config, *sorted((layout.folder / MAPS).glob("[!.]*.map"))):
        if path.is_file():
            yield str(path.relative_to(layout.folder)), path


def read_texts(layout: Layout) -> dict[str, str]:
    """Return the files on disk by name relative to the folder; what is missing is missing."""
    with explained(layout.folder):
        return {name: read(path) for name, path in present(layout)}


def read(path: Path) -> str:
    """Return the text of a file; bytes that are no UTF-8 survive."""
    return path.read_bytes().decode("utf-8", "surrogateescape")


def write(layout: Layout, texts: Mapping[str, str], names: Iterable[str]) -> None:
    """Replace the files *names* by *texts*; a file that has no text is removed, after all else.

    Raises NotPermitted, or HAProxyUnavailable where the disk fails; no file is ever half there.
    """
    for name in (wanted := sorted(set(names), key=lambda name: (name == CONFIG, name))):
        if not _NAME.fullmatch(name):
            raise ValueError(f"not a file of HAProxy's: {name!r}")
    with explained(layout.folder):
        (layout.folder / MAPS).mkdir(mode=0o750, parents=True, exist_ok=True)
        _sweep(layout)
        for name in wanted:
            if name in texts:
                _replace(layout.folder / name, texts[name])
        for name in wanted:
            if name not in texts:
                (layout.folder / name).unlink(missing_ok=True)
        for folder in (layout.folder / MAPS, layout.folder):
            _sync(folder)


def write_server_state(layout: Layout, text: str) -> None:
    """Replace the file of the servers' health."""
    with explained(layout.folder):
        layout.folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        _replace(layout.server_state, text)


def keep_good(layout: Layout) -> None:
    """Remember the files on disk, which must be those that run."""
    now = read_texts(layout)
    write(layout.last_good, now, now.keys() | read_texts(layout.last_good).keys())


def restore_good(layout: Layout) -> bool:
    """Bring the files back that ran last; False if none were ever kept."""
    if not layout.last_good.folder.is_dir():
        return False
    good = read_texts(layout.last_good)
    write(layout, good, good.keys() | read_texts(layout).keys())
    return True


def _replace(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o640)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor has no path
        os.fchmod(descriptor, 0o640)  # whatever the umask says
        file.write(text.encode("utf-8", "surrogateescape"))
        file.flush()
        os.fsync(descriptor)
    beside.replace(path)


def _sweep(layout: Layout) -> None:
    """Remove what a crash left between writing and renaming."""
    for folder in (layout.folder, layout.folder / MAPS):
        for leftover in folder.glob(".*.new"):
            leftover.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turn the system's refusals into NotPermitted and HAProxyUnavailable, with the path."""
    try:
        yield
    except PermissionError as error:
        raise NotPermitted(f"{error.filename or folder}: {error.strerror}") from error
    except OSError as error:
        raise HAProxyUnavailable(f"{error.filename or folder}: {error.strerror}") from error
