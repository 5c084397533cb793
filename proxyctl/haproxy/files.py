"""HAProxy's files: haproxy.cfg and its maps. A reader sees the old one or the new one, whole.

Maps and certificates are replaced before haproxy.cfg, which names them. What ran well is kept in
`last-good`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from proxyctl.durable import replace_file, sync_folder
from proxyctl.problems import HAProxyUnavailable, NotPermitted
from proxyctl.state.model import CERTS, CRT_LIST
from proxyctl.state.render import CONFIG, is_secret

MAPS = "maps"
_NAME = re.compile(
    r"haproxy\.cfg|maps/[A-Za-z0-9_][A-Za-z0-9_.:-]*\.map"
    r"|certs/crt-list|certs/[A-Za-z0-9_][A-Za-z0-9_.@-]*\.pem"
)
_FOLDERS = (MAPS, CERTS)
_MODE = 0o640
"""Of files without keys: HAProxy may have our group."""
KEY_MODES = {"own": 0o640}
"""Of files with keys, where it is not 0600: in mode own HAProxy has our group, and never was root;
elsewhere it is us, or begins as root."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things are: HAProxy's folder, and the socket of its master (`-S`)."""

    folder: Path
    master_socket: Path
    worker_socket: Path | None = None
    """The worker's own (`stats socket`), where haproxy.cfg is ours: three times faster, and it
    does not lose the end of long listings. None: the master hands everything on."""
    key_mode: int = 0o600
    """Permissions of files with keys: the group's too, where HAProxy runs as another user."""
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
        return replace(self, folder=self.folder / "last-good")

    def file_of(self, map_name: str) -> str:
        """Return `maps/web.map` for HAProxy's name of a map or certificate, "" if it is not ours.

        It is the path as haproxy.cfg has it: absolute, or relative with `default-path config`.
        """
        name = map_name.removeprefix(f"{self.folder}/")
        return name if _NAME.fullmatch(name) else ""


def present(layout: Layout) -> Iterator[tuple[str, Path]]:
    """Yield name and path of the files that are there."""
    maps = (layout.folder / MAPS).glob("[!.]*.map")
    certificates = (layout.folder / CERTS).glob("[!.]*.pem")
    for path in (layout.config, layout.folder / CRT_LIST, *sorted(maps), *sorted(certificates)):
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
        for folder in _FOLDERS:
            (layout.folder / folder).mkdir(mode=0o750, parents=True, exist_ok=True)
        _sweep(layout)
        for name in wanted:
            if name in texts:
                mode = layout.key_mode if is_secret(name) else _MODE
                _replace(layout.folder / name, texts[name], mode)
        for name in wanted:
            if name not in texts:
                (layout.folder / name).unlink(missing_ok=True)
        for folder in (*_FOLDERS, ""):
            sync_folder(layout.folder / folder)


def write_server_state(layout: Layout, text: str) -> None:
    """Replace the file of the servers' health."""
    with explained(layout.folder):
        layout.folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        _replace(layout.server_state, text, _MODE)


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


def _replace(path: Path, text: str, mode: int) -> None:
    replace_file(path, text.encode("utf-8", "surrogateescape"), mode)


def _sweep(layout: Layout) -> None:
    """Remove what a crash left between writing and renaming."""
    for folder in (*_FOLDERS, ""):
        for leftover in (layout.folder / folder).glob(".*.new"):
            leftover.unlink(missing_ok=True)


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turn the system's refusals into NotPermitted and HAProxyUnavailable, with the path."""
    try:
        yield
    except PermissionError as error:
        raise NotPermitted(f"{error.filename or folder}: {error.strerror}") from error
    except OSError as error:
        raise HAProxyUnavailable(f"{error.filename or folder}: {error.strerror}") from error
