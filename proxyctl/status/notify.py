"""sd_notify(3): tells systemd how the service is. Does nothing where systemd did not start us."""

import os
import socket
import time
from collections.abc import Mapping


class Notifier:
    """Sends datagrams to $NOTIFY_SOCKET."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        path = environment.get("NOTIFY_SOCKET", "")
        self._address = f"\0{path[1:]}" if path.startswith("@") else path
        microseconds = environment.get("WATCHDOG_USEC", "")
        self.patience = int(microseconds) / 1_000_000 if microseconds.isdigit() else 0.0
        """Seconds within which systemd wants `alive` to be called; 0: it does not watch."""

    def ready(self, status: str) -> None:
        """Say that the service works."""
        self._send(f"READY=1\nSTATUS={status}")

    def alive(self, status: str) -> None:
        """Say that the worker still turns: call it from nowhere else."""
        self._send(f"WATCHDOG=1\nSTATUS={status}")

    def reloading(self) -> None:
        """Say that the settings are read again; `ready` ends it."""
        microseconds = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send(f"RELOADING=1\nMONOTONIC_USEC={microseconds}")

    def stopping(self) -> None:
        """Say that the service ends."""
        self._send("STOPPING=1")

    def _send(self, text: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            try:
                channel.connect(self._address)
                channel.sendall(text.encode())
            except OSError:
                return  # systemd being away is no reason to stop serving
