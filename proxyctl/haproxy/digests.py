"""The digests of HAProxy's files on disk; what is as it was is not read again.

A file is as it was if its inode, size and times are: a rewrite that keeps the size, or sets the
old mtime, still moves the ctime. But a file system's clock ticks every few milliseconds only: a
file that has just changed may do so again within its tick, and is read until that cannot be.
"""

import time
from pathlib import Path

from proxyctl.haproxy import files
from proxyctl.haproxy.files import Layout
from proxyctl.state.digest import digest

_TICK = 1_000_000_000
"""Nanoseconds: more than any file system's clock stands still."""

_Print = tuple[int, int, int, int, int]


class Digests:
    """Remembers the digests of one folder's files; belongs to one thread."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._known: dict[str, tuple[_Print, str]] = {}

    def read(self) -> dict[str, str]:
        """Return the digests by name relative to the folder; what is missing is missing.

        Raises NotPermitted or HAProxyUnavailable.
        """
        before, self._known = self._known, {}
        found: dict[str, str] = {}
        with files.explained(self._layout.folder):
            for name, path in files.present(self._layout):
                now = time.time_ns()
                print_ = _print(path)
                known, value = before.get(name, (None, ""))
                if known != print_:
                    value = digest(files.read(path))
                found[name] = value
                if now - print_[-1] > _TICK:
                    self._known[name] = (print_, value)
        return found


def _print(path: Path) -> _Print:
    stat = path.stat()
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
