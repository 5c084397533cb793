"""HAProxy as a simulation: files on a disk, and a process that was filled from them.

The contract tests show that the real one does the same with the same steps.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import assert_never

from proxyctl.plan.steps import (
    AddBackend,
    AddServer,
    CutSessions,
    Plan,
    PutCertificate,
    PutMapEntry,
    Reload,
    RemoveBackend,
    RemoveCertificate,
    RemoveMapEntry,
    RemoveServer,
    ReplaceMap,
    ServeCertificate,
    SetServerAddress,
    SetServerState,
    SetServerWeight,
    Start,
    Step,
    WriteFiles,
)
from proxyctl.problems import CommandRejected, ConfigRejected, HAProxyAbsent
from proxyctl.state.digest import digest
from proxyctl.state.model import (
    CRT_LIST,
    Quic,
    Running,
    RunningCertificate,
    RunningServer,
    Server,
    ServerState,
)
from proxyctl.state.pem import pairs
from proxyctl.state.render import CONFIG, SECTIONS_MAP


class Crash(Exception):
    """The controller was killed in the middle."""


@dataclass
class SimulatedHAProxy:
    """Implements the reconciler's Proxy."""

    refuses: Callable[[Mapping[str, str]], ConfigRejected | None] = lambda _: None
    alive: bool = True
    pid: int = 1
    version: tuple[int, int, int] = (2, 6, 12)
    disk: dict[str, str] = field(default_factory=dict)
    loaded: dict[str, str] = field(default_factory=dict)
    """The files that the process was filled from."""
    servers: dict[str, dict[str, RunningServer]] = field(default_factory=dict)
    maps: dict[str, dict[str, str]] = field(default_factory=dict)
    certificates: dict[str, RunningCertificate] | None = None
    """File -> certificate; None: no crt-list is loaded."""
    steps: list[Step] = field(default_factory=list)
    checks: int = 0
    observed: int = 0
    """So many times everything was asked."""
    reload_refusal: ConfigRejected | None = None
    """What a reload ends in: the old process goes on, with its files."""
    reloads: int = 0
    """So many were tried."""
    absent: bool = False
    """Its unit does not start it."""
    can_quic: Quic = Quic.NONE
    crash_after: int | None = None
    """So many steps are carried out before `Crash`."""

    def observe(self) -> Running:
        self.observed += 1
        files = {name: digest(text) for name, text in self.disk.items()}
        if not self.alive:
            return Running(alive=False, files=files)
        return Running(
            alive=True,
            version=self.version,
            pid=self.pid,
            sections=dict(self.maps.get(SECTIONS_MAP, {})),
            servers={name: tuple(found.values()) for name, found in self.servers.items()},
            maps={
                name: tuple(sorted(rows.items()))
                for name, rows in self.maps.items()
                if name != SECTIONS_MAP
            },
            certificates=self._certificates(),
            files=files,
        )

    def observe_again(self, known: Running, backends: Collection[str]) -> Running | None:
        if not self.alive or known.pid != self.pid:
            return None
        now = self.observe()
        fresh = {name: now.servers.get(name, ()) for name in backends}
        return replace(known, servers={**known.servers, **fresh})

    def observe_files(self, known: Running) -> Running:
        return replace(known, files={name: digest(text) for name, text in self.disk.items()})

    def pulse(self) -> int:
        return self.pid if self.alive else 0

    def check(self, texts: Mapping[str, str], give_way: Callable[[], None]) -> None:
        self.checks += 1
        give_way()
        if refusal := self.refuses(texts):
            raise refusal

    def quic(self) -> Quic:
        return self.can_quic

    def apply(self, plan: Plan) -> None:
        for step in plan.steps:
            if self.crash_after is not None:
                if self.crash_after == 0:
                    raise Crash
                self.crash_after -= 1
            self.do(step, plan.texts)
            self.steps.append(step)

    def do(self, step: Step, texts: Mapping[str, str]) -> None:
        match step:
            case WriteFiles(names):
                for name in names:
                    self.disk.pop(name, None)
                self.disk |= {name: texts[name] for name in names if name in texts}
            case Start() if self.absent:
                raise HAProxyAbsent("nobody listens on /run/proxyctl-haproxy/master.sock")
            case Reload() if self._is_refused():
                self.disk = dict(self.loaded)
                assert self.reload_refusal
                raise self.reload_refusal
            case Reload() | Start():
                self.fill()
            case AddBackend(backend, _, text):
                if backend in self.servers:
                    raise CommandRejected("name is already used by other proxy")
                self.servers[backend] = {}
                self.maps[SECTIONS_MAP][f"backend/{backend}"] = text
            case RemoveBackend(backend):
                del self.maps[SECTIONS_MAP][f"backend/{backend}"]
                if self.servers[backend]:
                    raise CommandRejected("Only a backend without server can be deleted.")
                del self.servers[backend]
            case AddServer(backend, server):
                if server.name in self._servers(backend):
                    raise CommandRejected("Already exists a server with the same name in backend.")
                self._servers(backend)[server.name] = _running(server)
            case RemoveServer(backend, name):
                del self._servers(backend)[self._known(backend, name)]
            case CutSessions(backend, name):
                self._change(backend, name, sessions=0)
            case SetServerAddress(backend, name, address, port):
                self._change(backend, name, address=address, port=port)
            case SetServerWeight(backend, name, weight):
                self._change(backend, name, weight=weight)
            case SetServerState(backend, name, state):
                self._change(backend, name, state=state)
            case PutMapEntry(file, key, value):
                self.maps[file][key] = value
            case RemoveMapEntry(file, key):
                del self.maps[file][key]
            case ReplaceMap(file, entries):
                self.maps[file] = dict(entries)
            case PutCertificate(certificate):
                self._put(certificate.file, texts[certificate.file])
            case ServeCertificate(file, hosts):
                self._loaded_certificates()[file] = replace(
                    self._loaded_certificates()[file], hosts=hosts
                )
            case RemoveCertificate(file):
                del self._loaded_certificates()[file]
            case _:
                assert_never(step)

    def _is_refused(self) -> bool:
        self.reloads += 1
        return self.reload_refusal is not None

    def fill(self) -> None:
        """Start a worker with what is on disk."""
        self.alive, self.pid, self.loaded = True, self.pid + 1, dict(self.disk)
        self.maps = {
            name: dict(row.split(" ", 1) for row in self._rows(name))
            for name in self.loaded
            if name.startswith("maps/")
        }
        self._fill_certificates()
        self.servers = {}
        backend = ""
        for line in self.loaded[CONFIG].splitlines():
            words = line.split()
            if words[:1] == ["backend"]:
                backend = words[1]
                self.servers[backend] = {}
            elif words[:1] == ["server"] and not words[1].startswith("::"):  # not one of ours
                self.servers[backend][words[1]] = _parsed(words)

    def _fill_certificates(self) -> None:
        self.certificates = {} if CRT_LIST in self.loaded else None
        for row in self._rows(CRT_LIST):
            path, *hosts = row.split()
            file = f"certs/{path.rpartition('/')[2]}"
            self._put(file, self.loaded[file])
            names = tuple(host for host in hosts if host != "!*")
            self.certificates[file] = replace(self.certificates[file], hosts=names)

    def _put(self, file: str, text: str) -> None:
        """Load a certificate: its fingerprint is what it says itself."""
        (pair,) = pairs({file: text.encode()})
        before = self._loaded_certificates().get(file)
        self._loaded_certificates()[file] = RunningCertificate(
            fingerprint=pair.fingerprint,
            hosts=before.hosts if before else None,
            chain=pair.chain,
        )

    def _loaded_certificates(self) -> dict[str, RunningCertificate]:
        if self.certificates is None:
            raise CommandRejected("didn't find the specified filename")
        return self.certificates

    def _certificates(self) -> dict[str, RunningCertificate] | None:
        if self.certificates is None:
            return None
        return {
            file.removeprefix("certs/").removesuffix(".pem"): one
            for file, one in self.certificates.items()
        }

    def _rows(self, name: str) -> list[str]:
        return self.loaded.get(name, "").splitlines()

    def _servers(self, backend: str) -> dict[str, RunningServer]:
        if backend not in self.servers:
            raise CommandRejected("No such backend.")
        return self.servers[backend]

    def _known(self, backend: str, name: str) -> str:
        if name not in self._servers(backend):
            raise CommandRejected("No such server.")
        return name

    def _change(self, backend: str, name: str, **changes: object) -> None:
        server = self._servers(backend)[self._known(backend, name)]
        self.servers[backend][name] = replace(server, **changes)  # type: ignore[arg-type]


def _running(server: Server) -> RunningServer:
    return RunningServer(
        name=server.name,
        address=server.address,
        port=server.port,
        weight=server.weight,
        backup=server.backup,
        state=server.state,
    )


def _parsed(words: list[str]) -> RunningServer:
    address, _, port = words[2].rpartition(":")
    state = ServerState.MAINT if "disabled" in words else ServerState.READY
    return RunningServer(
        name=words[1],
        address=address.strip("[]"),
        port=int(port),
        weight=int(words[words.index("weight") + 1]),
        backup="backup" in words,
        state=state,
    )
