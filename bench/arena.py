"""What the scenarios share: terms, hosts and addresses of units, a contestant at work."""

import contextlib
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from contestants import Contestant, Running
from lab import Lab, Took

Row = dict[str, Any]
"""What one run told: plain values, written to the results as they are."""

STABLE = 1
"""The slot of a unit that is there before the contestant starts, and stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How much is measured."""

    runs: int
    """Repetitions of one measurement; 0: as many as the scenario thinks right."""
    pods: int
    """Pods of the scenario idle."""
    routes: int
    """Routes of the scenario throughput, beside 1."""
    scale: int
    """Pods of the scenario scale."""
    seconds: float
    """Length of a measurement of the scenarios idle and, a sixth of it, throughput."""

    def times(self, default: int) -> range:
        """Return the numbers of the runs."""
        return range(self.runs or default)


def host(slot: int) -> str:
    """Return the host name of a slot."""
    return f"h{slot}.test"


def address(slot: int, copy: int = 0) -> str:
    """Return the fixed address of a slot's unit, for who needs to know it before."""
    return f"10.88.{100 + copy}.{slot}"


class Unit(NamedTuple):
    """What to create: a pod or container, to be published as the slot's host."""

    name: str
    slot: int
    copy: int = 0
    """Which of two addresses, where they are fixed."""
    grouped: bool = False
    """Whether it shares the host with others."""


def create(lab: Lab, contestant: Contestant, unit: Unit) -> Took:
    """Create a unit with the contestant's labels."""
    fixed = address(unit.slot, unit.copy) if contestant.fixed_addresses else ""
    labels = contestant.labels_for(host(unit.slot), grouped=unit.grouped)
    return lab.create(unit.name, labels, address=fixed)


@contextlib.contextmanager
def serving(
    lab: Lab, contestant: Contestant, *, single: Sequence[int] = (), double: Sequence[int] = ()
) -> Iterator[Running]:
    """Start the contestant beside a stable unit; at the end nothing of both is left.

    `single`, `double`: slots that will be used, with one or two addresses.
    """
    hosts = {host(slot): [address(slot)] for slot in (STABLE, *single)}
    hosts |= {host(slot): [address(slot), address(slot, 1)] for slot in double}
    try:
        create(lab, contestant, Unit("stable", STABLE))
        with Running(contestant, hosts=hosts) as running:
            running.await_answer(host(STABLE))
            yield running
    finally:
        lab.clear()


def one_by_one(
    lab: Lab,
    contestants: Sequence[Contestant],
    measure: Callable[[Lab, Contestant], list[Row]],
) -> dict[str, list[Row]]:
    """Measure one contestant after the other, each alone on the machine."""
    results = {}
    for contestant in contestants:
        try:
            results[contestant.name] = measure(lab, contestant)
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            results[contestant.name] = [{"error": f"{type(error).__name__}: {error}"}]
    return results
