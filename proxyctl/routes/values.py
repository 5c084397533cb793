r"""The types of labels: from a stranger's string to a value that cannot carry an injection.

Each parser takes text and returns the value, or raises ValueError with the rest of a sentence
("…, got 'x'" is added by the caller). None lets a space, quote, newline, `#`, `\`, `%` or control
character through, but `HeaderText`, which loses control characters only and is quoted later.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BeforeValidator

from proxyctl.addresses import parse_address, parse_ip_network

MAX_LENGTH = 4096
"""No value is longer, in characters: the line that it ends up in has to fit HAProxy's buffers."""
MAX_HEADER = 1024
"""No header's value is longer, in characters."""

WILDCARD_LABELS = 8
"""So many labels may follow `*.`: each is one more lookup for a host that has no route."""

_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?", re.ASCII)
_HOST_PART = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
_PATH = re.compile(r"(/[A-Za-z0-9._~@:=+,-]+)*", re.ASCII)
_DURATION = re.compile(r"(0|[1-9][0-9]{0,9})(us|ms|s|m|h|d)", re.ASCII)
_DURATION_MS = {"us": 0.001, "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_LONGEST_HSTS_S = 3650 * 86_400
_LONGEST_MS = 2**31 - 1  # configuration.txt 2.5: about 24 days
_HEADER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_STATUS = re.compile(r"[1-5][0-9]{2}(-[1-5][0-9]{2})?(,[1-5][0-9]{2}(-[1-5][0-9]{2})?)*", re.ASCII)
_RATE = re.compile(r"([1-9][0-9]{0,8})/([0-9]+[a-z]+)", re.ASCII)
_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})
_HOP_BY_HOP = frozenset(
    {"connection", "content-length", "host", "keep-alive", "te", "trailer"}
    | {"transfer-encoding", "upgrade"}
)


def parse_bool(text: str) -> bool:
    """Return the truth that *text* names, in any case."""
    word = text.strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError("expected true or false")


def _integer(text: str, lowest: int, highest: int) -> int:
    if re.fullmatch(r"-?[0-9]{1,10}", text, re.ASCII) and lowest <= int(text) <= highest:
        return int(text)
    raise ValueError(f"expected a whole number from {lowest} to {highest}")


def parse_port(text: str) -> int:
    """Return a TCP port."""
    return _integer(text, 1, 65535)


def parse_weight(text: str) -> int:
    """Return a server's weight: HAProxy takes 0 to 256."""
    return _integer(text, 0, 256)


def parse_count(text: str) -> int:
    """Return how many of something, at least one."""
    return _integer(text, 1, 1_000_000)


def parse_priority(text: str) -> int:
    """Return a route's priority."""
    return _integer(text, -1000, 1000)


def parse_name(text: str) -> str:
    """Return a name of something in the settings, or of a group: lower case, no colon."""
    if _NAME.fullmatch(text):
        return text
    raise ValueError("expected a name of a-z, 0-9, '.', '_' and '-' (at most 63)")


def parse_network_name(text: str) -> str:
    """Return the name of a Podman network, in the alphabet that Podman allows."""
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}", text, re.ASCII):
        return text
    raise ValueError("expected the name of a Podman network")


def _items(text: str) -> tuple[str, ...]:
    items = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    if "" in items:
        raise ValueError("expected a list with commas between its items, and no empty item")
    return items


def parse_names(text: str) -> tuple[str, ...]:
    """Return several names."""
    return tuple(parse_name(item) for item in _items(text))


def parse_hostname(text: str) -> str:
    """Return a DNS name or an IP literal (IPv6 in brackets) as it looks in a Host header."""
    name = text.lower().removesuffix(".")
    if name.startswith("["):
        try:
            inner = name[1:].removesuffix("]") if name.endswith("]") else ""
            address = parse_address(inner)
        except ValueError:
            address = None
        if address is None or address.version != 6:
            raise ValueError("expected an IPv6 address without a zone between the brackets")
        return f"[{address.compressed}]"
    if not name.isascii():
        raise ValueError(f"expected a host name in its ASCII form ({_punycode(name)})")
    if 0 < len(name) <= 253 and all(_HOST_PART.fullmatch(part) for part in name.split(".")):
        return name
    raise ValueError("expected a host name such as git.example.com, without scheme, port or path")


def _punycode(name: str) -> str:
    try:
        return name.encode("idna").decode()
    except UnicodeError:
        return "xn--…"


def parse_hosts(text: str) -> tuple[str, ...]:
    """Return host names; `*.example.com` stands for the names below it, `*` for every name."""
    return tuple(dict.fromkeys(_host_pattern(item) for item in _items(text)))


def _host_pattern(text: str) -> str:
    if text == "*":
        return text
    if text.startswith("*."):
        parent = parse_hostname(text[2:])
        if parent.count(".") >= WILDCARD_LABELS:
            raise ValueError(f"expected at most {WILDCARD_LABELS} labels after '*.'")
        return f"*.{parent}"
    if "*" in text:
        raise ValueError("expected '*' only as the whole first part of a name: *.example.com")
    return parse_hostname(text)


def parse_path(text: str) -> str:
    """Return a path prefix without its last slash: `/` is ""."""
    path = text.removesuffix("/")
    if text.endswith("/*"):
        raise ValueError(f"expected a path without '*': {text[:-2] or '/'} covers all below it")
    if not text.startswith("/") or not _PATH.fullmatch(path):
        raise ValueError("expected a path such as /api, of letters, digits and . _ ~ @ : = + , -")
    if {".", ".."} & set(path.split("/")):
        raise ValueError("expected a path without '.' and '..'")
    return path


def parse_duration(text: str) -> str:
    """Return a duration with its unit, as HAProxy reads it (configuration.txt 2.5)."""
    match = _DURATION.fullmatch(text)
    if not match:
        raise ValueError("expected a duration with its unit, such as 500ms, 5s, 10m or 1h")
    if int(match[1]) * _DURATION_MS[match[2]] > _LONGEST_MS:
        raise ValueError("expected a duration of at most 24d")
    return text


def milliseconds(duration: str) -> int:
    """Return a parsed duration in milliseconds."""
    match = _DURATION.fullmatch(duration)
    assert match, duration
    return int(int(match[1]) * _DURATION_MS[match[2]])


def _nonzero_duration(text: str) -> str:
    if milliseconds(parse_duration(text)) < 1:
        raise ValueError("expected a duration of at least 1ms")
    return text


def parse_hsts(text: str) -> int:
    """Return for how many seconds a browser remembers; 0 is `off`."""
    if text == "off":
        return 0
    match = _DURATION.fullmatch(text)
    seconds = int(int(match[1]) * _DURATION_MS[match[2]] / 1000) if match else 0
    if 1 <= seconds <= _LONGEST_HSTS_S:
        return seconds
    raise ValueError("expected off, or a duration from 1s to 3650d, such as 365d")


def parse_sources(text: str) -> tuple[str, ...]:
    """Return networks in canonical form; `private` and `@list` stay words for later."""
    return tuple(_source(item) for item in _items(text))


def _source(text: str) -> str:
    if text == "private":
        return text
    if text.startswith("@"):
        return "@" + parse_name(text[1:])
    return parse_network(text)


def parse_network(text: str) -> str:
    """Return an address or network in canonical form."""
    try:
        return str(parse_ip_network(text))
    except ValueError:
        raise ValueError(
            "expected an IP address without a zone, a network such as 10.0.0.0/8, or 'private' "
            "or @list where the settings have one"
        ) from None


def parse_header_name(text: str) -> str:
    """Return the name of a header that a route may touch."""
    if not _HEADER_NAME.fullmatch(text):
        raise ValueError("expected a header name of letters, digits, '-' and '_'")
    if text.lower() in _HOP_BY_HOP:
        raise ValueError("this header belongs to HAProxy (for Host, see host-header)")
    return text


def parse_header_text(text: str) -> str:
    """Return free text for a header: anything but control characters."""
    if _CONTROL.search(text):
        raise ValueError("expected text without control characters or line breaks")
    if len(text) > MAX_HEADER:
        raise ValueError(f"expected at most {MAX_HEADER} characters")
    return text.strip(" ")


def parse_cookie_name(text: str) -> str:
    """Return a cookie's name."""
    if _HEADER_NAME.fullmatch(text):
        return text
    raise ValueError("expected a cookie name of letters, digits, '-' and '_'")


def parse_status(text: str) -> str:
    """Return HTTP status codes and ranges, with commas between them."""
    if _STATUS.fullmatch(text):
        return text
    raise ValueError("expected HTTP statuses such as 200, 200-399 or 200,204")


def parse_health(text: str) -> str:
    """Return `tcp`, `off`, `podman`, or the path of an HTTP check."""
    if text in {"tcp", "off", "podman"}:
        return text
    if not text.startswith("/"):
        raise ValueError("expected tcp, off, podman, or a path such as /healthz")
    return parse_path(text) or "/"


def parse_hold(text: str) -> str:
    """Return how long requests wait; `off` is 0s."""
    return "0s" if text == "off" else parse_duration(text)


def parse_host_header(text: str) -> str:
    """Return `pass`, `backend`, or the host name to send."""
    return text if text in {"pass", "backend"} else parse_hostname(text)


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests in a period (a duration)."""

    requests: int
    period: str


def parse_rate(text: str) -> Rate:
    """Return a rate, written `100/10s`."""
    match = _RATE.fullmatch(text)
    if not match:
        raise ValueError("expected requests and a period, such as 100/10s")
    return Rate(int(match[1]), _nonzero_duration(match[2]))


class Balance(StrEnum):
    """How a server is chosen (configuration.txt, "balance"); all allow dynamic servers."""

    ROUNDROBIN = "roundrobin"
    LEASTCONN = "leastconn"
    FIRST = "first"
    SOURCE = "source"
    RANDOM = "random"
    URI = "uri"


class Sticky(StrEnum):
    """What ties a client to a server."""

    OFF = "off"
    COOKIE = "cookie"
    SOURCE = "source"


Bool = Annotated[bool, BeforeValidator(parse_bool)]
Port = Annotated[int, BeforeValidator(parse_port)]
Weight = Annotated[int, BeforeValidator(parse_weight)]
Count = Annotated[int, BeforeValidator(parse_count)]
Priority = Annotated[int, BeforeValidator(parse_priority)]
Name = Annotated[str, BeforeValidator(parse_name)]
NetworkName = Annotated[str, BeforeValidator(parse_network_name)]
Names = Annotated[tuple[str, ...], BeforeValidator(parse_names)]
Hosts = Annotated[tuple[str, ...], BeforeValidator(parse_hosts)]
Hostname = Annotated[str, BeforeValidator(parse_hostname)]
PathPrefix = Annotated[str, BeforeValidator(parse_path)]
Duration = Annotated[str, BeforeValidator(_nonzero_duration)]
Hsts = Annotated[int, BeforeValidator(parse_hsts)]
TlsChoice = Annotated[str, BeforeValidator(parse_name)]
Hold = Annotated[str, BeforeValidator(parse_hold)]
Sources = Annotated[tuple[str, ...], BeforeValidator(parse_sources)]
HeaderName = Annotated[str, BeforeValidator(parse_header_name)]
HeaderText = Annotated[str, BeforeValidator(parse_header_text)]
CookieName = Annotated[str, BeforeValidator(parse_cookie_name)]
Status = Annotated[str, BeforeValidator(parse_status)]
HealthCheck = Annotated[str, BeforeValidator(parse_health)]
HostHeader = Annotated[str, BeforeValidator(parse_host_header)]
RateLimit = Annotated[Rate, BeforeValidator(parse_rate)]
RouteMode = Literal["http", "tcp", "passthrough"]
Scheme = Literal["http", "https", "h2c"]
AddressChoice = Literal["auto", "ip", "published"]
SendProxy = Literal["v1", "v2"]
