"""A new host: from the start event of its container until the first answer.

A client asks for the host 200 times a second from before the unit is created. For a contestant
with fixed addresses it begins with the start event: to ask for an address that is not there yet
would put the kernel's ARP timer (1 s) into the result.
"""

import threading
import time
from collections.abc import Sequence

from arena import Row, Terms, Unit, create, host, one_by_one, serving
from client import Ended, Load, Manner, failed, pause
from contestants import Contestant, Running
from lab import Lab

_FIRST_SLOT = 10
_PATIENCE = 20


def compare(lab: Lab, contestants: Sequence[Contestant], terms: Terms) -> dict[str, list[Row]]:
    """Measure each contestant."""
    slots = [_FIRST_SLOT + run for run in terms.times(8)]

    def measure(lab: Lab, contestant: Contestant) -> list[Row]:
        with serving(lab, contestant, single=slots) as running:
            return [_appear(lab, running, slot) for slot in slots]

    return one_by_one(lab, contestants, measure)


def _appear(lab: Lab, running: Running, slot: int) -> Row:
    name, late = f"new{slot}", running.contestant.fixed_addresses
    with Load(running.port, host(slot), Manner(hold=late)) as load:
        if late:
            threading.Thread(target=_go_at_start, args=(lab, name, load), daemon=True).start()
        pause(0.5)
        took = create(lab, running.contestant, Unit(name, slot))
        answered = load.wait(lambda ended: any(one.ok for one in ended), _PATIENCE)
        pause(1)
        ended = load.stop()
    started = lab.events.get("start", lab.app(name), after=took.begin).at
    lab.remove(name)
    return {"create_ms": took.ms, "answered": answered} | _told(ended, started)


def _go_at_start(lab: Lab, name: str, load: Load) -> None:
    lab.events.get("start", lab.app(name), after=time.monotonic_ns(), timeout=30)
    load.go()


def _told(ended: Sequence[Ended], started: int) -> Row:
    first = min((one.done for one in ended if one.ok), default=None)
    if first is None:
        return {"first_answer_ms": None}
    later = [one for one in ended if one.started > first]
    return {"first_answer_ms": (first - started) / 1e6, "failed_later": failed(later)}
