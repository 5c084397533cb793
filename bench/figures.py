"""From the rows of the scenarios to tables: medians, 95th percentiles and ratios. No I/O."""

import math
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any, NamedTuple

Rows = dict[str, list[dict[str, Any]]]
"""The rows of a scenario by manager."""


NOTHING = "-"
"""A cell without a figure."""


class Column(NamedTuple):
    """A column of a table: its head, and how a cell is made of one manager's rows and all rows."""

    head: str
    cell: Callable[[list[dict[str, Any]], Rows], str]


def percentile(values: Sequence[float], part: float) -> float:
    """Return the smallest value that at least `part` of the values do not exceed."""
    return sorted(values)[max(0, math.ceil(part * len(values)) - 1)]


def short(value: float) -> str:
    """Return a number with two or three digits that mean something."""
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}".rstrip("0").rstrip(".")


def values(rows: Sequence[dict[str, Any]], key: str) -> list[float]:
    """Return what the rows have under a key, where they have it."""
    return [row[key] for row in rows if row.get(key) is not None]


def middle(rows: Sequence[dict[str, Any]], key: str, factor: float = 1) -> float | None:
    """Return the median; None without any value."""
    found = values(rows, key)
    return median(found) * factor if found else None


def ratios(rows: Rows, name: str, key: str, routes: int) -> float | None:
    """Return the median of a manager's value by that of `static` in the same round."""
    theirs = _by_round(rows.get("static", []), key, routes)
    own = _by_round(rows.get(name, []), key, routes)
    found = [own[turn] / theirs[turn] for turn in own.keys() & theirs.keys()]
    return median(found) if found else None


def _by_round(rows: Sequence[dict[str, Any]], key: str, routes: int) -> dict[int, float]:
    return {row["round"]: row[key] for row in rows if row.get("routes") == routes and key in row}


def _median(head: str, key: str, factor: float = 1) -> Column:
    def cell(rows: list[dict[str, Any]], _: Rows) -> str:
        value = middle(rows, key, factor)
        return NOTHING if value is None else short(value)

    return Column(head, cell)


def _p95(head: str, key: str) -> Column:
    def cell(rows: list[dict[str, Any]], _: Rows) -> str:
        found = values(rows, key)
        return short(percentile(found, 0.95)) if found else NOTHING

    return Column(head, cell)


def _runs(rows: list[dict[str, Any]], _: Rows) -> str:
    return str(len(rows))


def _never(rows: list[dict[str, Any]], _: Rows) -> str:
    return str(sum(row.get("first_answer_ms") is None for row in rows))


def _way(way: str, key: str) -> Callable[[list[dict[str, Any]], Rows], str]:
    def cell(rows: list[dict[str, Any]], _: Rows) -> str:
        found = values([row for row in rows if row["way"] == way], key)
        return f"{short(median(found))} (worst {short(max(found))})" if found else NOTHING

    return cell


def _total(head: str, key: str) -> Column:
    def cell(rows: list[dict[str, Any]], _: Rows) -> str:
        return short(sum(values(rows, key)))

    return Column(head, cell)


def _of_routes(head: str, key: str, which: Callable[[Sequence[int]], int]) -> Column:
    def cell(rows: list[dict[str, Any]], _: Rows) -> str:
        routes = which([row["routes"] for row in rows])
        value = middle([row for row in rows if row["routes"] == routes], key)
        return NOTHING if value is None else short(value)

    return Column(head, cell)


def _ratio(head: str, key: str, which: Callable[[Sequence[int]], int]) -> Column:
    def cell(rows: list[dict[str, Any]], every: Rows) -> str:
        name = next(one for one, theirs in every.items() if theirs is rows)
        value = ratios(every, name, key, which([row["routes"] for row in rows]))
        return NOTHING if value is None else f"{value:.2f}"

    return Column(head, cell)


def _memory(rows: list[dict[str, Any]], _: Rows) -> str:
    names = sorted({name for row in rows for name in row["memory_mb"]})
    found = {name: median([row["memory_mb"][name] for row in rows]) for name in names}
    return ", ".join(f"{name} {short(value)}" for name, value in found.items())


def _by_lists(rows: list[dict[str, Any]], _: Rows) -> str:
    return short(median([row["cold_ms"] / row["lists_ms"] for row in rows]))


COLUMNS: dict[str, list[Column]] = {
    "new": [
        _median("median ms", "first_answer_ms"),
        _p95("p95 ms", "first_answer_ms"),
        Column("never", _never),
        _total("failed later", "failed_later"),
        Column("runs", _runs),
    ],
    "ipchange": [
        _median("failed", "failed"),
        _p95("failed, p95", "failed"),
        _median("of these after the start", "failed_after_start"),
        _median("waited > 250 ms", "slow"),
        _median("recovery ms", "recovery_ms"),
        _p95("recovery p95 ms", "recovery_ms"),
        _median("sent while no pod ran", "without_unit"),
        Column("runs", _runs),
    ],
    "replicas": [
        *(Column(f"failed: {way}", _way(way, "failed")) for way in ("stop", "kill", "remove")),
        *(
            Column(f"failed, kept alive: {way}", _way(way, "failed_kept_alive"))
            for way in ("stop", "kill", "remove")
        ),
        _p95("waited > 250 ms, p95", "slow"),
        Column("runs", _runs),
    ],
    "churn": [
        _median("failed: new connections", "failed"),
        _median("kept alive", "failed_kept_alive"),
        _median("4 s long", "failed_long"),
        _median("waited > 250 ms", "slow"),
        _median("of requests", "requests"),
        _median("reloads", "reloads"),
        _median("CPU s", "cpu_s"),
        Column("runs", _runs),
    ],
    "idle": [
        _median("CPU s per minute, manager", "cpu_s_per_minute_manager"),
        _median("proxy", "cpu_s_per_minute_proxy"),
        Column("resident MB", _memory),
        _median("pods", "pods"),
    ],
    "throughput": [
        _of_routes("requests/s, 1 route", "per_second", min),
        _ratio("by static", "per_second", min),
        _ratio("p99 by static", "p99_ms", min),
        _of_routes("requests/s, most routes", "per_second", max),
        _ratio("by static ", "per_second", max),
        _ratio("p99 by static ", "p99_ms", max),
        _of_routes("most routes", "routes", max),
    ],
    "scale": [
        _median("cold start s", "cold_ms", 0.001),
        Column("by the two lists", _by_lists),
        _median("CPU s", "cold_cpu_s"),
        _median("API requests", "requests"),
        _median("one pod more, ms", "add_ms"),
        Column("resident MB", _memory),
        _median("pods", "pods"),
        Column("runs", _runs),
    ],
}


def table(scenario: str, rows: Rows, titles: dict[str, str]) -> list[str]:
    """Return a table in Markdown: a line for each manager, errors instead of figures."""
    columns = COLUMNS[scenario]
    lines = [
        f"| | {' | '.join(column.head.strip() for column in columns)} |",
        f"| --- |{' ---: |' * len(columns)}",
    ]
    for name, theirs in rows.items():
        good = [row for row in theirs if "error" not in row]
        clean: Rows = {**rows, name: good}
        cells = [column.cell(good, clean) for column in columns] if good else []
        title = titles.get(name, name)
        lines.append(f"| {title} | {' | '.join(cells)} |" if good else f"| {title} | **failed** |")
        lines += [f"| | **{_plain(row['error'])}** |" for row in theirs if "error" in row]
    return lines


def _plain(text: str) -> str:
    return " ".join(text.replace("|", "/").split())[:200]
