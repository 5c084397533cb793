"""One proxyctl for one HAProxy: a lock on a file, which the kernel lets go when we die."""

import fcntl
import os
from pathlib import Path

from proxyctl.problems import ProxyctlError


class AlreadyRunning(ProxyctlError):  # noqa: N818
    """Another proxyctl works on the same folder; it does by itself what was asked for."""

    exit_code = 75


class Lock:
    """Held from `take` to the end of the process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def take(self) -> None:
        """Take the lock; raises AlreadyRunning."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            raise AlreadyRunning(
                f"another proxyctl runs on {self._path.parent}; it carries out every change"
            ) from None
