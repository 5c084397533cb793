"""Workloads that are gone: for a moment their requests wait, in case they only change places.

A pod that is replaced is removed and created again. In between its route is kept without a server,
so that requests wait for the successor (label `hold`) instead of failing. Static entries are
removed on purpose, and at once.
"""

from collections.abc import Iterable
from dataclasses import replace

from proxyctl.routes.claims import Claim
from proxyctl.routes.values import milliseconds
from proxyctl.routes.workload import Kind, Phase, Workload


class Departed:
    """Remembers them until their time is up. Belongs to the reconciler's thread."""

    def __init__(self) -> None:
        self._until: dict[Workload, float] = {}

    @property
    def workloads(self) -> tuple[Workload, ...]:
        """Return those whose requests still wait."""
        return tuple(self._until)

    @property
    def due(self) -> float:
        """Return when the next one is to be forgotten; infinity if there is none."""
        return min(self._until.values(), default=float("inf"))

    def note(self, present: Iterable[Workload], claims: Iterable[Claim], now: float) -> None:
        """Compare who is there with those who may be gone and had *claims*; `now` in seconds."""
        claims = tuple(claims)
        if not claims and not self._until:
            return
        present = tuple(present)
        uids = {workload.uid for workload in present}
        names = {(workload.source, workload.name) for workload in present}
        for claim in claims:
            workload = claim.workload
            hold = milliseconds(claim.route.hold) / 1000
            known = claim.gone or workload.uid in uids
            if not known and workload.kind is not Kind.STATIC and hold:
                gone = replace(workload, phase=Phase.GONE, networks=(), published=())
                self._until.setdefault(gone, now + hold)
        self._until = {
            workload: until
            for workload, until in self._until.items()
            if until > now
            and workload.uid not in uids
            and (workload.source, workload.name) not in names
        }
