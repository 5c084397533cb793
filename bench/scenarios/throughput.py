"""How many requests pass a second, with one route and with 1 000: wrk, 16 connections kept alive.

In each round every contestant has its turn, alone on the machine with wrk and the web server, so
that a ratio is between neighbours in time.
"""

import re
import subprocess
from collections.abc import Sequence

import fakeapi
import imitated
from arena import Row, Terms, host
from client import pause
from contestants import Contestant, Running
from lab import Lab

_PORT = 8100
_UNITS = {"us": 1e-3, "ms": 1, "s": 1e3, "m": 6e4}


def compare(_lab: Lab, contestants: Sequence[Contestant], terms: Terms) -> dict[str, list[Row]]:
    """Measure all contestants, in rounds; "direct" is the web server without any proxy."""
    able = [one for one in contestants if one.fakeable]
    rows: dict[str, list[Row]] = {name: [] for name in ("direct", *(one.name for one in able))}
    seconds = max(1, round(terms.seconds / 6))
    with imitated.web():
        for routes in (1, terms.routes):
            with imitated.podman_with(routes, able):
                for turn in terms.times(3):
                    about: Row = {"routes": routes, "round": turn}
                    to = f"{fakeapi.address(0)}:8080"
                    rows["direct"].append(about | _wrk(to, "h0.test", seconds))
                    for one in able:
                        rows[one.name].append(about | _through(one, routes, seconds))
    return rows


def _through(contestant: Contestant, routes: int, seconds: int) -> Row:
    name = host(routes // 2)
    with Running(
        contestant, port=_PORT, podman=imitated.SOCKET, hosts=imitated.hosts(routes)
    ) as running:
        try:
            running.await_answer(name)
        except (RuntimeError, TimeoutError) as error:
            return {"error": str(error)}
        pause(2)
        return _wrk(f"127.0.0.1:{_PORT}", name, seconds)


def _wrk(to: str, name: str, seconds: int) -> Row:
    options = ["-t1", "-c16", f"-d{seconds}s", "--latency", "-H", f"Host: {name}"]
    done = subprocess.run(
        ["wrk", *options, f"http://{to}/"],
        check=True,
        capture_output=True,
        text=True,
        timeout=seconds + 30,
    )
    rate = re.search(r"Requests/sec: +([0-9.]+)", done.stdout)
    worst = re.search(r"99% +([0-9.]+)(us|ms|s|m)", done.stdout)
    if not rate or not worst:
        return {"error": done.stdout}
    return {
        "per_second": float(rate[1]),
        "p99_ms": float(worst[1]) * _UNITS[worst[2]],
        "refused": re.findall(r"Non-2xx.*|Socket errors.*", done.stdout),
    }
