"""The real Podman of the lab (tests/lab/lab.sh): pods, and when what happened to them.

A unit is a pod with one container, NAME-app, or a lone container NAME. Times are CLOCK_MONOTONIC
in ns, as those of load.py.
"""

import datetime as dt
import json
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

SOCKET = "/run/podman/podman.sock"
IMAGE = "localhost/bench-web"
FOLDER = Path("/run/lab/bench")
_EVENTS = Path("/run/libpod/events/events.log")


class Event(NamedTuple):
    """A line of Podman's log of events."""

    at: int
    action: str
    name: str


class Took(NamedTuple):
    """When a command of Podman was given, and when it had ended."""

    begin: int
    end: int

    @property
    def ms(self) -> float:
        """Return how long it took."""
        return (self.end - self.begin) / 1e6


class Lab:
    """Makes and removes units."""

    def __init__(self, web: Path, *, pods: bool) -> None:
        """Make the image of the program `web`; units are pods, or lone containers."""
        self.pods = pods
        """Whether a new unit is a pod."""
        self._units: list[str] = []
        root = FOLDER / "image"
        root.mkdir(parents=True)
        (root / "web").write_bytes(web.read_bytes())
        (root / "web").chmod(0o755)
        tar = subprocess.run(["tar", "-C", root, "-c", "web"], check=True, capture_output=True)
        change = ["--change", 'ENTRYPOINT ["/web"]']
        command = ["podman", "import", "--quiet", *change, "-", IMAGE]
        subprocess.run(command, check=True, input=tar.stdout, capture_output=True)
        self.events = Events()

    def create(self, name: str, labels: Sequence[str] = (), *, address: str = "") -> Took:
        """Create and start a unit; `address`: a fixed one."""
        options = [f"--label={label}" for label in labels] + ([f"--ip={address}"] * bool(address))
        run = ["run", "--detach", f"--env=ID={name}"]
        self._units.append(name)
        begin = time.monotonic_ns()
        if self.pods:
            podman("pod", "create", f"--name={name}", *options)
            podman(*run, f"--pod={name}", f"--name={name}-app", IMAGE)
        else:
            podman(*run, f"--name={name}", *options, IMAGE)
        return Took(begin, time.monotonic_ns())

    def stop(self, name: str) -> Took:
        """Stop a unit in good order: SIGTERM, and 5 s to finish."""
        return _timed(*self._pod_or_not(), "stop", "--time=5", name)

    def kill(self, name: str) -> Took:
        """Kill the program of a unit."""
        return _timed("kill", "--signal=KILL", self.app(name))

    def remove(self, name: str) -> Took:
        """Remove a unit at once; nothing is done if it is gone."""
        if name not in self._units:
            now = time.monotonic_ns()
            return Took(now, now)
        self._units.remove(name)
        return _timed(*self._pod_or_not(), "rm", "--force", "--time=0", name)

    def clear(self) -> None:
        """Remove all units."""
        if self._units:
            podman("pod", "rm", "--all", "--force", "--time=0", check=False)
            podman("rm", "--all", "--force", "--time=0", check=False)
        self._units.clear()

    def app(self, name: str) -> str:
        """Return the name of a unit's own container."""
        return f"{name}-app" if self.pods else name

    def address(self, name: str) -> str:
        """Return the address of a running unit."""
        return address_of(self.app(name))

    def _pod_or_not(self) -> tuple[str, ...]:
        return ("pod",) if self.pods else ()


class Events(threading.Thread):
    """Follows the file that Podman's API reads every 250 ms: it is known here within 2 ms."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._seen: list[Event] = []
        self._news = threading.Condition()
        self.start()

    def run(self) -> None:
        """Read for ever; the file is there as soon as an image is."""
        with _EVENTS.open(encoding="utf-8") as file:
            rest = ""
            while True:
                rest += file.read()
                *lines, rest = rest.split("\n")
                if lines:
                    self._add(lines)
                time.sleep(0.002)

    def get(self, action: str, name: str, *, after: int = 0, timeout: float = 5) -> Event:
        """Return the first such event; waits for it. Raises TimeoutError."""

        def find() -> Event | None:
            matches = (one for one in self._seen if one[1:] == (action, name) and one.at > after)
            return next(matches, None)

        with self._news:
            event = self._news.wait_for(find, timeout)
        if not event:
            raise TimeoutError(f"no event {action} of {name}")
        return event

    def _add(self, lines: Sequence[str]) -> None:
        offset = time.time_ns() - time.monotonic_ns()
        with self._news:
            for line in lines:
                raw = json.loads(line)
                at = _nanoseconds(raw["Time"]) - offset
                self._seen.append(Event(at, raw["Status"], raw.get("Name", "")))
            self._news.notify_all()


def podman(*words: str, check: bool = True) -> str:
    """Run `podman`; return what it prints. Raises RuntimeError with what it complains about."""
    done = subprocess.run(
        ["podman", *words], check=False, capture_output=True, text=True, timeout=60
    )
    if check and done.returncode:
        raise RuntimeError(f"podman {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout.strip()


def address_of(container: str) -> str:
    """Return the address of a container on its one network; a pod's containers share it."""
    template = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    return podman("inspect", "--type=container", f"--format={template}", container)


def _timed(*words: str) -> Took:
    begin = time.monotonic_ns()
    podman(*words)
    return Took(begin, time.monotonic_ns())


def _nanoseconds(text: str) -> int:
    """Return nanoseconds since 1970 of RFC 3339 with any number of digits (and zeros left out)."""
    second, _, zone = text.partition("Z") if text.endswith("Z") else _split_zone(text)
    whole, _, fraction = second.partition(".")
    moment = dt.datetime.fromisoformat(whole + (zone or "+00:00"))
    return int(moment.timestamp()) * 10**9 + int(fraction.ljust(9, "0") or 0)


def _split_zone(text: str) -> tuple[str, str, str]:
    return text[:-6], "", text[-6:]
