"""Quadlet units as text: keys with their line numbers, values in systemd's quoting. Pure.

Quadlet splits the value of `Label=` at white space, removes quotes, and drops the whole line where
it holds an escape that it does not know (Podman 5.8 says so in the journal, 5.4 does not).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

_SECTION = re.compile(r"\[([^]]+)\]")
_QUOTES = "\"'"


@dataclass(frozen=True, slots=True)
class Setting:
    """`key=value` of a unit file."""

    line: int
    section: str
    key: str
    value: str
    file: str = ""

    @property
    def place(self) -> str:
        """Return where it stands."""
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Given:
    """A label as Quadlet reads it, and what it makes of it that its author may not expect."""

    place: str
    label: str
    value: str
    surprise: str = ""


def dropin_folders(file: str) -> tuple[str, ...]:
    """Return the names of the folders with drop-ins for a unit file, the most specific first.

    `app-web.container` has those of `app-web.container.d`, `app-.container.d` and `container.d`
    (podman-systemd.unit(5)). Of equal names of drop-ins only the first counts.
    """
    stem, _, kind = file.rpartition(".")
    name, at, instance = stem.partition("@")
    folders = [f"{file}.d"]
    if instance:
        folders.append(f"{name}@.{kind}.d")
    parts = name.split("-")
    for count in range(len(parts) - 1, 0, -1):
        begin = "-".join(parts[:count]) + "-"
        folders += [f"{begin}@.{kind}.d"] if at else []
        folders.append(f"{begin}.{kind}.d")
    return (*folders, f"{kind}.d")


def settings(text: str, file: str = "") -> Iterator[Setting]:
    """Yield the settings of a unit file: comments left out, continued lines joined."""
    section = ""
    for number, line in _logical_lines(text):
        header = _SECTION.fullmatch(line.strip())
        if header:
            section = header[1]
        elif "=" in line:
            key, _, value = line.partition("=")
            yield Setting(number, section, key.strip(), value.strip(), file)


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    first, joined = 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith(("#", ";")):
            continue
        first = first or number
        if line.endswith("\\"):
            joined += line[:-1] + " "
            continue
        yield first, joined + line
        first, joined = 0, ""
    if joined:
        yield first, joined


def labels(found: Iterable[Setting], section: str) -> list[Given]:
    """Return the labels of a unit, in the order of the file; an empty `Label=` forgets them."""
    given: list[Given] = []
    for setting in found:
        if setting.section != section:
            continue
        if setting.key == "Label":
            given = given + _assignments(setting) if setting.value else []
        elif setting.key == "PodmanArgs":
            given += _arguments(setting)
    return given


def last(found: Iterable[Setting], section: str, key: str) -> str:
    """Return the value of a key, the last one if there are several, "" if there is none."""
    values = [s.value for s in found if s.section == section and s.key == key]
    return values[-1] if values else ""


def _assignments(setting: Setting) -> list[Given]:
    if "\\" in setting.value:
        surprise = "a backslash makes Quadlet drop the line"
        return [Given(setting.place, *_pair(setting.value), surprise)]
    given: list[Given] = []
    for word in words(setting.value):
        if "=" in word or not given:
            given.append(Given(setting.place, *_pair(word)))
        else:
            surprise = f"the value ends before {word!r}: put quotes around KEY=VALUE"
            given[-1] = Given(setting.place, given[-1].label, given[-1].value, surprise)
    return given


def _arguments(setting: Setting) -> list[Given]:
    given: list[Given] = []
    rest = iter(words(setting.value))
    for word in rest:
        if word in {"--label", "-l"}:
            given.append(Given(setting.place, *_pair(next(rest, ""))))
        elif word.startswith("--label="):
            given.append(Given(setting.place, *_pair(word.removeprefix("--label="))))
    return given


def _pair(text: str) -> tuple[str, str]:
    key, _, value = text.partition("=")
    return key, value


def words(value: str) -> list[str]:
    """Split at white space and remove quotes, as systemd does (systemd.service(5), "Quoting")."""
    found: list[str] = []
    word: str | None = None
    quote = ""
    for ch in value:
        if quote:
            quote, word = ("", word) if ch == quote else (quote, (word or "") + ch)
        elif ch in _QUOTES:
            quote, word = ch, word or ""
        elif ch.isspace():
            found += [] if word is None else [word]
            word = None
        else:
            word = (word or "") + ch
    return found if word is None else [*found, word]


def places_of(given: Iterable[Given]) -> Mapping[str, str]:
    """Return where each label stands; of several equal ones the last, which wins."""
    return {one.label: one.place for one in given}
