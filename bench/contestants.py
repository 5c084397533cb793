"""Who is measured: a manager of routes, started as its file under managers/ says.

managers/NAME.toml has the keys of `Contestant`; managers/NAME.sh starts it, stays in the
foreground, and finds in its environment:

    PORT            where the proxy has to listen, on 127.0.0.1
    PODMAN_SOCK     the socket of Podman's API: the lab's, or the bench's imitation of one
    HOSTS           a file with a line "HOST ADDRESS [ADDRESS]" for each fixed address: for those
                    who know before what will be
    WORK            an empty folder of its own
    TRAEFIK         the program of Traefik
"""

import socket
import subprocess
import time
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from group import Group, memory_of
from lab import FOLDER, SOCKET

_MANAGERS = Path(__file__).resolve().parent / "managers"
TRAEFIK = Path(__file__).resolve().parent / ".venv/bin/traefik"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """A manager file. In labels {host} is replaced, and {key}: the host without dots."""

    name: str
    title: str
    """What it is, for the reader of the table."""
    version: tuple[str, ...]
    """A command whose first line of output tells the version."""
    program: str
    """Its own process, by name (`comm`); "" if it has none but the proxy."""
    proxy: str
    """The process that answers requests, by name."""
    labels: tuple[str, ...] = ()
    group_labels: tuple[str, ...] = ()
    """More labels, for units that share a host."""
    fixed_addresses: bool = False
    """Whether its units must have the addresses of HOSTS."""
    lone_in: tuple[str, ...] = ()
    """Scenarios in which its units are lone containers, whatever was asked for: of a pod it sees
    the infra container alone, and what happens there is not what is measured."""
    master_socket: str = ""
    """HAProxy's `-S` socket in WORK, to count reloads."""
    fakeable: bool = True
    """Whether it can follow the imitation of Podman's API."""

    def labels_for(self, host: str, *, grouped: bool = False) -> list[str]:
        """Return the labels that publish a unit as `host`."""
        labels = self.labels + (self.group_labels if grouped else ())
        return [one.format(host=host, key=host.replace(".", "-")) for one in labels]

    def told_version(self) -> str:
        """Return its version; "" if its program cannot be run."""
        command = [word.format(traefik=TRAEFIK) for word in self.version]
        try:
            done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=20)
        except (OSError, subprocess.SubprocessError):
            return ""
        return " ".join(done.stdout.split("\n")[0].split())


def by_unit(
    chosen: Sequence[Contestant], scenario: str, *, pods: bool
) -> list[tuple[bool, list[Contestant]]]:
    """Return who publishes pods (True) and who lone containers in a scenario."""
    lone = [one for one in chosen if not pods or scenario in one.lone_in]
    rest = [one for one in chosen if one not in lone]
    return [(kind, group) for kind, group in ((True, rest), (False, lone)) if group]


def titles(chosen: Sequence[Contestant], scenario: str, *, pods: bool) -> dict[str, str]:
    """Return what the contestants are called in the table of a scenario."""
    return {
        one.name: f"{one.title} (lone containers)"
        if pods and scenario in one.lone_in
        else one.title
        for one in chosen
    }


def known() -> list[str]:
    """Return the names of all managers."""
    return sorted(path.stem for path in _MANAGERS.glob("*.toml"))


def read(name: str) -> Contestant:
    """Return the manager of that name."""
    table = tomllib.loads((_MANAGERS / f"{name}.toml").read_text())
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in table.items()
    }
    return Contestant(name=name, **values)


class Running:
    """A started contestant; leaving the context ends all that it started."""

    def __init__(
        self,
        contestant: Contestant,
        *,
        port: int = 80,
        podman: str = SOCKET,
        hosts: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.contestant = contestant
        self.port = port
        self._work = FOLDER / contestant.name
        subprocess.run(["rm", "-rf", self._work], check=True)
        self._work.mkdir(parents=True)
        table = self._work / "hosts"
        table.write_text("".join(f"{host} {' '.join(to)}\n" for host, to in (hosts or {}).items()))
        self.group = Group(contestant.name)
        self.started = time.monotonic_ns()
        self._popen = self.group.start(
            ["/bin/bash", str(_MANAGERS / f"{contestant.name}.sh")],
            folder=self._work,
            log=FOLDER / f"{contestant.name}.log",
            env={
                "PORT": str(port),
                "PODMAN_SOCK": podman,
                "HOSTS": str(table),
                "WORK": str(self._work),
                "TRAEFIK": str(TRAEFIK),
            },
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._popen.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._popen.wait(3)
        self.group.end()
        self._popen.wait()

    def ask(self, host: str, *, timeout: float = 1) -> str:
        """Send one request; return the status of the answer, "" if there was none."""
        request = f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
        with (
            suppress(OSError),
            socket.create_connection(("127.0.0.1", self.port), timeout) as sock,
        ):
            sock.settimeout(timeout)
            sock.sendall(request)
            return sock.recv(4096).split(b" ")[1].decode()
        return ""

    def await_answer(self, host: str, *, wanted: bool = True, timeout: float = 60) -> float:
        """Ask until a unit answers (or none does any more); return the ms since the start."""
        deadline = time.monotonic() + timeout
        while (self.ask(host) == "200") != wanted:
            if self._popen.poll() is not None:
                raise RuntimeError(f"{self.contestant.name} ended: {self._last_words()}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"{host} after {timeout:.0f} s: {self._last_words()}")
            time.sleep(0.002)
        return (time.monotonic_ns() - self.started) / 1e6

    def reloads(self) -> int | None:
        """Return how often HAProxy was reloaded since its start; None where nobody counts."""
        if not self.contestant.master_socket:
            return None
        path = str(self._work / self.contestant.master_socket)
        for _ in range(100):
            with suppress(OSError, StopIteration):
                lines = _told_by(path, b"show proc\n").splitlines()
                return int(next(line.split() for line in lines if " master " in line)[2])
            time.sleep(0.1)  # a master that has just been started or reloaded refuses
        raise TimeoutError(f"{path} does not answer")

    def memory(self) -> dict[str, float]:
        """Return MB by process name, largest process of a name."""
        names = {self.contestant.program, self.contestant.proxy} - {""}
        return {
            name: max(map(memory_of, self.group.pids(name)), default=0.0) for name in sorted(names)
        }

    def _last_words(self) -> str:
        log = (FOLDER / f"{self.contestant.name}.log").read_text(errors="replace")
        return " | ".join(log.splitlines()[-5:])


def _told_by(path: str, command: bytes) -> str:
    """Return the answer to a command on a socket of HAProxy."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(5)
        sock.connect(path)
        sock.sendall(command)
        sock.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: sock.recv(65536), b"")).decode()
