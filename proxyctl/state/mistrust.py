"""The words for what is wrong with the choice of a certificate, or with its age. Pure."""

from collections.abc import Iterable
from difflib import get_close_matches

from proxyctl.problems import Problem, Severity
from proxyctl.state.pem import Pair

DAY = 86_400.0


def names_nobody(subject: str, workload: str, name: str, known: Iterable[str]) -> Problem:
    """The label `tls` names a certificate that there is not."""
    close = get_close_matches(name, tuple(known), n=1)
    hint = f"did you mean {close[0]} ?      " if close else ""
    return Problem(
        id="PX207",
        subject=subject,
        summary=f"asks for a certificate that there is not: {name}",
        where=f"proxyctl.tls={name}",
        effect="https is served with one that covers the host, else with one made by proxyctl",
        fix=hint + "all certificates: proxyctl cert ls",
        workload=workload,
    )


def not_covered(subject: str, workload: str, name: str, host: str) -> Problem:
    """The label `tls` names a certificate that is for other names."""
    return Problem(
        id="PX208",
        subject=subject,
        summary=f"asks for a certificate that is not for {host}",
        where=f"proxyctl.tls={name}",
        effect="it is served, and clients will not trust it",
        fix="proxyctl cert ls shows the names of each; tls=auto chooses by name",
        severity=Severity.WARNING,
        workload=workload,
    )


def running_out(name: str, source: str, pair: Pair, *, now: float, used: bool) -> Problem | None:
    """A certificate that has expired, or will soon: 30 or 7 days, or less of a short life."""
    if pair.not_before > now:
        return _not_yet(name, source, pair, used=used)
    left, life = pair.not_after - now, pair.not_after - pair.not_before
    for days, share in ((0.0, 0.0), (7.0, 0.1), (30.0, 0.25)):
        if left <= min(days * DAY, life * share):
            return _running_out(name, source, pair, days=days, used=used)
    return None


def _not_yet(name: str, source: str, pair: Pair, *, used: bool) -> Problem:
    hosts = ", ".join(pair.names)
    return Problem(
        id="PX429",
        subject=f'certificate "{name}"',
        summary="is not valid yet",
        where=source,
        effect=f"clients refuse https for {hosts}" if used else "none: it is not served",
        fix="look at its dates, and at this machine's clock: openssl x509 -noout -dates; date",
        severity=Severity.ERROR if used else Severity.WARNING,
    )


def _running_out(name: str, source: str, pair: Pair, *, days: float, used: bool) -> Problem:
    hosts = ", ".join(pair.names)
    effect = f"clients {'will refuse' if days else 'refuse'} https for {hosts}"
    return Problem(
        id="PX423" if days else "PX422",
        subject=f'certificate "{name}"',
        summary=f"expires in less than {days:g} days" if days else "has expired",
        where=source,
        effect=effect if used else f"none: another one is served for {hosts}",
        fix="replace the file: it is taken over at once, without a reload",
        severity=Severity.WARNING if days or not used else Severity.ERROR,
    )
