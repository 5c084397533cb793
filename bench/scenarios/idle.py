"""What it costs when 100 pods run and nothing happens.

The pods have the labels of all contestants, and are made once.
"""

import time
from collections.abc import Sequence

from arena import STABLE, Row, Terms, address, host, one_by_one
from client import pause
from contestants import Contestant, Running
from group import cpu_of
from lab import Lab

_SETTLE = 10
"""Seconds after the first answers that do not count."""


def compare(lab: Lab, contestants: Sequence[Contestant], terms: Terms) -> dict[str, list[Row]]:
    """Measure each contestant that follows Podman; the others have nothing to do."""
    followers = [one for one in contestants if not one.fixed_addresses]
    slots = range(STABLE, STABLE + terms.pods)
    for slot in slots if followers else ():
        lab.create(
            f"idle{slot}", [label for one in followers for label in one.labels_for(host(slot))]
        )

    def measure(_lab: Lab, contestant: Contestant) -> list[Row]:
        with Running(contestant, hosts={host(slot): [address(slot)] for slot in slots}) as running:
            running.await_answer(host(slots[-1]), timeout=120)
            ready = running.await_answer(host(STABLE), timeout=120)
            pause(_SETTLE)
            return [_look(running, terms.seconds) | {"ready_ms": ready, "pods": terms.pods}]

    return one_by_one(lab, followers, measure)


def _look(running: Running, seconds: float) -> Row:
    """Count CPU seconds of the proxy, and of all that is not the proxy."""
    proxies = running.group.pids(running.contestant.proxy)
    began, cpu, proxy = time.monotonic(), running.group.cpu, sum(map(cpu_of, proxies))
    pause(seconds)
    minutes = (time.monotonic() - began) / 60
    proxy = (sum(map(cpu_of, proxies)) - proxy) / minutes
    total = (running.group.cpu - cpu) / minutes
    return {
        "cpu_s_per_minute": total,
        "cpu_s_per_minute_proxy": proxy,
        "cpu_s_per_minute_manager": max(0.0, total - proxy),
        "memory_mb": running.memory(),
    }
