"""What is told of certificates from a CA: how each stands, when it is renewed. Pure.

The engine's own words of what is wrong are kept. How much it costs is decided here: nothing, as
long as a valid certificate is served.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from time import gmtime, strftime
from typing import Any

from proxyctl.problems import Problem, Severity
from proxyctl.state.certificates import wanted
from proxyctl.state.issuance import Issuance, Report, of_wanted
from proxyctl.status.view import View

_GOOD = frozenset({"valid", "renewing"})
"""States in which browsers like what is served."""


def with_report(view: View, report: Report) -> View:
    """Return the view with what the engine tells, as far as it is still wanted."""
    found = of_wanted(report, wanted(view.shares, view.settings, view.stock))
    problems = dict.fromkeys((*report.problems, *(p for one in found for p in problems_of(one))))
    severe = {replace(p, severity=Severity.WARNING) for p in problems if _is_error(p)}
    told = (p for p in problems if _is_error(p) or p not in severe)
    return replace(view, issuances=found, problems=(*view.problems, *told))


def problems_of(issuance: Issuance) -> tuple[Problem, ...]:
    """Return what keeps a certificate from being had; a warning while the present one is good."""
    if issuance.last_error is None:
        return ()
    if issuance.state in _GOOD:
        return (replace(issuance.last_error, severity=Severity.WARNING),)
    return (issuance.last_error,)


def _is_error(problem: Problem) -> bool:
    return problem.severity is Severity.ERROR


def of_hosts(view: View, hosts: Iterable[str]) -> tuple[Issuance, ...]:
    """Return how it stands with the certificates for some hosts."""
    asked = set(hosts)
    return tuple(one for one in view.issuances if asked & {*one.hosts})


def states(issuances: Iterable[Issuance]) -> dict[str, int]:
    """Return how many are in each state."""
    found: dict[str, int] = {}
    for one in issuances:
        found[one.state] = found.get(one.state, 0) + 1
    return dict(sorted(found.items()))


def as_document(issuance: Issuance) -> dict[str, Any]:
    """Return it as a JSON object; times are seconds since the epoch, null where not known."""
    problems = problems_of(issuance)
    return {
        "name": issuance.name,
        "hosts": list(issuance.hosts),
        "route": issuance.route,
        "state": issuance.state,
        "reason": issuance.reason,
        "renew_at": _seconds(issuance.renew_at),
        "next_try": _seconds(issuance.next_try),
        "failures": issuance.failures,
        "problem": problems[0].as_json() if problems else None,
    }


def _seconds(moment: datetime | None) -> float | None:
    return moment.timestamp() if moment else None


def in_words(issuance: Issuance) -> str:
    """Return how it stands with a certificate, for a line about its host."""
    error, due = issuance.last_error, _day(issuance.renew_at)
    if issuance.state == "valid":
        return f"renewed from {due} on" if due else "renewed in time"
    if issuance.state == "excluded":
        return "not asked of the CA: [acme] hosts leaves it out"
    if error is None:
        return f"asked of the CA: {issuance.reason}"
    again = f", next try {_minute(issuance.next_try)}" if issuance.next_try else ""
    return f"the CA's {issuance.state} ({error.id}{again}): proxyctl status"


def _day(moment: datetime | None) -> str:
    return strftime("%Y-%m-%d", gmtime(moment.timestamp())) if moment else ""


def _minute(moment: datetime) -> str:
    return strftime("%Y-%m-%d %H:%M UTC", gmtime(moment.timestamp()))
