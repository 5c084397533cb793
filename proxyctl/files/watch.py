"""Rings when something that we read changes. watchdog tells; what changed is read again.

What is to be watched changes with it: a folder is made, removed, or swapped for another by a
rename or a link. After each event that matters, the trail (`trail.py`) is walked anew; a folder
that is newly watched rings once more, for what happened in it before.
"""

import os
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch

from proxyctl.files.trail import Names, watched
from proxyctl.wakeup import Wakeup

_TELLING: list[type[FileSystemEvent]] = [
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
]
_MOST = 64
"""Folders that are watched: the system has a number of watches for all programs together."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A folder: the inode tells it from another one that has taken its name."""

    path: str
    device: int
    inode: int


class Watch(FileSystemEventHandler):
    """Watches some folders, there or not, and whatever decides what they are."""

    def __init__(self, folders: Iterable[Path], wakeup: Wakeup) -> None:
        self._folders = tuple(folders)
        self._wakeup = wakeup
        self._observer: BaseObserver | None = None
        self._interest: Mapping[Path, Names] = {}
        self._armed: dict[_Place, ObservedWatch | None] = {}
        """None: it cannot be watched, and is not tried again."""
        self._removed: set[str] = set()
        """Folders whose watch the kernel has ended; the inode may be another's by now."""
        self._lock = threading.Lock()
        """For `_removed` only: watchdog's thread adds to it, ours takes from it."""
        self._stale = threading.Event()
        self._stopped = False
        self._thread = threading.Thread(target=self._follow, name="watch", daemon=True)

    def start(self) -> None:
        """Begin to watch; without inotify the periodic re-read has to do."""
        with suppress(OSError):
            self._observer = Observer()
            self._observer.start()
            self._arm()
            self._thread.start()

    def stop(self) -> None:
        """Stop watching."""
        self._stopped = True
        self._stale.set()
        if self._thread.is_alive():
            self._thread.join(timeout=1)
        if self._observer and self._observer.is_alive():
            self._observer.stop()
            self._observer.join(timeout=1)

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Ring if it is one of ours: what is true is on the disk."""
        paths = [Path(os.fsdecode(path)) for path in (event.src_path, event.dest_path) if path]
        if not any(map(self._matters, paths)):
            return
        if isinstance(event, DirDeletedEvent | DirMovedEvent | FileDeletedEvent):
            with self._lock:
                self._removed.add(str(paths[0]))
        self._wakeup.ring("files")
        self._stale.set()

    def _matters(self, path: Path) -> bool:
        names = self._interest.get(path.parent, frozenset())
        return names is None or path.name in names or path in self._interest

    def _follow(self) -> None:
        while self._stale.wait() and not self._stopped:
            self._stale.clear()
            if self._arm():
                self._wakeup.ring("files")

    def _arm(self) -> bool:
        """Watch what is to be watched now; tell whether any of it is new."""
        is_new = False
        while not self._stopped:  # until nothing has changed while it was being watched
            interest = watched(self._folders)
            wanted = _places(interest)
            with self._lock:
                removed, self._removed = self._removed, set()
            # Before the watches, so that no event of theirs is taken for a stranger's.
            self._interest = interest
            for place in [*self._armed]:
                if place not in wanted or place.path in removed:
                    self._disarm(place)
            missing = [place for place in wanted if place not in self._armed]
            if not missing:
                break
            is_new = True
            for place in missing:
                self._armed[place] = self._schedule(place)
        return is_new

    def _schedule(self, place: _Place) -> ObservedWatch | None:
        assert self._observer
        with suppress(OSError):  # gone meanwhile, not ours to read, or no watch is left
            return self._observer.schedule(self, place.path, event_filter=_TELLING)
        return None

    def _disarm(self, place: _Place) -> None:
        assert self._observer
        if watch := self._armed.pop(place):
            with suppress(KeyError):
                self._observer.unschedule(watch)


def _places(interest: Iterable[Path]) -> tuple[_Place, ...]:
    found: list[_Place] = []
    for path in [*interest][:_MOST]:
        with suppress(OSError):
            stat = path.stat()
            found.append(_Place(str(path), stat.st_dev, stat.st_ino))
    return tuple(found)
