"""The picture of docs/benchmarks.md: a panel of bars for each question. No I/O."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

from figures import short

_WIDTH, _BAR, _LEFT, _TOP = 420, 26, 92, 44
_COLOURS = {"static": "#8c959f", "proxyctl": "#1f6feb", "traefik": "#24a1c1", "shell": "#bf8700"}


class Panel(NamedTuple):
    """A question, and a number for each manager that has one."""

    title: str
    unit: str
    values: Mapping[str, float]


def draw(panels: Sequence[Panel]) -> str:
    """Return an SVG with two panels in a row."""
    heights = [_height(panel) for panel in panels]
    rows = [max(heights[start : start + 2]) for start in range(0, len(panels), 2)]
    parts = [
        _panel(panel, _WIDTH * (number % 2), sum(rows[: number // 2]))
        for number, panel in enumerate(panels)
    ]
    width, height = _WIDTH * min(2, len(panels)), sum(rows)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-family="sans-serif" font-size="12">\n'
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>\n{"".join(parts)}</svg>\n'
    )


def _height(panel: Panel) -> int:
    return _TOP + _BAR * len(panel.values) + 14


def _panel(panel: Panel, x: int, y: int) -> str:
    most = max([*panel.values.values(), 1e-9])
    left, room = x + _LEFT, _WIDTH - _LEFT - 80
    parts = [
        _text(x + 14, y + 22, panel.title, 'font-weight="bold"'),
        _text(x + 14, y + 37, panel.unit, 'font-size="11" fill-opacity="0.7"'),
    ]
    for number, (name, value) in enumerate(panel.values.items()):
        top = y + _TOP + _BAR * number
        length = max(1, round(room * value / most))
        parts += [
            _text(left - 8, top + 15, name, 'text-anchor="end"'),
            _bar(left, top + 3, length, _COLOURS.get(name, "#6e7781")),
            _text(left + length + 6, top + 15, short(value)),
        ]
    return "".join(parts)


def _text(x: int, y: int, words: str, more: str = "") -> str:
    return f'<text x="{x}" y="{y}" fill="#1f2328" {more}>{escape(words)}</text>\n'


def _bar(x: int, y: int, length: int, colour: str) -> str:
    size = f'width="{length}" height="{_BAR - 9}"'
    return f'<rect x="{x}" y="{y}" {size} rx="2" fill="{colour}"/>\n'
