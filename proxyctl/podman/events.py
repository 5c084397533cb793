"""The doorbell's wire: follows Podman's events and rings. Knows nothing of what is true.

A ring says which object to read again; "" says everything, and stands for all that could have been
missed: on every connection, on its end, and when Podman turns its log over.
"""

import json
import logging
import random
import socket
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from proxyctl.podman.client import PodmanApi
from proxyctl.problems import SourceUnavailable
from proxyctl.wakeup import Wakeup

log = logging.getLogger(__name__)

EVERYTHING = ""

FIRST_DELAY, LONGEST_DELAY = 0.1, 5.0
"""Seconds between two attempts to connect: doubled each time, then made random (full jitter)."""

_SILENT_TYPES = ("image", "volume", "secret", "artifact", "machine")
_SILENT_ACTIONS = ("exec", "exec_died", "attach", "commit", "export", "mount", "unmount", "sync")
"""What cannot change a workload. An action that we do not know rings."""

_FAILURES = (OSError, ValueError, TypeError, AttributeError, SourceUnavailable)
"""A stream that ends, is cut, or says what is no event (podman-py and urllib3 mix families)."""


class EventError(ValueError):
    """The stream sent something that is not an event."""


def bell(event: Mapping[str, Any]) -> str | None:
    """Return the id to read again for an event, "" for everything, None for nothing.

    Raises EventError. Podman 4.3.1 sends its errors inside the stream, as objects without `Type`.
    """
    kind, action, actor = event.get("Type"), event.get("Action"), event.get("Actor")
    if not isinstance(kind, str):
        raise EventError(str(event.get("message") or event)[:200])
    if kind in _SILENT_TYPES or (kind == "container" and action in _SILENT_ACTIONS):
        return None
    identity = actor.get("ID") if isinstance(actor, Mapping) else None
    if kind in ("container", "pod"):
        return identity if isinstance(identity, str) else EVERYTHING
    if kind == "network":
        # Of connect and disconnect, the actor is the container (4.3.1 to 5.8).
        known = isinstance(identity, str) and action in ("connect", "disconnect")
        return identity if known else None
    return EVERYTHING


def split_lines(rest: bytearray, data: bytes) -> list[bytes]:
    """Return the lines that `data` completes; what is left of the last one stays in `rest`.

    Lines have no limit: labels of 200 kB come in events of 200 kB.
    """
    if b"\n" not in data:
        rest += data
        return []
    head, *tail = data.split(b"\n")
    lines = [bytes(rest) + head, *tail[:-1]]
    rest[:] = tail[-1]
    return [line for line in lines if line.strip()]


class EventThread(threading.Thread):
    """Rings the wakeup for what happens on one Podman, until it is stopped."""

    def __init__(self, name: str, connect: Callable[[], PodmanApi], wakeup: Wakeup) -> None:
        """Follow what `connect` returns (for this thread alone); ring as `podman:NAME`."""
        super().__init__(name=f"events {name or 'podman'}", daemon=True)
        self.healthy = False
        """Whether the stream is open now. Written by this thread only; read by any."""
        self.last_error = ""
        """Why it was closed last; "" while it is open."""
        self._source = f"podman:{name}"
        self._connect = connect
        self._wakeup = wakeup
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._attempts = 0

    def run(self) -> None:
        """Follow the stream, and open it again whenever it ends."""
        while not self._stopped.is_set():
            try:
                self._follow()
                self._note("Podman closed the stream of events")
            except _FAILURES as error:
                self._note(str(error))
            self._stopped.wait(self._delay())

    def stop(self) -> None:
        """End the thread: at once if the stream is open, and wait for it at most 0.3 s."""
        self._stopped.set()
        with self._lock:
            if self._socket is not None:
                _shut(self._socket)
        if self.is_alive() and threading.current_thread() is not self:
            self.join(0.3)

    def _follow(self) -> None:
        """Read one stream until it ends. Raises whatever ended it."""
        api = self._connect()
        try:
            # Whatever happened before is covered by the full read that the ring below asks for.
            response = api.open_events(int(time.time()) - 1)
            with self._lock:
                self._socket = _own(response)
            if self._stopped.is_set():
                return
            self._wakeup.ring(self._source, EVERYTHING)
            self.healthy, self.last_error = True, ""  # in this order: who waits for it takes both
            self._ring_for(response)
        finally:
            with self._lock:
                self._socket = None
            api.close()

    def _ring_for(self, response: Any) -> None:
        rest = bytearray()
        for data in response.iter_content(chunk_size=None):
            for line in split_lines(rest, data):
                changed = bell(_parsed(line))
                self._attempts = 0
                if changed is not None:
                    self._wakeup.ring(self._source, changed)

    def _note(self, error: str) -> None:
        """Remember why the stream ended, and have everything read if it had been open."""
        if self._stopped.is_set():
            self.healthy = False
            return
        if self.healthy:
            self._wakeup.ring(self._source, EVERYTHING)
        if error != self.last_error:
            log.warning("%s: no events: %s", self._source.rstrip(":"), error)
        self.healthy, self.last_error = False, error

    def _delay(self) -> float:
        ceiling = min(FIRST_DELAY * 2**self._attempts, LONGEST_DELAY)
        self._attempts = min(self._attempts + 1, 16)
        return random.uniform(0, ceiling)


def _parsed(line: bytes) -> Mapping[str, Any]:
    event = json.loads(line)
    if not isinstance(event, Mapping):
        raise EventError(f"{line[:60]!r} is not an event")
    return event


def _own(response: Any) -> socket.socket:
    """Return the socket of an open response, without a timeout: silence is no failure.

    Closing the response from another thread would wait for the next event (podman-py 5.8.0);
    shutting the socket down ends the read at once.
    """
    owned: socket.socket = response.raw.connection.sock
    owned.settimeout(None)
    return owned


def _shut(owned: socket.socket) -> None:
    try:
        owned.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it is closed already, which is what we want
