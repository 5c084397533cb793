#!/usr/bin/env python3
"""Measure managers of routes side by side, on a real Podman in a lab without an uplink.

    bench/run.py [--managers static,proxyctl,...] [--scenarios new,ipchange,...] [--runs N]

Needs root, and .venv with proxyctl (`make install`). Writes bench/results/DATE.json and prints the
table that report.py makes of it; with --docs it writes docs/benchmarks.md and .svg as well.
"""

import argparse
import importlib
import json
import os
import platform
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import contestants
import report
from arena import Terms
from lab import Lab

HERE = Path(__file__).resolve().parent
_LAB = HERE.parent / "tests/lab/lab.sh"
MANAGERS = ("static", "proxyctl", "traefik", "shell")
SCENARIOS = ("new", "ipchange", "replicas", "churn", "idle", "throughput", "scale")
_LONGEST_SCENARIO = 900
"""Seconds, all managers together; then it is given up."""
_LONGEST_RUN = 3600
_QUIET = Path("/etc/containers/containers.conf.d/bench.conf")


class TookTooLong(Exception):  # noqa: N818 - it says what happened
    """A scenario took longer than it may; nobody else catches this."""


def main() -> None:
    """Go into a lab, or be there."""
    options = _options()
    if Path("/run/lab").exists():
        _measure(options)
        return
    subprocess.run([HERE / "prepare.sh", *options.managers], check=True)
    results = HERE / "results" / time.strftime("%Y%m%d-%H%M%S.json")
    results.parent.mkdir(exist_ok=True)
    command = [str(_LAB), "run", sys.executable, __file__, *sys.argv[1:], f"--out={results}"]
    # However this process ends, the lab does too.
    with_us = ["setpriv", "--pdeathsig", "TERM", *command]
    subprocess.run(with_us, check=True, timeout=_LONGEST_RUN)
    report.show([results], docs=options.docs)
    print(f"\nresults: {results}")


def _options() -> argparse.Namespace:
    def names(known: Sequence[str]) -> Any:
        def parse(text: str) -> list[str]:
            unknown = set(text.split(",")) - set(known)
            if unknown:
                raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: not known")
            return text.split(",")

        return parse

    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    add = parser.add_argument
    add("--managers", type=names(contestants.known()), default=list(MANAGERS))
    add("--scenarios", type=names(SCENARIOS), default=list(SCENARIOS))
    add("--runs", type=int, default=0, help="repetitions; default: each scenario's own")
    add("--unit", choices=["pod", "container"], default="pod", help="what is published")
    add("--pods", type=int, default=100, help="pods of idle")
    add("--routes", type=int, default=1000, help="routes of throughput, beside 1")
    add("--scale", type=int, default=5000, help="pods of scale")
    add("--seconds", type=float, default=30, help="length of idle; throughput: a sixth")
    add("--docs", action="store_true", help="write docs/benchmarks.md and .svg")
    add("--out", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def _measure(options: argparse.Namespace) -> None:
    _QUIET.write_text('[engine]\nevents_logfile_max_size = "100m"\n')
    chosen, absent = _present(options.managers)
    lab = Lab(HERE / "work/web", pods=options.unit == "pod")
    terms = Terms(
        runs=options.runs,
        pods=options.pods,
        routes=options.routes,
        scale=options.scale,
        seconds=options.seconds,
    )
    told = {
        "command": f"bench/run.py {shlex.join(_told_arguments())}".strip(),
        "date": time.strftime("%Y-%m-%d"),
        "unit": options.unit,
        "machine": _machine(),
        "versions": _versions(chosen),
        "absent": absent,
        "scenarios": {},
    }
    for name in options.scenarios:
        print(f"{time.strftime('%H:%M:%S')} {name}", flush=True)
        pods = options.unit == "pod"
        named = {"titles": contestants.titles(chosen, name, pods=pods)}
        told["scenarios"][name] = named | _scenario(name, lab, chosen, terms, pods=pods)
        options.out.write_text(json.dumps(told, indent=1) + "\n")
        lab.clear()


def _scenario(
    name: str,
    lab: Lab,
    chosen: Sequence[contestants.Contestant],
    terms: Terms,
    *,
    pods: bool,
) -> dict[str, Any]:
    """Return the rows of a scenario by manager, and how busy the machine was."""
    module = importlib.import_module(f"scenarios.{name}")
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(_LONGEST_SCENARIO)
    began, before = time.monotonic(), _cpu_times()
    told: dict[str, Any] = {"rows": {}}
    try:
        for lab.pods, group in contestants.by_unit(chosen, name, pods=pods):
            told["rows"] |= module.compare(lab, group, terms)
            lab.clear()
    except (TookTooLong, RuntimeError, OSError, subprocess.SubprocessError) as error:
        told["error"] = f"{type(error).__name__}: {error}"
        print(f"*** {told['error']}", flush=True)
    finally:
        signal.alarm(0)
    busy, stolen = _shares(before, _cpu_times())
    environment = {"seconds": time.monotonic() - began, "busy": busy, "stolen": stolen}
    return told | {"environment": environment}


def _too_long(_number: int, _frame: FrameType | None) -> None:
    raise TookTooLong(f"not done after {_LONGEST_SCENARIO} s")


def _present(names: Sequence[str]) -> tuple[list[contestants.Contestant], list[str]]:
    """Return the managers that can be run, and the names of those that cannot, said loudly."""
    chosen = [contestants.read(name) for name in names]
    absent = [one.name for one in chosen if not one.told_version()]
    for name in absent:
        print(f"*** {name.upper()} IS NOT INSTALLED AND IS NOT MEASURED ***", flush=True)
    return [one for one in chosen if one.name not in absent], absent


def _told_arguments() -> list[str]:
    return [word for word in sys.argv[1:] if not word.startswith(("--out", "--docs"))]


def _versions(chosen: Sequence[contestants.Contestant]) -> dict[str, str]:
    def ask(*command: str) -> str:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        return (done.stdout or done.stderr).split("\n")[0].strip()

    versions = {one.name: one.told_version() for one in chosen}
    return versions | {
        "podman": ask("podman", "--version"),
        "haproxy": ask("haproxy", "-v"),
        "wrk": ask("wrk", "-v"),
        "proxyctl commit": ask("git", "-C", str(HERE), "describe", "--always", "--dirty"),
    }


def _machine() -> dict[str, str]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    release = platform.freedesktop_os_release()
    return {
        "cpu": f"{os.cpu_count()} x {model or platform.machine()}",
        "memory": f"{memory:.0f} GB",
        "system": release.get("PRETTY_NAME", "") or platform.system(),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def _cpu_times() -> list[int]:
    return [int(word) for word in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]


def _shares(before: Sequence[int], after: Sequence[int]) -> tuple[float, float]:
    """Return the parts of the machine's CPU time that were used, and that a hypervisor took."""
    used = [new - old for old, new in zip(before, after, strict=True)]
    total = sum(used) or 1
    return 1 - (used[3] + used[4]) / total, used[7] / total


if __name__ == "__main__":
    main()
