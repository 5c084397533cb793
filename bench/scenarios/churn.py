"""30 other units come and go in 30 s (if the machine can), beside a unit that stays.

Three clients ask for the one that stays: 200 new connections a second, 100 requests a second on
connections that are used again, and each second an answer that takes 4 s.
"""

import threading
import time
from collections.abc import Sequence

from arena import STABLE, Row, Terms, Unit, create, host, one_by_one, serving
from client import Load, Manner, failed, pause, slow, tally
from contestants import Contestant, Running
from lab import Lab

_HOW_MANY = 30
_STAY = 2.5
"""Seconds from a unit's creation to its removal."""
_SLOTS = range(10, 10 + _HOW_MANY)


def compare(lab: Lab, contestants: Sequence[Contestant], terms: Terms) -> dict[str, list[Row]]:
    """Measure each contestant."""

    def measure(lab: Lab, contestant: Contestant) -> list[Row]:
        with serving(lab, contestant, single=_SLOTS) as running:
            return [_churn(lab, running) for _ in terms.times(1)]

    return one_by_one(lab, contestants, measure)


def _churn(lab: Lab, running: Running) -> Row:
    port, stable = running.port, host(STABLE)
    before, began, cpu = running.reloads(), time.monotonic(), running.group.cpu
    with (
        Load(port, stable) as fresh,
        Load(port, stable, Manner(rate=100, keep_alive=True)) as kept,
        Load(port, stable, Manner(rate=1, path="/slow?ms=4000", timeout=12)) as long,
    ):
        pause(1)
        complaints = _come_and_go(lab, running.contestant)
        lasted = time.monotonic() - began
        pause(2)
        ended = {"new": fresh.stop(), "kept": kept.stop(), "long": long.stop()}
    after = running.reloads()
    return tally(ended["new"]) | {
        "seconds": lasted,
        "failed_kept_alive": failed(ended["kept"]),
        "slow_kept_alive": slow(ended["kept"]),
        "failed_long": failed(ended["long"]),
        "requests_kept_alive": len(ended["kept"]),
        "requests_long": len(ended["long"]),
        "reloads": None if after is None or before is None else after - before,
        "cpu_s": running.group.cpu - cpu,
        "complaints": complaints,
    }


def _come_and_go(lab: Lab, contestant: Contestant) -> list[str]:
    """Create and remove the units; return what Podman complained about."""
    began, complaints = time.monotonic(), list[str]()
    there = [threading.Event() for _ in _SLOTS]

    def come() -> None:
        for number, slot in enumerate(_SLOTS):
            pause(max(0, began + number - time.monotonic()))
            try:
                create(lab, contestant, Unit(f"guest{slot}", slot))
            except RuntimeError as error:
                complaints.append(str(error))
            there[number].set()

    def go() -> None:
        for number, slot in enumerate(_SLOTS):
            there[number].wait(60)
            pause(max(0, began + number + _STAY - time.monotonic()))
            try:
                lab.remove(f"guest{slot}")
            except RuntimeError as error:
                complaints.append(str(error))

    threads = [threading.Thread(target=work) for work in (come, go)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(180)
    return complaints
