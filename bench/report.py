#!/usr/bin/env python3
"""Make tables of results: report.py [--docs] RESULTS.json...

Of several files, the last one that has a scenario (of pods, of lone containers) tells it. --docs
writes docs/benchmarks.md and docs/benchmarks.svg instead of printing.
"""

import argparse
import importlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from figures import Rows, middle, ratios, table
from picture import Panel, draw

_DOCS = Path(__file__).resolve().parent.parent / "docs"
_HEADINGS = {
    "new": "A new host",
    "ipchange": "A pod that comes back with another address",
    "replicas": "One of two replicas goes",
    "churn": "Pods come and go",
    "idle": "Nothing happens",
    "throughput": "Requests per second",
    "scale": "Many pods",
}
_IMITATED = ("throughput", "scale")
"""Scenarios whose units are pods of the imitation, whatever was asked for."""
_INTRODUCTION = """\
# Benchmarks

Made by `make bench BENCH_ARGS=--docs`; what is measured, and how, stands in
[bench/README.md](../bench/README.md). All managers ran in the same run, one after the other on the
same machine, each with its defaults: compare the lines of a table, not the numbers with those of
another machine. Medians of the runs that each table names.

*Failed* is a GET without the status 200 of a pod: an error of the proxy, a refused or reset
connection, or no answer within 1 s. Clients are open loop: 200 requests a second, each on a new
connection where nothing else is said, whatever happened to the ones before.

![The most telling figures as bars](benchmarks.svg)
"""


def show(paths: Sequence[Path], *, docs: bool) -> None:
    """Print the tables, or write them into docs/."""
    merged: dict[tuple[str, str], dict[str, Any]] = {}
    for path in paths:
        told = json.loads(path.read_text())
        for name, scenario in told.pop("scenarios").items():
            unit = "pod" if name in _IMITATED else told["unit"]
            merged[name, unit] = told | {"unit": unit} | scenario
    order = list(_HEADINGS)
    keys = sorted(merged, key=lambda key: (order.index(key[0]), key[1] != "pod"))
    text = "\n".join(_section(name, merged[name, unit]) for name, unit in keys)
    if not docs:
        print(text)
        return
    rows = {name: merged[name, unit]["rows"] for name, unit in reversed(keys)}
    (_DOCS / "benchmarks.md").write_text(f"{_INTRODUCTION}\n{text}")
    (_DOCS / "benchmarks.svg").write_text(draw(_panels(rows)))


def _section(name: str, told: dict[str, Any]) -> str:
    about = (importlib.import_module(f"scenarios.{name}").__doc__ or "").strip()
    heading = _HEADINGS[name] + (": lone containers" if told["unit"] == "container" else "")
    lines = [f"## {heading}", "", about, "", *table(name, told["rows"], told["titles"]), ""]
    if "error" in told:
        lines += [f"**Failed: {told['error']}**", ""]
    for absent in told["absent"]:
        lines += [f"**Not installed, not measured: {absent}.**", ""]
    return "\n".join([*lines, _circumstances(name, told)])


def _circumstances(name: str, told: dict[str, Any]) -> str:
    machine, versions, around = told["machine"], told["versions"], told["environment"]
    haproxy = versions["haproxy"].split()[2]
    parts = [
        f"`{_command(name, told['command'])}`, {told['date']}, unit: {told['unit']}",
        f"{machine['cpu']}, {machine['memory']}, {machine['system']}, Linux {machine['kernel']}",
        f"busy {around['busy']:.0%}, taken by the hypervisor {around['stolen']:.1%}",
        f"proxyctl {versions['proxyctl commit']}, HAProxy {haproxy}, {versions['podman']}"
        + (f", Traefik {versions['traefik'].split()[-1]}" if "traefik" in versions else ""),
    ]
    return f"<sub>{'; '.join(parts)}.</sub>\n"


def _command(name: str, command: str) -> str:
    """Return the command that measures this scenario alone."""
    words = command.split()
    if "--scenarios" in words:
        words[words.index("--scenarios") + 1] = name
        return " ".join(words)
    return f"{command} --scenarios {name}"


def _panels(rows: dict[str, Rows]) -> list[Panel]:
    panels = [
        _medians(rows, "new", "first_answer_ms", Panel("New host", "ms to the first answer", {})),
        _medians(
            rows, "ipchange", "failed", Panel("Pod moves", "failed requests of 200 a second", {})
        ),
        _medians(
            rows,
            "replicas",
            "failed",
            Panel("One of two replicas goes", "failed requests of 200 a second", {}),
        ),
        _medians(rows, "churn", "reloads", Panel("30 pods come and go", "reloads", {})),
    ]
    for routes in sorted({row["routes"] for row in rows.get("throughput", {}).get("static", [])}):
        found = {
            name: ratios(rows["throughput"], name, "per_second", routes)
            for name in rows["throughput"]
            if name != "direct"
        }
        title = f"Requests per second, routes: {routes}"
        kept = {name: value for name, value in found.items() if value is not None}
        panels.append(Panel(title, "by the static haproxy.cfg", kept))
    return [panel for panel in panels if panel.values]


def _medians(rows: dict[str, Rows], scenario: str, key: str, panel: Panel) -> Panel:
    found = {name: middle(theirs, key) for name, theirs in rows.get(scenario, {}).items()}
    kept = {name: value for name, value in found.items() if value is not None}
    return panel._replace(values=kept)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--docs", action="store_true")
    parser.add_argument("results", type=Path, nargs="+")
    options = parser.parse_args()
    show(options.results, docs=options.docs)
