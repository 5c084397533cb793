"""load.py from the outside: what it told, and what that amounts to."""

import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

_LOAD = Path(__file__).resolve().parent / "load.py"
SLOW = 250
"""ms: an answer later than that is counted as slow."""


class Ended(NamedTuple):
    """A request that has ended; see load.py. Times in ns."""

    scheduled: int
    started: int
    done: int
    status: str
    who: str

    @property
    def ok(self) -> bool:
        """Tell whether it was answered by a unit."""
        return self.status == "200"

    @property
    def ms(self) -> float:
        """Return how long it took."""
        return (self.done - self.started) / 1e6


class Manner(NamedTuple):
    """How to ask."""

    rate: float = 200
    """Requests per second."""
    path: str = "/"
    timeout: float = 1
    """Seconds until the client gives up."""
    keep_alive: bool = False
    """Use connections again; else each request has a new one."""
    hold: bool = False
    """Send nothing before `go`."""

    def options(self) -> list[str]:
        """Return the options of load.py."""
        flags = [("--keep-alive", self.keep_alive), ("--hold", self.hold)]
        return [
            f"--rate={self.rate}",
            f"--path={self.path}",
            f"--timeout={self.timeout}",
            *(flag for flag, wanted in flags if wanted),
        ]


class Load:
    """A running load.py; leaving the context ends it."""

    def __init__(self, port: int, host: str, manner: Manner | None = None) -> None:
        options = [f"--to=127.0.0.1:{port}", f"--host={host}", *(manner or Manner()).options()]
        self._popen = subprocess.Popen(
            [sys.executable, "-S", str(_LOAD), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._ended: list[Ended] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.stop()

    def go(self) -> None:
        """Begin to send, if it was told to hold."""
        assert self._popen.stdin
        self._popen.stdin.write(".")
        self._popen.stdin.flush()

    def wait(self, what: Callable[[Sequence[Ended]], bool], timeout: float) -> bool:
        """Wait until `what` holds for what has ended so far; tell whether it did in time."""
        with self._news:
            return self._news.wait_for(lambda: what(self._ended), timeout)

    def stop(self) -> list[Ended]:
        """Send no more, wait for what is under way; return all, in the order of sending."""
        if self._popen.stdin and not self._popen.stdin.closed:
            self._popen.stdin.close()
            try:
                self._popen.wait(30)
            except subprocess.TimeoutExpired:
                self._popen.kill()
            self._reader.join()
        return sorted(self._ended)

    def _read(self) -> None:
        for line in self._popen.stdout or ():
            scheduled, started, done, status, who = line.split()
            with self._news:
                self._ended.append(Ended(int(scheduled), int(started), int(done), status, who))
                self._news.notify_all()


def steady(ended: Sequence[Ended], *, last: int = 60, since: int = 0) -> bool:
    """Tell whether the `last` requests were all answered, and sent after `since`."""
    newest = ended[-last:]
    return len(newest) == last and all(one.ok and one.started > since for one in newest)


def failed(ended: Sequence[Ended]) -> int:
    """Count the requests without an answer of a unit."""
    return sum(not one.ok for one in ended)


def slow(ended: Sequence[Ended]) -> int:
    """Count the requests that were answered late."""
    return sum(one.ok and one.ms > SLOW for one in ended)


def tally(ended: Sequence[Ended]) -> dict[str, Any]:
    """Return the counts that every scenario has."""
    return {
        "requests": len(ended),
        "failed": failed(ended),
        "slow": slow(ended),
        "statuses": dict(sorted(Counter(one.status for one in ended if not one.ok).items())),
        "client_late_ms": max(((one.started - one.scheduled) / 1e6 for one in ended), default=0),
    }


def pause(seconds: float) -> None:
    """Let time pass: the one place where a scenario does nothing."""
    time.sleep(seconds)
