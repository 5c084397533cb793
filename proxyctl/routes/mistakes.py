"""The words for users' mistakes with labels: one function per `PX` number from 101 to 199.

Each names the object that the user wrote, the effect on the traffic, and the fix.
"""

from collections.abc import Iterable
from dataclasses import replace
from difflib import get_close_matches

from proxyctl.problems import Problem, Severity, printable
from proxyctl.routes.route import HEADER_PREFIXES, label_fields
from proxyctl.routes.workload import Workload

_REFUSED = "the {kind} is not published (refused whole, so that a mistake never opens a door)"
_ALL = "all labels: proxyctl labels"


def shown(text: str, limit: int = 60) -> str:
    """Return *text* printable and short: control characters escaped, the rest left away."""
    short = printable(text[: limit + 1])
    return short if len(short) <= limit else short[: limit - 1] + "…"


def _problem(  # noqa: PLR0913 - the fields of a problem
    workload: Workload,
    number: str,
    summary: str,
    *,
    where: str,
    fix: str,
    effect: str = "",
    severity: Severity = Severity.ERROR,
) -> Problem:
    kind = "static route" if workload.kind == "static" else str(workload.kind)
    origin = f"   ({workload.origin})" if workload.origin else ""
    return Problem(
        id=number,
        subject=workload.subject,
        summary=summary,
        where=where + origin,
        effect=effect or _REFUSED.format(kind=kind),
        fix=fix,
        severity=severity,
        workload=workload.uid,
    )


def unknown_label(workload: Workload, label: str, key: str, value: str) -> Problem:
    """A key that no route has; `label` is as the user wrote it, `key` what should be one."""
    known = [name for name in label_fields() if name not in {"header.request", "header.response"}]
    close = closest(key.lower(), [*known, "enable", *HEADER_PREFIXES])
    start = label.removesuffix(key)
    if close == "enable":  # of the whole workload only
        start = start.partition("route.")[0]
    hint = f"did you mean {start}{close} ?      " if close else ""
    return _problem(
        workload,
        "PX101",
        "has a label that proxyctl does not know",
        where=f"{shown(label)}={shown(value)}",
        effect=f"the {workload.kind} is not published "
        '(unknown labels are refused, so that a misspelt "allow" never opens a door)',
        fix=hint + _ALL,
    )


def closest(key: str, known: Iterable[str]) -> str:
    """Return the key that was meant, "" if none is near: `hots` is rather `host` than `hsts`."""
    close = get_close_matches(key, [*known], n=3)
    swapped = (word for word in close if sorted(word) == sorted(key))
    return next(swapped, close[0] if close else "")


def bad_value(workload: Workload, label: str, key: str, value: str, message: str) -> Problem:
    """A value that its key does not take; `label` is as the user wrote it."""
    prefix = next((p for p in HEADER_PREFIXES if key.startswith(p)), "")
    topic = prefix.removesuffix(".") or key
    return _problem(
        workload,
        "PX102",
        "has a label with a value that it cannot have",
        where=f"{shown(label)}={shown(value)}",
        fix=f"{message}      proxyctl labels {topic}",
    )


def later_label(workload: Workload, label: str, value: str) -> Problem:
    """A key of the design that this version does not carry out."""
    return _problem(
        workload,
        "PX103",
        "has a label that this version of proxyctl does not carry out yet",
        where=f"{shown(label)}={shown(value)}",
        fix=f"remove it      {_ALL}",
    )


def no_host(workload: Workload, labels: Iterable[str]) -> Problem:
    """Labels, but none that asks to be published."""
    return _problem(
        workload,
        "PX104",
        "has proxyctl's labels, but none that publishes it",
        where=", ".join(sorted(map(shown, labels))),
        effect=f"the {workload.kind} is not published",
        fix="add proxyctl.host=NAME (or proxyctl.mode=tcp and proxyctl.entrypoint=NAME)",
        severity=Severity.WARNING,
    )


def near_prefix(workload: Workload, label: str, value: str) -> Problem:
    """A label that looks as if it should begin with `proxyctl.`."""
    return _problem(
        workload,
        "PX105",
        "has a label that is nearly one of proxyctl's",
        where=f"{shown(label)}={shown(value)}",
        effect="the label is ignored",
        fix="proxyctl's labels begin with proxyctl. in lower case",
        severity=Severity.WARNING,
    )


def misfit(workload: Workload, label: str, value: str, why: str, fix: str) -> Problem:
    """A good value that does not fit the other labels, or names what the settings do not have."""
    return _problem(
        workload,
        "PX106",
        f"has a label that does not fit: {why}",
        where=f"{shown(label)}={shown(value)}",
        fix=fix,
    )


def not_allowed(workload: Workload, host: str, allowed: Iterable[str]) -> Problem:
    """A host name that the owner of this Podman socket may not claim."""
    return _problem(
        workload,
        "PX109",
        f"may not publish {host}",
        where=f"proxyctl.host={host}",
        fix=f"this Podman socket's `hosts` in config.toml: {', '.join(allowed)}",
    )


def no_port(workload: Workload, label: str, candidates: tuple[int, ...]) -> Problem:
    """No port label, and not exactly one TCP port to take for it."""
    seen = ", ".join(map(str, candidates)) or "none"
    return _problem(
        workload,
        "PX110",
        "does not say which port to use",
        where=f"TCP ports that it exposes or publishes: {seen}",
        fix=f"add {label}=PORT" + (f", one of {seen}" if candidates else ""),
    )


def unreachable(workload: Workload, why: str, fix: str) -> Problem:
    """A running workload without an address that the host can reach."""
    return _problem(
        workload,
        "PX111",
        f"cannot be reached from the host: {why}",
        where=f"network mode {workload.network_mode}"
        + (f", networks {', '.join(n.name for n in workload.networks)}" * bool(workload.networks)),
        effect="requests get 503",
        fix=fix,
    )


def kept(problem: Problem) -> Problem:
    """Return *problem* with the effect that it has where the last good route stays."""
    return replace(problem, effect="the route that it had before stays")
