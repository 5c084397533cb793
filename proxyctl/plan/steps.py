"""Every effect that we can have on HAProxy, as values.

`proxyctl diff` prints them, tests compare them, `proxyctl.haproxy` executes them. A new step is a
class here, a line in `Step`, and whatever mypy then complains about.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from proxyctl.state.model import Certificate, Server, ServerState


@dataclass(frozen=True, slots=True)
class WriteFiles:
    """Replace files by the texts of the plan, all validated together beforehand."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AddServer:
    """Add a server to a backend that is loaded, and let it take traffic.

    With `checked_first`, not before its first health check has passed.
    """

    backend: str
    server: Server
    options: tuple[str, ...] = ()
    checked_first: bool = False


@dataclass(frozen=True, slots=True)
class RemoveServer:
    """Take a server out of a backend: no new connection from now on, then delete it.

    If its workload is `gone`, connections that do not end by themselves are cut; else the server
    stays in maintenance until they have ended.
    """

    backend: str
    name: str
    gone: bool = True


@dataclass(frozen=True, slots=True)
class AddBackend:
    """Add a backend that the loaded file does not have, made as the spares of a kind are.

    From then on it counts as loaded, with the digest of the section that it stands for.
    """

    backend: str
    kind: str
    digest: str


@dataclass(frozen=True, slots=True)
class RemoveBackend:
    """Forget a loaded backend that nothing leads to, and that has no servers of workloads.

    What is busy by then stays until the next reload, and counts as loaded no more.
    """

    backend: str


@dataclass(frozen=True, slots=True)
class CutSessions:
    """End what a server still waits for, whose workload is stopped: nobody is there to answer.

    Podman takes the network of a pod away before its processes end, so that HAProxy hears of no
    end. It can wait until everything else is done: most have found out by themselves by then.
    """

    backend: str
    name: str


@dataclass(frozen=True, slots=True)
class SetServerAddress:
    """Point a server at another address; the next request goes there."""

    backend: str
    name: str
    address: str
    port: int


@dataclass(frozen=True, slots=True)
class SetServerWeight:
    """Change a server's share of the traffic, 0 to 256."""

    backend: str
    name: str
    weight: int


@dataclass(frozen=True, slots=True)
class SetServerState:
    """Make a server ready, drain it, or put it into maintenance."""

    backend: str
    name: str
    state: ServerState


@dataclass(frozen=True, slots=True)
class PutMapEntry:
    """Add an entry to a loaded map, or change its value."""

    map: str
    key: str
    value: str


@dataclass(frozen=True, slots=True)
class RemoveMapEntry:
    """Remove an entry from a loaded map."""

    map: str
    key: str


@dataclass(frozen=True, slots=True)
class ReplaceMap:
    """Replace all entries of a loaded map as one transaction: no request sees half of it."""

    map: str
    entries: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class PutCertificate:
    """Load a certificate, or replace it as one transaction; its contents are the plan's text."""

    certificate: Certificate


@dataclass(frozen=True, slots=True)
class ServeCertificate:
    """Serve a certificate that is loaded for these names, and for no others."""

    file: str
    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RemoveCertificate:
    """Serve a certificate no longer, and forget it."""

    file: str


@dataclass(frozen=True, slots=True)
class Reload:
    """Start a new worker with the files and let the old one finish: needs at least one reason."""

    reasons: tuple[str, ...]
    unproven: tuple[AddServer, ...] = ()
    """The servers that are `checked_first` and new to the process, or in maintenance in it."""

    def __post_init__(self) -> None:
        if not self.reasons:
            raise ValueError("a reload needs a reason")


@dataclass(frozen=True, slots=True)
class Start:
    """HAProxy does not run: start it (mode embedded); its own unit is to (own, attach)."""

    unproven: tuple[AddServer, ...] = ()
    """The servers that are `checked_first`."""


Step = (
    WriteFiles
    | AddBackend
    | RemoveBackend
    | AddServer
    | RemoveServer
    | CutSessions
    | SetServerAddress
    | SetServerWeight
    | SetServerState
    | PutMapEntry
    | RemoveMapEntry
    | ReplaceMap
    | PutCertificate
    | ServeCertificate
    | RemoveCertificate
    | Reload
    | Start
)
Cost = Literal["noop", "file", "runtime", "reload", "start"]
_DEAREST_FIRST: tuple[Cost, ...] = ("start", "reload", "runtime", "file")


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do, in order. An empty plan means that HAProxy is what it should be."""

    steps: tuple[Step, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Name -> contents of every file of the configuration, changed or not."""

    @property
    def urgent(self) -> "Plan":
        """Return the steps that need no file and no reload: what moves traffic at once."""
        return Plan(tuple(s for s in self.steps if cost_of(s) == "runtime"), self.texts)

    @property
    def cost(self) -> Cost:
        """Return the dearest kind of step: what the counters count."""
        return dearest(cost_of(step) for step in self.steps)


def dearest(costs: Iterable[Cost]) -> Cost:
    """Return the dearest of *costs*, `noop` if there are none."""
    kinds = set(costs)
    return next((cost for cost in _DEAREST_FIRST if cost in kinds), "noop")


def cost_of(step: Step) -> Cost:
    """Return what a step costs HAProxy."""
    match step:
        case WriteFiles() | CutSessions():
            return "file"
        case Reload():
            return "reload"
        case Start():
            return "start"
        case _:
            return "runtime"
