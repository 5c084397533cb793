"""Workloads that start again and again are held back, so that they do not disturb the others.

A pod (or a lone container) that flaps keeps its route, as a stopped one does, and its server stays
in maintenance until it has run for a while. A container that flaps inside of a pod that stays
changes nothing in HAProxy, and is only told: its neighbours may be all that the route needs.

It is known by its name, since a pod that systemd starts again is created anew each time.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from proxyctl.routes.flapping import MANY, WINDOW, Starts, with_start
from proxyctl.routes.workload import Kind, Phase, Workload
from proxyctl.status.view import Flapping

Key = tuple[str, str, str, str]
"""Kind, source and name of a workload, and the name of a container in it ("": itself)."""

_HELD = {Phase.RUNNING, Phase.STOPPING, Phase.STOPPED}


class Damping:
    """Remembers the starts of all workloads. Belongs to the reconciler's thread."""

    def __init__(self) -> None:
        self._starts: dict[Key, Starts] = {}
        self._seen: dict[int, Workload] = {}
        """The objects that were looked at, by their id(): what did not change is the same one."""
        self._late: set[Key] = set()
        """Who flaps."""
        self._now = 0.0

    @property
    def due(self) -> float:
        """Return when the next one is to be let in; infinity if none is held back."""
        flapping = (self._starts[key].until for key in self._late if not key[-1])
        return min((until for until in flapping if until > self._now), default=float("inf"))

    def note(self, present: Iterable[Workload], now: float) -> None:
        """Look who was started since the last look; `now` is in seconds."""
        self._now = now
        now_there = {id(workload): workload for workload in present}
        fresh = [one for number, one in now_there.items() if number not in self._seen]
        self._seen = now_there
        for key in self._late:  # it may have stayed long enough
            self._starts[key] = with_start(self._starts[key], self._starts[key].last, now)
        for workload in fresh:
            for key, started in _started(workload):
                self._starts[key] = with_start(self._starts.get(key), started, now)
                self._late |= {key} if self._starts[key].late else set()
        self._late = {key for key in self._late if self._starts[key].late}
        if len(self._starts) > 4 * len(now_there) + MANY:
            old = now - WINDOW
            self._starts = {key: one for key, one in self._starts.items() if one.until > old}
            self._late &= self._starts.keys()

    def held(self, workloads: Iterable[Workload]) -> tuple[Workload, ...]:
        """Return the workloads, those that are held back in the phase `flapping`."""
        return tuple(map(self._held, workloads) if self._late else workloads)

    def flapping(self, workloads: Iterable[Workload], time: float) -> Mapping[str, Flapping]:
        """Return what is to be told, by the uid of the workload.

        `time`: what time it is at the moment of `note`, in seconds since the epoch.
        """
        found: dict[str, Flapping] = {}
        for workload in workloads if self._late else ():
            late = [(key, self._starts[key]) for key, _ in _started(workload) if key in self._late]
            if late:
                key, starts = late[0]
                held = not key[-1] and starts.until > self._now
                found[workload.uid] = Flapping(
                    container=key[-1],
                    starts=len(starts.seen),
                    until=time + starts.until - self._now if held else 0.0,
                )
        return found

    def _held(self, workload: Workload) -> Workload:
        key = _key(workload)
        if workload.phase not in _HELD or key not in self._late:
            return workload
        if self._starts[key].until <= self._now:
            return workload
        return replace(workload, phase=Phase.FLAPPING, networks=(), published=())


def _started(workload: Workload) -> Iterator[tuple[Key, int]]:
    """Yield whose starts count, and when the last one was: the workload itself first."""
    if workload.started:
        yield _key(workload), workload.started
    if workload.kind is Kind.POD:
        for member in workload.members:
            if member.started:
                yield _key(workload, member.name), member.started


def _key(workload: Workload, container: str = "") -> Key:
    return workload.kind, workload.source, workload.name, container
