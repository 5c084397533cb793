"""A second, earlier doorbell: rings as soon as Podman's file logger has written an event.

Podman's API reads that file every 250 ms, so that its stream tells 0.15 s late (4.3.1); inotify
tells at once. This bell is only ever early: whatever it misses, the stream of events.py rings
for, and the two ring with the same names. With the journald logger there is no file, and no bell.
"""

import json
import logging
import os
import socket
import stat
import sys
import threading
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from watchdog.events import (
    DirDeletedEvent,
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer

from proxyctl.podman.events import EVERYTHING, bell, split_lines
from proxyctl.wakeup import Wakeup

if TYPE_CHECKING:
    from watchdog.observers.api import BaseObserver

log = logging.getLogger(__name__)

PAUSE = 5.0
"""Seconds between two looks without being told: for a folder that comes later, or comes again."""

LONGEST_LINE = 4 << 20
"""Bytes; labels of 200 kB come in lines of 200 kB. A rootless user can write what he likes."""

_CHUNK = 1 << 16
_TELLING: list[type[FileSystemEvent]] = [
    DirDeletedEvent,
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
]
"""Not opened and closed: our own reading would wake us for ever."""

_SYSTEM_CONF = ("/usr/share/containers/containers.conf", "/etc/containers/containers.conf")


# ---- where it is --------------------------------------------------------------------------------


def owner_of(url: str) -> int:
    """Return the uid of the user whose Podman listens at a socket; root's if nothing tells."""
    path = Path(url.removeprefix("unix://"))
    match path.parts:
        case ("/", "run", "user", uid, *_) if uid.isdecimal():
            return int(uid)
        case ("/", "run", "podman", *_):
            return 0  # whoever may use it: systemd can give the socket to anybody
    try:
        return path.stat().st_uid
    except OSError:
        return 0


def guess_path(uid: int, environment: Mapping[str, str]) -> Path | None:
    """Return where the Podman of a user writes its events; None if it surely writes no file.

    `environment` is that user's. What only Podman's own command line tells (`--tmpdir`) cannot be
    guessed. Nor can the default logger, which depends on the build: the file may never come.
    (libpod/events.go and containers/common pkg/config, 4.3 to 5.8; containers.conf(5).)
    """
    engine = _engine(_configuration_files(uid, environment))
    if engine.get("events_logger") in ("journald", "none"):
        return None
    if engine.get("events_logfile_path"):
        return Path(engine["events_logfile_path"])
    if engine.get("tmp_dir"):
        return Path(engine["tmp_dir"], "events/events.log")
    if uid == 0:
        return Path("/run/libpod/events/events.log")
    runtime = environment.get("XDG_RUNTIME_DIR") or f"/run/user/{uid}"
    return Path(runtime, "libpod/tmp/events/events.log")


def path_of_service(socket_path: str) -> Path | None:
    """Return where the Podman behind a socket writes its events, if its command line tells.

    It does with `--tmpdir`. Behind a socket of systemd's, or where /proc is hidden, nothing does.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(1)
            connection.connect(socket_path)
            credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        pid = int.from_bytes(credentials[:4], sys.byteorder)
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
        return Path(words[words.index("--tmpdir") + 1], "events/events.log")
    except (OSError, ValueError, IndexError):
        return None


def _configuration_files(uid: int, environment: Mapping[str, str]) -> list[Path]:
    """Return the containers.conf files that count, the last one most."""
    if alone := environment.get("CONTAINERS_CONF"):
        mains = [Path(alone)]
    else:
        mains = [Path(name) for name in _SYSTEM_CONF]
        home = environment.get("XDG_CONFIG_HOME") or environment.get("HOME", "") + "/.config"
        if uid and home.startswith("/"):
            mains.append(Path(home, "containers/containers.conf"))
    files = []
    for main in mains:
        files.append(main)
        if not alone:
            files += sorted(main.with_name("containers.conf.d").glob("*.conf"))
    override = environment.get("CONTAINERS_CONF_OVERRIDE")
    return [*files, Path(override)] if override else files


def _engine(files: list[Path]) -> dict[str, str]:
    """Return the texts of the tables `[engine]`, merged; a file that cannot be read adds none."""
    merged: dict[str, str] = {}
    for file in files:
        with suppress(OSError, ValueError):
            engine = tomllib.loads(file.read_text()).get("engine")
            if isinstance(engine, dict):
                merged |= {key: value for key, value in engine.items() if isinstance(value, str)}
    return merged


# ---- what it says -------------------------------------------------------------------------------


def change_of(line: bytes) -> str | None:
    """Return the id to read again for a line of the file, as `bell` does for the API's events.

    None for what is no event: then the stream will tell.
    """
    try:
        raw = json.loads(line)
        return bell(_as_api(raw)) if isinstance(raw, dict) else None
    except (ValueError, RecursionError):  # EventError is a ValueError
        return None


def _as_api(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a line of the file as the API tells it (4.3.1; the names are the same in 5.8)."""
    kind, action, identity = raw.get("Type"), raw.get("Status"), raw.get("ID", "")
    return {"Type": kind, "Action": action, "Actor": {"ID": identity}}


class EventsFile:
    """The file, followed from its end. Podman replaces it at 1 MB by one with its newer half."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: FileIO | None = None
        self._rest = bytearray()

    def open(self) -> None:
        """Follow the file that is there now, from its end. Raises OSError."""
        self.close()
        # Neither a pipe nor a link to somewhere else: the file may be a user's, and we be root.
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
        number = os.open(self._path, flags)
        if not stat.S_ISREG(os.fstat(number).st_mode):
            os.close(number)
            raise OSError(f"{self._path} is no file")
        self._file = FileIO(number)
        self._file.seek(0, os.SEEK_END)

    def close(self) -> None:
        """Follow nothing."""
        if self._file is not None:
            self._file.close()
        self._file = None
        self._rest.clear()

    def is_current(self) -> bool:
        """Tell whether the file followed is the one at the path, and was not cut."""
        if self._file is None:
            return False
        try:
            there, ours = self._path.stat(), os.fstat(self._file.fileno())
        except OSError:
            return False
        return os.path.samestat(there, ours) and there.st_size >= self._file.tell()

    def appended(self) -> Iterator[bytes]:
        """Yield the lines that were completed since the last call, also of a file now replaced."""
        while self._file is not None and (data := self._file.read(_CHUNK)):
            yield from split_lines(self._rest, data)
            if len(self._rest) > LONGEST_LINE:
                self._rest.clear()


# ---- the bell -----------------------------------------------------------------------------------


class EarlyBell(threading.Thread):
    """Rings the wakeup for each event that Podman writes to a file, until it is stopped.

    What goes wrong costs nothing but the earliness: it is logged for debugging, and tried again.
    """

    def __init__(self, name: str, wakeup: Wakeup, path: Path) -> None:
        """Follow the file at `path`, which may come later; ring as `podman:NAME`."""
        super().__init__(name=f"early {name or 'podman'}", daemon=True)
        self.healthy = False
        """Whether the file is followed now. Written by this thread only; read by any."""
        self._source = f"podman:{name}"
        self._wakeup = wakeup
        self._path = path
        self._file = EventsFile(path)
        self._folder = _Folder(path)
        self._stopped = False
        self._begun = False
        self._last_error = ""

    def run(self) -> None:
        """Look at the file whenever its folder says so, and every few seconds."""
        while not self._stopped:
            self._folder.told.clear()
            try:
                self._folder.watch()
                self._look()
                self.healthy, self._last_error = True, ""
            except OSError as error:
                self._note(str(error))
            self._begun = True
            self._folder.told.wait(PAUSE)
        self.healthy = False
        self._folder.leave()
        self._file.close()

    def stop(self) -> None:
        """End the thread, and wait for it at most 1 s."""
        self._stopped = True
        self._folder.told.set()
        if self.is_alive() and threading.current_thread() is not self:
            self.join(1)

    def _look(self) -> None:
        """Ring for what is new. Raises OSError if there is no file."""
        for line in self._file.appended():
            changed = change_of(line)
            if changed is not None:
                self._wakeup.ring(self._source, changed)
        if not self._file.is_current():
            self._file.open()
            if self._begun:  # else the stream, which begins too, rings for everything
                self._wakeup.ring(self._source, EVERYTHING)

    def _note(self, error: str) -> None:
        self.healthy = False
        if error != self._last_error:
            log.debug("%s: no early events: %s", self._source.rstrip(":"), error)
        self._last_error = error


class _Folder(FileSystemEventHandler):
    """Watches the folder of one file with inotify: the file itself may be replaced."""

    def __init__(self, path: Path) -> None:
        self.told = threading.Event()
        """Set for everything that happens to the file."""
        self._path = path
        self._observer: BaseObserver | None = None
        self._identity = (0, 0)

    def watch(self) -> None:
        """Watch the folder, unless it is watched already. Raises OSError if that is impossible."""
        now = self._path.parent.stat()
        if self._is_watched() and self._identity == (now.st_dev, now.st_ino):
            return
        self.leave()
        observer = Observer()
        observer.schedule(self, str(self._path.parent), event_filter=_TELLING)
        observer.start()
        self._observer, self._identity = observer, (now.st_dev, now.st_ino)

    def leave(self) -> None:
        """Watch nothing."""
        if self._observer is not None:
            self._observer.stop()
            self._observer.join(1)
            self._observer = None

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Wake the thread for what happens to the file; others may live in its folder."""
        about = {os.fsdecode(event.src_path), os.fsdecode(event.dest_path)}
        if event.is_directory or str(self._path) in about:
            self.told.set()

    def _is_watched(self) -> bool:
        # The emitter of a folder that was removed ends, whatever inode a new one gets.
        return self._observer is not None and all(
            emitter.is_alive() for emitter in self._observer.emitters
        )
