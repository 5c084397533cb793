"""Which certificates are wanted. The service made it of strangers' labels: believe nothing."""

import json
import re
from dataclasses import dataclass

from proxyctl.acme import troubles
from proxyctl.problems import Problem, printable

_MOST = 10_000
_MOST_HOSTS = 100
"""Let's Encrypt puts no more into one certificate."""
_PART = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(\*\.)?{_PART}(\.{_PART})*", re.ASCII)
_LONGEST_HOST = 253
_LONGEST_NAME = 230
"""Of a certificate: the name of its file, and of that beside it, has at most 255 bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A certificate that is wanted."""

    name: str
    """What its file is called; a host name, perhaps with `*.` before it."""
    hosts: tuple[str, ...]
    route: str = ""
    """Who wants it, in the words of the service: `pod "gitea"`."""


def parse(data: bytes, path: str) -> tuple[tuple[Wish, ...], tuple[Problem, ...]]:
    """Return the wishes of wanted.json, and what is wrong with the others."""
    try:
        document = json.loads(data)
        if not isinstance(document, dict) or document.get("version") != 1:
            raise ValueError('expected {"version": 1, ...}')
        entries = document.get("certificates")
        if not isinstance(entries, list) or len(entries) > _MOST:
            raise ValueError(f"expected a list of at most {_MOST} certificates")
    except (ValueError, RecursionError) as error:
        return (), (troubles.bad_wish(path, str(error)),)
    wishes: dict[str, Wish] = {}
    problems = []
    for entry in entries:
        try:
            wish = _wish(entry)
            if wish.name in wishes:
                raise ValueError(f"{wish.name} is there twice")
        except ValueError as error:
            problems.append(troubles.bad_wish(path, str(error)))
        else:
            wishes[wish.name] = wish
    return tuple(wishes.values()), tuple(problems)


def _wish(entry: object) -> Wish:
    if not isinstance(entry, dict):
        raise ValueError("expected an object for each certificate")  # noqa: TRY004
    hosts = entry.get("hosts")
    if not isinstance(hosts, list) or not 1 <= len(hosts) <= _MOST_HOSTS:
        raise ValueError(f"expected 1 to {_MOST_HOSTS} hosts in each certificate")
    route = entry.get("route", "")
    name = host_name(entry.get("name"))
    if len(name) > _LONGEST_NAME:
        raise ValueError(f"expected a name of at most {_LONGEST_NAME} characters: {name[:80]}…")
    return Wish(
        name=name,
        hosts=tuple(dict.fromkeys(map(host_name, hosts))),
        route=printable(route[:200]) if isinstance(route, str) else "",
    )


def host_name(text: object) -> str:
    """Return a host name that is safe as the name of a file, perhaps with `*.` before it."""
    if isinstance(text, str) and len(text) <= _LONGEST_HOST and _HOST.fullmatch(text):
        return text
    raise ValueError(f"expected a host name in lower case, got {str(text)[:80]!r}")
