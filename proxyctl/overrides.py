"""Servers that somebody drains, or puts into maintenance, by hand.

The request comes with a ring of the doorbell (`api`, `drain gitea`), so that only the worker ever
touches what is remembered. It holds until it is taken back (`ready`); a drain also ends with the
workload that it prepared for its stop.
"""

from collections.abc import Iterable
from dataclasses import replace

from proxyctl.files.memory import Memory
from proxyctl.routes.workload import Phase, Workload
from proxyctl.state.model import ServerState
from proxyctl.wakeup import Ring

SOURCE = "api"


def request(state: ServerState, name: str) -> str:
    """Return what a ring says to put the workloads called *name* into *state*."""
    return f"{state} {name}"


def named(rings: Iterable[Ring], workloads: Iterable[Workload]) -> frozenset[str]:
    """Return the uids of the workloads that the rings ask something for."""
    names = {name for _, name in _requests(rings)}
    return frozenset(w.uid for w in workloads if w.name in names) if names else frozenset()


def _requests(rings: Iterable[Ring]) -> list[tuple[ServerState, str]]:
    found = (ring.changed.partition(" ") for ring in rings if ring.source == SOURCE)
    return sorted((ServerState(word), n) for word, _, n in found if word in set(ServerState))


def with_overrides(memory: Memory, rings: Iterable[Ring], workloads: Iterable[Workload]) -> Memory:
    """Return the memory with what the rings ask for, and without what is over."""
    requests = _requests(rings)
    if not memory.overrides and not requests:
        return memory
    workloads = tuple(workloads)
    overrides = dict(memory.overrides)
    for state, name in requests:
        overrides |= {w.uid: state for w in workloads if w.name == name}
    phases = {workload.uid: workload.phase for workload in workloads}
    kept = {
        uid: state
        for uid, state in overrides.items()
        if uid in phases
        and state is not ServerState.READY
        and (state is ServerState.MAINT or phases[uid] is not Phase.STOPPED)
    }
    return replace(memory, overrides=tuple(sorted(kept.items())))
