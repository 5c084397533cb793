"""Mode embedded: HAProxy as a process of our own, which nevertheless outlives us.

It runs in a session of its own and writes to a file, so that neither a signal to us nor the end
of our terminal reaches it. Killing a worker by force ends its master too (status 137, all
versions): whether it is alive is asked of the system, every time.
"""

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from proxyctl.haproxy.answers import parse_alerts, parse_proc
from proxyctl.haproxy.files import Layout
from proxyctl.haproxy.reloading import expect_worker
from proxyctl.haproxy.socket import RuntimeSocket
from proxyctl.problems import ConfigRejected, HAProxyUnavailable

_POLL = 0.02


class EmbeddedProcess:
    """A HAProxy master and its worker, started or found."""

    def __init__(self, layout: Layout, *, binary: str = "haproxy", patience: float = 15.0) -> None:
        """Care for the HAProxy of *layout*; starts nothing. `patience`: seconds for a start."""
        self.layout = layout
        self.adopted = False
        """Whether the last `start` found it running."""
        self.pidfile = layout.folder / "haproxy.pid"
        self.log = layout.folder / "haproxy.log"
        self._binary = binary
        self._patience = patience
        self._master = RuntimeSocket(layout.master_socket)
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Return the pid of the master, 0 if it does not run."""
        if self._child and self._child.poll() is None:  # also reaps it
            return self._child.pid
        with suppress(OSError, ValueError):
            pid = int(self.pidfile.read_text(encoding="ascii"))
            if self._is_ours(pid):
                return pid
        with suppress(HAProxyUnavailable):
            pid = parse_proc(self._master.ask_master("show proc")).master
            if self._is_ours(pid):
                return pid
        return 0

    def alive(self) -> bool:
        """Tell whether the master runs now."""
        return self.pid != 0

    def start(self) -> None:
        """Start HAProxy, or adopt the one that runs; return when a worker answers.

        Raises ConfigRejected if it ends at once, HAProxyUnavailable if it cannot be run.
        """
        self.adopted = self.alive()
        if not self.adopted:
            self._spawn()
        self._wait()

    def stop(self, patience: float = 5.0) -> None:
        """End the master with its workers; by force after `patience` seconds."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if not (pid := self.pid):
                break
            with suppress(ProcessLookupError):
                os.kill(pid, number)
            _wait_for_end(self, patience)
        if not self.alive():
            self._forget()

    def said(self) -> str:
        """Return what HAProxy has written since it was started."""
        with suppress(OSError):
            return self.log.read_text(encoding="utf-8", errors="replace")
        return ""

    def _spawn(self) -> None:
        self._forget()
        folder, socket = self.layout.folder, self.layout.master_socket
        arguments = ["-W", "-S", f"{socket},mode,600", "-f", str(self.layout.config)]
        try:
            folder.mkdir(mode=0o750, parents=True, exist_ok=True)
            with self.log.open("wb") as log:
                self._child = subprocess.Popen(
                    [self._binary, *arguments, "-p", str(self.pidfile)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=folder,
                    start_new_session=True,
                )
        except OSError as error:
            raise HAProxyUnavailable(f"{self._binary}: {error.strerror}") from error

    def _wait(self) -> None:
        deadline = time.monotonic() + self._patience
        while self.alive():
            with suppress(HAProxyUnavailable):
                expect_worker(self._master)
                return
            if time.monotonic() > deadline:
                raise HAProxyUnavailable(f"HAProxy (pid {self.pid}) does not answer: {self.log}")
            time.sleep(_POLL)
        alerts = parse_alerts(self.said(), file=str(self.layout.config))
        raise ConfigRejected(alerts or ((None, f"HAProxy ended at once: see {self.log}"),))

    def _forget(self) -> None:
        """Remove what a dead one left: HAProxy does not start over a pidfile it cannot read."""
        for path in (self.pidfile, self.layout.master_socket):
            path.unlink(missing_ok=True)

    def _is_ours(self, pid: int) -> bool:
        """Tell whether a process is a master on our socket: pids are used again."""
        with suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            return os.fsencode(f"{self.layout.master_socket},mode,600") in words
        return False


def _wait_for_end(process: EmbeddedProcess, patience: float) -> None:
    deadline = time.monotonic() + patience
    while process.alive() and time.monotonic() < deadline:
        time.sleep(_POLL)
