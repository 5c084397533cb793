"""How answers look: aligned columns, colours for the words that carry a state, JSON."""

# ruff: noqa: PLC0415 - what is heavy is imported when it is needed: see proxyctl.cli

import json
import os
import sys
from collections.abc import Mapping, Sequence
from time import localtime, strftime
from typing import Any

import click

from proxyctl.problems import Problem

_COLORS = {
    "UP": "green", "healthy": "green", "PUBLISHED": "green", "ok": "green",
    "DOWN": "red", "NO ROUTE": "red", "NOT PUBLISHED": "red", "NO HAPROXY": "red",
    "UNHEALTHY": "red", "DEGRADED": "red", "NO ADDRESS": "red", "error": "red",
    "EXPIRED": "red", "OLD COPY": "yellow",
    "DRAIN": "yellow", "MAINT": "yellow", "PENDING": "yellow", "STOPPED": "yellow",
    "FLAPPING": "red", "UNCERTAIN": "yellow", "warning": "yellow", "reload": "yellow",
    "start": "yellow",
}  # fmt: skip
_SIGNS = {"+": "green", "-": "red", "~": "yellow", "!": "yellow"}
"""Of steps, in the column without a header."""


def wants_color(choice: str, environment: Mapping[str, str], *, terminal: bool) -> bool:
    """Tell whether to colour: the flag, then NO_COLOR, then FORCE_COLOR, then the terminal."""
    if choice != "auto":
        return choice == "always"
    if environment.get("NO_COLOR"):
        return False
    if environment.get("FORCE_COLOR") or environment.get("CLICOLOR_FORCE", "0") != "0":
        return True
    return terminal and environment.get("TERM") != "dumb"


class Screen:
    """Standard output."""

    def __init__(self, choice: str = "auto") -> None:
        """Decide about colours once, by `--color`, the environment and the terminal."""
        self.terminal = sys.stdout.isatty()
        self.color = wants_color(choice, os.environ, terminal=self.terminal)

    def write(self, text: str = "") -> None:
        """Print a line or several."""
        click.echo(text, color=self.color)

    def json(self, document: object, *, indent: int | None = 2) -> None:
        """Print a document."""
        click.echo(json.dumps(document, indent=indent, ensure_ascii=False))

    def paint(self, word: str, text: str = "") -> str:
        """Return *text*, or *word* itself, in the colour that *word* has."""
        return self._styled(text or word, _COLORS.get(word, ""))

    def _styled(self, text: str, color: str) -> str:
        return click.style(text, fg=color) if self.color and color else text

    def strong(self, text: str) -> str:
        """Return *text* in bold letters."""
        return click.style(text, bold=True) if self.color else text

    def table(self, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
        """Return columns: folded to the width of a terminal, else however wide they are."""
        if self.terminal:
            return self._folded(headers, rows)
        widths = [max(map(len, column)) for column in zip(headers, *rows, strict=True)]
        lines = ["  ".join(map(str.ljust, headers, widths)).rstrip()]
        for row in rows:
            cells = [
                self._styled(cell.ljust(width), _color_of(header, cell))
                for header, cell, width in zip(headers, row, widths, strict=True)
            ]
            lines.append("  ".join(cells).rstrip())
        return "\n".join(lines)

    def _folded(self, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
        # 35 ms of imports that only a person at a terminal has any use for.
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        console = Console(
            highlight=False,
            force_terminal=self.color,
            color_system="standard" if self.color else None,
        )
        grid = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
        for header in headers:
            grid.add_column(header, overflow="fold")
        for row in rows:
            cells = zip(headers, row, strict=True)
            grid.add_row(*(Text(cell, style=_color_of(header, cell)) for header, cell in cells))
        with console.capture() as capture:
            console.print(grid)
        return "\n".join(line.rstrip() for line in capture.get().splitlines())


def _color_of(header: str, cell: str) -> str:
    return (_COLORS if header else _SIGNS).get(cell, "")


def problem_text(screen: Screen, problem: Mapping[str, Any]) -> str:
    """Return a problem of a document as the four lines that every verb prints."""
    known: dict[str, Any] = {
        name: str(problem.get(name, "")) for name in Problem.__dataclass_fields__
    }
    text = Problem(**known).text()
    return screen.paint(known["severity"], known["severity"]) + text.removeprefix(
        known["severity"]
    )


def counted(number: int, noun: str) -> str:
    """Return `1 route`, `2 routes`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """Return a duration in its two largest units: `2 d 3 h`."""
    rest = int(seconds)
    parts: list[str] = []
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])


def flapping(found: Mapping[str, Any] | None) -> str:
    """Return how often something was started, and until when it is held back; "" for None."""
    if not found:
        return ""
    held = f", held back until {clock(found['until'], found['until'])}" if found["until"] else ""
    return f"{counted(found['starts'], 'start')} in a minute{held}"


def clock(moment: float, now: float) -> str:
    """Return a time of day; with the date if it is more than half a day ago."""
    form = "%H:%M:%S" if abs(now - moment) < 43_200 else "%b %d %H:%M:%S"
    return strftime(form, localtime(moment))
