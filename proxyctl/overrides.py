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


def with_overrides(memory: Memory, rings: Iterable[Ring], workloads: Iterable[Workload]) -> Memory:
    """Return the memory with what the rings ask for, and without what is over."""
    if not memory.overrides and all(ring.source != SOURCE for ring in rings):
        return memory
    workloads = tuple(workloads)
    overrides = dict(memory.overrides)
    for ring in sorted(rings, key=lambda r: r.changed):
        word, _, name = ring.changed.partition(" ")
        if ring.source == SOURCE and word in set(ServerState):
            called = (w.uid for w in workloads if w.name == name)
            overrides |= dict.fromkeys(called, ServerState(word))
    phases = {workload.uid: workload.phase for workload in workloads}
    kept = {
        uid: state
        for uid, state in overrides.items()
        if uid in phases
        and state is not ServerState.READY
        and (state is ServerState.MAINT or phases[uid] is not Phase.STOPPED)
    }
    return replace(memory, overrides=tuple(sorted(kept.items())))
