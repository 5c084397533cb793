"""The parts of Podman's JSON, each as what it must be: a text, a list, a port, a time. Pure.

Anything else raises `OddAnswer`, which costs the one object that it is about.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from proxyctl.addresses import parse_address

Json = Mapping[str, Any]
"""An object as Podman sent it: nothing in it can be relied on."""

_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?\s*(Z|[+-]\d\d:?\d\d)", re.ASCII
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class OddAnswer(ValueError):  # noqa: N818 - named after what happened, like its neighbours
    """Podman described an object in a way that cannot be understood; the message says where."""


def text_of(raw: Json, key: str) -> str:
    """Return a text; "" where there is none, or null."""
    value = raw.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise OddAnswer(f"{key} is {value!r:.60}, not a text")
    return value


def object_of(raw: Json, *keys: str) -> Json:
    """Return the first of the objects that is there; an empty one for null and missing."""
    value: object = next((raw[key] for key in keys if raw.get(key) is not None), {})
    if not isinstance(value, Mapping):
        raise OddAnswer(f"{keys[0]} is {value!r:.60}, not an object")
    return value


def list_of(raw: Json, key: str) -> list[Any]:
    """Return a list; an empty one where there is none, or null."""
    value = raw.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise OddAnswer(f"{key} is {value!r:.60}, not a list")
    return value


def port_of(value: object) -> int:
    """Return a port, which may be written as a text."""
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 65536:
        raise OddAnswer(f"{value!r:.60} is not a port")
    return value


def address_of(value: object) -> str:
    """Return the host's address of a published port; 4.3 says "" where 5.x says 0.0.0.0."""
    if value in (None, "", "0.0.0.0"):  # noqa: S104 - read, not bound
        return ""
    if not isinstance(value, str):
        raise OddAnswer(f"{value!r:.60} is not an address")
    try:
        return parse_address(value.strip("[]")).compressed
    except ValueError:
        raise OddAnswer(f"{value!r:.60} is not an address") from None


def nanoseconds_of(value: object) -> int:
    """Return a time as nanoseconds since the epoch; 0 if there is none that we understand."""
    if isinstance(value, int) and not isinstance(value, bool):
        return max(value, 0) * 1_000_000_000
    match = _TIME.match(value) if isinstance(value, str) else None
    if match is None:
        return 0
    day, clock, fraction, zone = match.groups()
    moment = datetime.fromisoformat(f"{day}T{clock}{zone.replace('Z', '+00:00')}")
    whole = round((moment - _EPOCH).total_seconds())
    return max(whole * 1_000_000_000 + int((fraction or "").ljust(9, "0")), 0)


def seconds_of(value: object) -> int:
    """Return a time as seconds since the epoch; 0 if there is none that we understand."""
    return nanoseconds_of(value) // 1_000_000_000
