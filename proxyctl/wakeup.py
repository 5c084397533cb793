"""The doorbell: many threads ring, one worker wakes. The only shared mutable object there is.

A ring says *that* something changed and where to look, never what is true.
"""

import threading
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ring:
    """One ring: who rang, and which object (a Podman id) to read again; "" is everything."""

    source: str
    """`podman:NAME`, `files`, `signal`, `timer`, `api`."""
    changed: str = ""


class Postponed(Exception):  # noqa: N818 - what happened to it
    """Somebody rings: what was begun and can wait is left, before it has done anything."""


class Wakeup:
    """A doorbell: rings in a burst are one, but none waits for ever."""

    def __init__(self, *, quiet: float = 0.002, patience: float = 0.01) -> None:
        """Wait `quiet` seconds after the last ring, at most `patience` after the first."""
        self._quiet = quiet
        self._patience = patience
        self._condition = threading.Condition()
        self._rings: set[Ring] = set()
        self._last = 0.0
        self._closed = False

    def ring(self, source: str, changed: str = "") -> None:
        """Wake the worker. Safe from any thread, and from a signal handler's thread."""
        with self._condition:
            self._rings.add(Ring(source, changed))
            self._last = time.monotonic()
            self._condition.notify()

    def close(self) -> None:
        """Wake the worker for the last time: `wait` returns at once, now and ever after."""
        with self._condition:
            self._closed = True
            self._condition.notify()

    @property
    def closed(self) -> bool:
        """Tell whether `close` was called."""
        return self._closed

    def cover(self) -> None:
        """Forget the rings for everything: the caller reads everything from now on."""
        with self._condition:
            self._rings = {ring for ring in self._rings if ring.changed}

    @property
    def rung(self) -> bool:
        """Tell whether `wait` would return at once."""
        return bool(self._rings) or self._closed

    def wait(self, timeout: float) -> frozenset[Ring]:
        """Return the rings since the last call; none after `timeout` seconds or when closed."""
        with self._condition:
            self._condition.wait_for(lambda: self._rings or self._closed, timeout)
            first = time.monotonic()
            while self._rings and not self._closed:
                now = time.monotonic()
                rest = min(self._last + self._quiet, first + self._patience) - now
                if rest <= 0:
                    break
                self._condition.wait(rest)
            rings, self._rings = frozenset(self._rings), set()
            return rings
