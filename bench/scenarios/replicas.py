"""Two units share a host; one is stopped, killed or removed at 200 GETs a second.

A unit that could answer is there all the time: every failure is the contestant's. A second client
uses its connections again, 50 requests a second.
"""

from collections.abc import Callable, Mapping, Sequence

from arena import Row, Terms, Unit, create, host, one_by_one, serving
from client import Ended, Load, Manner, failed, pause, steady, tally
from contestants import Contestant, Running
from lab import Lab, Took

_SLOTS = range(160, 220)
_PATIENCE = 20
_AFTERMATH = 4
"""Seconds to look on after the end; health checks of 2 s need two of them."""


def compare(lab: Lab, contestants: Sequence[Contestant], terms: Terms) -> dict[str, list[Row]]:
    """Measure each contestant."""
    ways: Mapping[str, Callable[[str], Took]] = {
        "stop": lab.stop,
        "kill": lab.kill,
        "remove": lab.remove,
    }

    def measure(lab: Lab, contestant: Contestant) -> list[Row]:
        slots = iter(_SLOTS)
        with serving(lab, contestant, double=_SLOTS) as running:
            return [
                {"way": way} | _lose_one(lab, running, next(slots), end)
                for _ in terms.times(2)
                for way, end in ways.items()
            ]

    return one_by_one(lab, contestants, measure)


def _lose_one(lab: Lab, running: Running, slot: int, end: Callable[[str], Took]) -> Row:
    names = [f"copy{slot}{letter}" for letter in "ab"]
    for copy, name in enumerate(names):
        create(lab, running.contestant, Unit(name, slot, copy, grouped=True))
    with (
        Load(running.port, host(slot)) as load,
        Load(running.port, host(slot), Manner(rate=50, keep_alive=True)) as kept,
    ):
        if not load.wait(lambda ended: steady(ended) and _both(ended), _PATIENCE):
            return {"error": "never were both served"}
        pause(1)
        took = end(names[0])
        pause(_AFTERMATH)
        ended, reused = ([one for one in x.stop() if one.done > took.begin] for x in (load, kept))
    for name in names:
        lab.remove(name)
    last = max((one.done for one in ended if not one.ok), default=None)
    return tally(ended) | {
        "failed_kept_alive": failed(reused),
        "last_failure_ms": None if last is None else (last - took.begin) / 1e6,
        "longest_ms": max(one.ms for one in ended),
    }


def _both(ended: Sequence[Ended]) -> bool:
    return len({one.who for one in ended[-60:]}) == 2
