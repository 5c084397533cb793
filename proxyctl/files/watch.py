"""Rings when a file that we read changes. watchdog tells; what changed is read again."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from watchdog.events import (
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer

from proxyctl.wakeup import Wakeup

_TELLING = [FileClosedEvent, FileCreatedEvent, FileDeletedEvent, FileModifiedEvent, FileMovedEvent]


class Watch(FileSystemEventHandler):
    """Watches folders and all below them, those that exist."""

    def __init__(self, folders: Iterable[Path], wakeup: Wakeup) -> None:
        self._wakeup = wakeup
        self._observer = Observer()
        for folder in filter(Path.is_dir, folders):
            self._observer.schedule(self, str(folder), recursive=True, event_filter=_TELLING)

    def start(self) -> None:
        """Begin to watch; without inotify the periodic re-read has to do."""
        with suppress(OSError):
            self._observer.start()

    def stop(self) -> None:
        """Stop watching."""
        if self._observer.is_alive():
            self._observer.stop()
            self._observer.join(timeout=1)

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Ring for whatever happened: what is true is on the disk."""
        del event
        self._wakeup.ring("files")
