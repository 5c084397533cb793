"""A unit is removed and created again with another address, at 200 requests a second.

Some requests come while there is no unit at all (`without_unit`): who fails none of these lets
them wait. The wait is the client's to end: it gives up after 1 s.
"""

from collections.abc import Sequence

from arena import Row, Terms, Unit, create, host, one_by_one, serving
from client import Ended, Load, failed, pause, steady, tally
from contestants import Contestant, Running
from lab import Lab

_SLOT = 100
_PATIENCE = 20


def compare(lab: Lab, contestants: Sequence[Contestant], terms: Terms) -> dict[str, list[Row]]:
    """Measure each contestant."""

    def measure(lab: Lab, contestant: Contestant) -> list[Row]:
        with serving(lab, contestant, double=[_SLOT]) as running:
            create(lab, contestant, Unit("move0", _SLOT))
            return [_move(lab, running, run) for run in terms.times(5)]

    return one_by_one(lab, contestants, measure)


def _move(lab: Lab, running: Running, run: int) -> Row:
    old, new = f"move{run}", f"move{run + 1}"
    with Load(running.port, host(_SLOT)) as load:
        if not load.wait(steady, _PATIENCE):
            return {"error": "the unit before was never served"}
        pause(0.5)
        before = lab.address(old)
        removed = lab.remove(old)
        created = create(lab, running.contestant, Unit(new, _SLOT, (run + 1) % 2))
        recovered = load.wait(lambda ended: steady(ended, since=created.end), _PATIENCE)
        ended = [one for one in load.stop() if one.started > removed.begin]
    if lab.address(new) == before:
        return {"error": "the address is the same"}
    died = lab.events.get("died", lab.app(old), after=removed.begin).at
    started = lab.events.get("start", lab.app(new), after=created.begin).at
    return {"recovered": recovered, "gap_ms": (started - died) / 1e6} | _told(
        ended, new, died, started
    )


def _told(ended: Sequence[Ended], new: str, died: int, started: int) -> Row:
    first = min((one.done for one in ended if one.ok and one.who == new), default=None)
    last = max((one.started for one in ended if not one.ok), default=None)
    return tally(ended) | {
        "without_unit": sum(died < one.started < started for one in ended),
        "failed_after_start": failed([one for one in ended if one.started > started]),
        "recovery_ms": None if first is None else (first - started) / 1e6,
        "last_failure_ms": None if last is None else (last - started) / 1e6,
    }
