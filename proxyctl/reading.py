"""What the sources tell: asked again where something rang, remembered where one does not answer.

Unreachable is not empty: a source that does not answer keeps the workloads that it told last.
"""

from collections.abc import Iterable, Mapping
from typing import Protocol

from proxyctl.problems import Problem, SourceUnavailable
from proxyctl.routes.workload import Workload
from proxyctl.status import troubles
from proxyctl.status.view import SourceState
from proxyctl.wakeup import Ring


class Source(Protocol):
    """Where workloads come from."""

    key: str
    """Who it is in a ring: `podman:`, `files`."""
    where: str

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Return what it could not understand."""
        ...

    @property
    def unsure(self) -> frozenset[str]:
        """Return the ids of the workloads whose own labels it cannot tell at the moment."""
        ...

    def read(self, changed: frozenset[str] | None) -> tuple[Workload, ...]:
        """Return all workloads; those in `changed` are read again, all of them if None.

        Raises SourceUnavailable.
        """
        ...


class Reading:
    """What the sources told last. Belongs to the reconciler's thread."""

    def __init__(
        self, sources: Iterable[Source], remembered: Iterable[tuple[str, tuple[Workload, ...]]]
    ) -> None:
        """Ask `sources`; until one answers, what is `remembered` of it holds."""
        self.states: tuple[SourceState, ...] = ()
        self.problems: tuple[Problem, ...] = ()
        self._sources = tuple(sources)
        self._workloads = dict(remembered)
        self.workloads = self._all()
        """Those of all sources."""

    def ask(self, rings: frozenset[Ring]) -> None:
        """Read again what the rings name: all, if there are none."""
        states: list[SourceState] = []
        problems: list[Problem] = []
        for source in self._sources:
            error = ""
            try:
                found = source.read(_changed(rings, source.key))
                before = self._workloads.get(source.key, ())
                self._workloads[source.key] = _sure(found, source.unsure, before)
            except SourceUnavailable as unavailable:
                error = str(unavailable)
                known = source.key in self._workloads
                problems.append(troubles.source_unavailable(source.key, error, known=known))
            problems.extend(source.problems)
            states.append(
                SourceState(
                    name=source.key.rstrip(":"),
                    where=source.where,
                    available=not error,
                    error=error,
                    workloads=len(self._workloads.get(source.key, ())),
                )
            )
        self.states, self.problems = tuple(states), tuple(problems)
        self.workloads = self._all()

    def _all(self) -> tuple[Workload, ...]:
        return tuple(w for _, found in sorted(self._workloads.items()) for w in found)

    @property
    def by_source(self) -> Mapping[str, tuple[Workload, ...]]:
        """Return them by the key of their source, for who remembers them."""
        return self._workloads

    @property
    def has_gaps(self) -> bool:
        """Tell whether a source was never heard of."""
        return any(source.key not in self._workloads for source in self._sources)


def _sure(
    found: tuple[Workload, ...], unsure: frozenset[str], before: Iterable[Workload]
) -> tuple[Workload, ...]:
    """Return the workloads, the labels of those that the source is unsure of as they were."""
    if not unsure:
        return found
    known = {workload.id: workload for workload in before if workload.id in unsure}
    return tuple(
        one.with_labels_of(known[one.id]) if one.id in unsure & known.keys() else one
        for one in found
    )


def _changed(rings: frozenset[Ring], key: str) -> frozenset[str] | None:
    """Return what a source is to read again: None is everything."""
    if not rings:
        return None
    ids = frozenset(ring.changed for ring in rings if ring.source == key)
    return None if "" in ids else ids
