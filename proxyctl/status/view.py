"""What the service knows, as one value: every answer of the status API is made from it.

The reconciler replaces the whole view after each cycle, so that readers in other threads see one
consistent state and need no lock.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from proxyctl.plan.steps import Cost, Plan
from proxyctl.problems import Problem
from proxyctl.routes.claims import Claim
from proxyctl.routes.conflicts import Share
from proxyctl.routes.workload import Workload
from proxyctl.settings import Settings
from proxyctl.state.certificates import Stock
from proxyctl.state.issuance import Issuance
from proxyctl.state.model import Desired, OldWorker, Running
from proxyctl.state.render import Rendered


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceState:
    """Whether a source of workloads answers."""

    name: str
    """`podman`, `podman:NAME`, `files`."""
    where: str
    """Path of the socket or folder."""
    available: bool = True
    error: str = ""
    workloads: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Flapping:
    """A workload that starts again and again."""

    starts: int
    """In the last minute."""
    until: float = 0.0
    """Until when it is held back at least, in seconds since the epoch; 0: it is not."""
    container: str = ""
    """The container of a pod that does so; "": all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One cycle that changed something, or failed to: an entry of the history."""

    id: int
    """Counts up from 1 with the start of the service."""
    time: float
    """Seconds since the epoch."""
    causes: tuple[str, ...]
    """Who rang: `podman`, `files`, `signal`, `timer`."""
    cost: Cost
    steps: tuple[str, ...]
    """In words."""
    milliseconds: int
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Everything that can be told about the service at one moment."""

    time: float
    started: float
    version: str
    settings: Settings
    sources: tuple[SourceState, ...] = ()
    workloads: tuple[Workload, ...] = ()
    claims: tuple[Claim, ...] = ()
    shares: tuple[Share, ...] = ()
    problems: tuple[Problem, ...] = ()
    flapping: Mapping[str, Flapping] = field(default_factory=dict)
    """uid of a workload that starts again and again -> what is known of it."""
    desired: Desired | None = None
    rendered: Rendered | None = None
    drawn: bool = True
    """Whether `desired` and `rendered` tell of these shares; else of what was before a moment."""
    stock: Stock = field(default_factory=Stock, repr=False)
    """The certificates that there are, with their keys: only `answers` makes something public."""
    issuances: tuple[Issuance, ...] = ()
    """How it stands with what is wanted from a CA."""
    running: Running = Running(alive=False)  # noqa: RUF009 - frozen
    old_workers: tuple[OldWorker, ...] = ()
    """Those that still finish what they had before a reload, the youngest first."""
    plan: Plan = Plan()  # noqa: RUF009 - frozen
    """What is still to be done: empty when HAProxy is what it should be."""
    changes: tuple[Change, ...] = ()
    """The last ones, oldest first."""
    counters: Mapping[str, int] = field(default_factory=dict)
    """Cycles by cost: `noop`, `file`, `runtime`, `reload`, `start`, `failed`."""
    applied: tuple[Plan, ...] = ()
    """The plans that the last cycle carried out, one after the other."""
    haproxy_error: str = ""
    """Why the last plan was not carried out; "" if it was."""
