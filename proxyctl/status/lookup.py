r"""What HAProxy does with a host and a path, step by step. Pure.

The same as http-frontend.cfg.j2: the canonical forms and refusals first, then `map_beg` with keys
that end in "/", which finds the longest one. A change of the template is a change here.

    host    lower case, the port cut off, then dots at the end       Git.Example.com.:80 is …com
    path    %xx decoded, // is /                                     //a%70i is /api
    400     no plain host name, %00, a bad %xx, `.` or `..` as a segment
    order   exact host, *.its.parents (the nearest first), *; the longest path each
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import unquote

from proxyctl.routes.values import WILDCARD_LABELS

_HOST = re.compile(r"[a-z0-9_][a-z0-9._-]*|\[[0-9a-f:.]+\]", re.ASCII)
_DOTS = re.compile(r"(^|/)\.\.?(/|$)")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request's host and path as they are looked up."""

    host: str
    path: str
    refusal: str = ""
    """Why HAProxy answers 400 instead of looking; "" if it does not."""


class Outcome(StrEnum):
    """What became of a key of a map."""

    WON = "won"
    OTHER_PATH = "path differs"
    SHORTER = "a longer path won"
    NOT_ASKED = "not asked any more"


@dataclass(frozen=True, slots=True, kw_only=True)
class Considered:
    """A key of a map, and what became of it."""

    key: str
    """As a person writes it: `*.example.com/api`."""
    how: str
    """`exact host`, `wildcard`, `any host`."""
    backend: str
    outcome: Outcome


def canonical(host: str, path: str) -> Asked:
    """Return a Host header and the path of a request line as they are looked up."""
    name = re.sub(r":[0-9]*$", "", host.lower()).rstrip(".")
    raw = re.split(r"[?#]", path, maxsplit=1)[0] or "/"
    decoded = re.sub(r"/+", "/", unquote(raw, encoding="latin-1"))
    return Asked(name, decoded, _refusal(name, raw, decoded))


def _refusal(host: str, raw: str, decoded: str) -> str:
    if not _HOST.fullmatch(host):
        return f"{host!r} is not a plain host name"
    if "%00" in raw:
        return "the path holds %00"
    if _BAD_ESCAPE.search(raw):
        return "the path holds a % that two hexadecimal digits do not follow"
    if _DOTS.search(decoded):
        return "the path holds '.' or '..' as a segment"
    return ""


def look_up(entries: Iterable[tuple[str, str]], asked: Asked) -> tuple[Considered, ...]:
    """Return the keys of a map in the order in which they are asked for, the winner marked.

    Keys of other hosts are left out. Nothing has won where HAProxy answers 404.
    """
    by_host: dict[str, list[tuple[str, str]]] = {}
    for key, backend in entries:
        by_host.setdefault(key.partition("/")[0], []).append((key, backend))
    found: list[Considered] = []
    won = False
    for base, how in _bases(asked.host):
        group = _group(by_host, base, f"{base}{asked.path}/", done=won)
        won = won or any(outcome is Outcome.WON for *_, outcome in group)
        found += [
            Considered(key=_readable(key), how=how, backend=backend, outcome=outcome)
            for key, backend, outcome in group
        ]
    return tuple(found)


def look_up_name(entries: Iterable[tuple[str, str]], host: str) -> tuple[Considered, ...]:
    """Return the keys of a map without paths, likewise: which TLS is passed on undecrypted.

    The same as sni-lookup.cfg.j2.
    """
    return look_up(((f"{key}/", backend) for key, backend in entries), Asked(host, ""))


def winner(considered: Iterable[Considered]) -> str:
    """Return the backend that gets the request, "" if none does."""
    return next((one.backend for one in considered if one.outcome is Outcome.WON), "")


def _bases(host: str) -> Iterable[tuple[str, str]]:
    """Return what is asked for in the place of the host, one after the other."""
    yield host, "exact host"
    labels = host.split(".")[-WILDCARD_LABELS - 1 :]
    for first in range(1, len(labels)):
        rest = "." + ".".join(labels[first:])
        if len(rest) > 1:
            yield rest, "wildcard"
    yield "*", "any host"


def _group(
    by_host: Mapping[str, list[tuple[str, str]]], base: str, text: str, *, done: bool
) -> list[tuple[str, str, Outcome]]:
    found: list[tuple[str, str, Outcome]] = []
    won = False
    for key, backend in sorted(by_host.get(base, ()), key=lambda row: (-len(row[0]), row[0])):
        if done:
            outcome = Outcome.NOT_ASKED
        elif not text.startswith(key):
            outcome = Outcome.OTHER_PATH
        else:
            outcome = Outcome.SHORTER if won else Outcome.WON
            won = True
        found.append((key, backend, outcome))
    return found


def _readable(key: str) -> str:
    host, _, path = key.partition("/")
    return f"{'*' if host.startswith('.') else ''}{host}/{path.removesuffix('/')}"
