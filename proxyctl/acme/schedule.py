"""When to ask the CA for what. Pure: the clock is an argument.

A certificate is renewed when its CA suggests (renewalInfo, RFC 9773), else when two thirds of its
life are over. After a failure the pause grows, per certificate, and is never shorter than what the
CA asked for in Retry-After.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

_LATEST = timedelta(days=30)
"""A CA that asks for a longer pause is asked again after this one."""


class Cost(StrEnum):
    """What another failure would cost, which decides how long to wait before the next try."""

    OURS = "ours"
    """The CA did not hear of it: a name that does not point here, a full disk."""
    CA = "ca"
    """The CA does not answer: be polite, but be there soon after it is back."""
    COUNTED = "counted"
    """The CA counts it. Let's Encrypt allows five failed validations per name and hour."""


_PAUSES = {
    Cost.OURS: (timedelta(minutes=1), timedelta(hours=1)),
    Cost.CA: (timedelta(minutes=2), timedelta(hours=2)),
    Cost.COUNTED: (timedelta(minutes=15), timedelta(days=1)),
}
"""The first pause, which doubles, and the longest."""


class State(StrEnum):
    """How a certificate is, in one word for status.json."""

    VALID = "valid"
    RENEWING = "renewing"
    """Valid, and due: its successor is asked for, or waits for `next_try`."""
    WAITING = "waiting"
    """There is none yet, and nothing has gone wrong."""
    FAILED = "failed"
    """There is none, and the last try failed."""
    EXPIRED = "expired"
    """There is one, and browsers refuse it."""
    EXCLUDED = "excluded"
    """`acme.hosts` leaves it out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """When the CA would like a certificate to be renewed."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A certificate that is on the disk."""

    serial: str
    """In hexadecimal digits, as `openssl x509 -serial` prints it, in lower case."""
    hosts: frozenset[str]
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What is to be done about a certificate, and why."""

    state: State
    reason: str = ""
    """Why it is to be asked for; empty if it is not."""
    renew_at: datetime | None = None

    @property
    def due(self) -> bool:
        """Tell whether it is to be asked for, as soon as no pause forbids it."""
        return bool(self.reason)


def judge(  # noqa: PLR0913 - all that there is to know about one certificate
    hosts: Iterable[str],
    held: Held | None,
    *,
    now: datetime,
    failed: bool,
    window: Window | None = None,
    other_ca: bool = False,
    revoked: bool = False,
    asked_for: bool = False,
) -> Judgement:
    """Return what to do about the certificate for *hosts*.

    `failed` tells that the last try failed, `other_ca` that *held* is another CA's than the one in
    the settings (staging, for example), `revoked` that *held* was taken back, `asked_for` that a
    person wants another one.
    """
    if held is None:
        state = State.FAILED if failed else State.WAITING
        return Judgement(state=state, reason="there is none")
    renewal = renew_at(held, window)
    reason = ""
    if held.hosts != frozenset(hosts):
        reason = "its hosts changed"
    elif revoked:
        reason = "it was revoked"
    elif other_ca:
        reason = "it is another CA's"
    elif now >= renewal:
        reason = "its time has come"
    elif asked_for:
        reason = "its renewal is asked for"
    if now >= held.not_after:
        return Judgement(state=State.EXPIRED, reason="it has expired", renew_at=renewal)
    state = State.RENEWING if reason else State.VALID
    return Judgement(state=state, reason=reason, renew_at=renewal)


def renew_at(held: Held, window: Window | None) -> datetime:
    """Return when to renew: at a moment of the CA's window that is the same each time one asks.

    RFC 9773 4.2 wants it uniformly random; drawn from the serial number it needs no memory.
    """
    if window is None:
        return held.not_before + (held.not_after - held.not_before) * 2 / 3
    digest = hashlib.sha256(held.serial.encode()).digest()
    fraction = int.from_bytes(digest[:4]) / 2**32
    return min(window.start + (window.end - window.start) * fraction, held.not_after)


def next_try(
    failures: int, cost: Cost, now: datetime, retry_after: datetime | None = None
) -> datetime:
    """Return when to try again after the given number of failures in a row, the last one now."""
    first, longest = _PAUSES[cost]
    doublings: int = 2 ** min(max(failures - 1, 0), 16)
    pause = min(longest, first * doublings)
    if retry_after is None:
        return now + pause
    return min(max(now + pause, retry_after), now + _LATEST)


def may_try(paused_until: datetime | None, now: datetime) -> bool:
    """Tell whether a pause is over, or so long that the clock must have been wrong."""
    return paused_until is None or now >= paused_until or paused_until > now + 2 * _LATEST


def in_order(due: Sequence[tuple[str, datetime | None]]) -> tuple[str, ...]:
    """Return names in the order of their need: first without a certificate, then by expiry."""
    return tuple(name for name, _ in sorted(due, key=_need))


def _need(item: tuple[str, datetime | None]) -> tuple[float, str]:
    name, not_after = item
    return (not_after.timestamp() if not_after else 0.0, name)


def wants_staging_advice(failures: int, *, production: bool) -> bool:
    """Tell whether to advise the CA's staging: what goes on failing there costs nothing."""
    return production and failures >= 2


def allowed(hosts: Iterable[str], patterns: Sequence[str]) -> bool:
    """Tell whether `acme.hosts` has every host: by name, or by `*.` and anything below it."""
    return not patterns or all(_matches(host, patterns) for host in hosts)


def _matches(host: str, patterns: Sequence[str]) -> bool:
    return any(
        host == pattern or (pattern.startswith("*.") and host.endswith(pattern[1:]))
        for pattern in patterns
    )
