"""What the engine tells of the certificates from a CA: its status.json, as values. Pure."""

from dataclasses import replace
from datetime import datetime

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from proxyctl.problems import Problem
from proxyctl.state.certificates import ACME, Wanted

_LENIENT = ConfigDict(extra="ignore")


@dataclass(frozen=True, slots=True, kw_only=True, config=_LENIENT)
class Issuance:
    """How it stands with one certificate that is wanted from the CA."""

    name: str
    hosts: tuple[str, ...]
    route: str = ""
    """Who wants it: `pod "gitea"`."""
    state: str = "waiting"
    """`valid renewing waiting failed expired excluded`, as docs/acme.md has them."""
    reason: str = ""
    """Why it is to be got; empty if it is not."""
    renew_at: datetime | None = None
    """When it is due; None: not known."""
    next_try: datetime | None = None
    """When a pause after a failure is over; None: there is none."""
    failures: int = 0
    """Tries that failed, in a row."""
    last_error: Problem | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=_LENIENT)
class Report:
    """All that the engine tells, as of its last run."""

    directory: str = ""
    """The CA."""
    problems: tuple[Problem, ...] = ()
    """What is wrong with no certificate in particular."""
    certificates: tuple[Issuance, ...] = ()


_ADAPTER = TypeAdapter(Report)
_NOT_RUN = "the engine has not looked yet: proxyctl-acme.path starts it"


def parse(data: bytes) -> Report | None:
    """Return what status.json tells; None if it is not understood."""
    try:
        return _ADAPTER.validate_json(data)
    except ValidationError:
        return None


def of_wanted(report: Report, wanted: tuple[Wanted, ...]) -> tuple[Issuance, ...]:
    """Return how it stands with what is wanted now, also where the engine does not know of it."""
    known = {one.name: one for one in report.certificates}
    return tuple(
        replace(known[one.name], hosts=one.hosts, route=one.route)
        if one.name in known
        else Issuance(name=one.name, hosts=one.hosts, route=one.route, reason=_NOT_RUN)
        for one in wanted
    )


def offer_name(name: str) -> str:
    """Return what its certificate is called in the stock: as its file, where a star is a word."""
    return f"{ACME}_wildcard.{name[2:]}" if name.startswith("*.") else f"{ACME}{name}"
