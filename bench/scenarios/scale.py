"""5 000 pods in an imitation of Podman: a cold start, and then one pod more.

The cold start is compared with the time that the two lists take which anybody has to read.
"""

import time
from collections.abc import Sequence

import imitated
from arena import Row, Terms, host, one_by_one
from client import pause
from contestants import Contestant, Running
from lab import Lab

_PORT = 8100
_PATIENCE = 200
_SETTLE = 5


def compare(lab: Lab, contestants: Sequence[Contestant], terms: Terms) -> dict[str, list[Row]]:
    """Measure each contestant that can follow the imitation."""
    able = [one for one in contestants if one.fakeable]

    def measure(_lab: Lab, contestant: Contestant) -> list[Row]:
        with imitated.web(), imitated.podman_with(terms.scale, able):
            return [_cold(contestant, terms.scale) for _ in terms.times(2)]

    return one_by_one(lab, able, measure)


def _cold(contestant: Contestant, pods: int) -> Row:
    lists = imitated.time_of_lists()
    asked = imitated.requests()
    with Running(
        contestant, port=_PORT, podman=imitated.SOCKET, hosts=imitated.hosts(pods)
    ) as running:
        last = host(pods - 1)
        cold = running.await_answer(last, timeout=_PATIENCE)
        row: Row = {
            "pods": pods,
            "lists_ms": lists,
            "cold_ms": cold,
            "cold_cpu_s": running.group.cpu,
            "requests": imitated.requests() - asked,
            "answered_of_20": sum(
                running.ask(host(number)) == "200" for number in range(0, pods, max(1, pods // 20))
            ),
        }
        pause(_SETTLE)
        if not contestant.fixed_addresses:
            row |= _change(running, pods)
        return row | {"memory_mb": running.memory()}


def _change(running: Running, pods: int) -> Row:
    """Add a pod and take it away again."""
    asked, cpu, reloads = imitated.requests(), running.group.cpu, running.reloads()
    new = host(pods)
    times = {}
    for what, wanted in (("add", True), ("remove", False)):
        began = time.monotonic_ns()
        imitated.change(what)
        running.await_answer(new, wanted=wanted, timeout=_PATIENCE)
        times[f"{what}_ms"] = (time.monotonic_ns() - began) / 1e6
        pause(_SETTLE)
    return times | {
        "change_requests": imitated.requests() - asked,
        "change_cpu_s": running.group.cpu - cpu,
        "change_reloads": (running.reloads() or 0) - (reloads or 0),
    }
