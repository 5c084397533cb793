"""The parts of haproxy.cfg and its maps that one workload brought about. Pure."""

from collections.abc import Iterable, Mapping

from proxyctl.state.frontends import backend_of
from proxyctl.state.render import CONFIG, Rendered


def sections_of(rendered: Rendered, backends: Iterable[str]) -> str:
    """Return the text of some backends' sections, each with the comment above it."""
    lines = rendered.texts.get(CONFIG, "").splitlines()
    wanted = {f"backend/{name}" for name in backends}
    chosen = [_lines(rendered, lines, name) for name in sorted(wanted)]
    return "\n".join("\n".join(part) + "\n" for part in chosen if part)


def span_of(rendered: Rendered, backend: str) -> tuple[int, int] | None:
    """Return the first and last line of a backend's section; None if there is none."""
    lines = rendered.texts.get(CONFIG, "").splitlines()
    first = [section.first for section in rendered.sections]
    for section in rendered.sections:
        if section.name == f"backend/{backend}":
            end = min((one for one in first if one > section.first), default=len(lines) + 1)
            while end - 2 >= section.first and _is_between(lines[end - 2]):
                end -= 1
            return section.first, end - 1
    return None


def _is_between(line: str) -> bool:
    """Tell whether a line belongs to no section, or to the one after it."""
    return not line.strip() or line.startswith("#")


def _lines(rendered: Rendered, lines: list[str], section: str) -> list[str]:
    span = span_of(rendered, section.removeprefix("backend/"))
    if span is None:
        return []
    first, last = span
    while first >= 2 and lines[first - 2].startswith("#"):
        first -= 1
    return lines[first - 1 : last]


def map_rows_of(rendered: Rendered, backends: Iterable[str]) -> Mapping[str, str]:
    """Return the rows of the maps that lead to some backends, by file; only files with some."""
    wanted = frozenset(backends)
    found = {
        name: "".join(f"{line}\n" for line in text.splitlines() if _value(line) in wanted)
        for name, text in sorted(rendered.texts.items())
        if name != CONFIG
    }
    return {name: text for name, text in found.items() if text}


def _value(row: str) -> str:
    return backend_of(row.rpartition(" ")[2])
