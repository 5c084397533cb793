"""The words for what keeps a certificate from being had: PX601 to PX699.

None of them costs HTTP anything, or a certificate that is there: that is what each effect says.
"""

from datetime import datetime

from proxyctl.acme.schedule import Cost
from proxyctl.problems import Problem, ProxyctlError, Severity, printable

_KEPT = "HTTP and the present certificate go on; no new certificate is issued"
_RETRIED = "HTTP and the present certificate go on; it is tried again by itself"
_LONGEST = 600


class Trouble(ProxyctlError):  # noqa: N818 - a state of the world, most of the time
    """What kept a certificate from being had: a problem, and when to try again."""

    def __init__(
        self,
        problem: Problem,
        cost: Cost = Cost.OURS,
        *,
        retry_after: datetime | None = None,
        begin_anew: bool = False,
        for_all: bool = False,
    ) -> None:
        super().__init__(problem.text())
        self.problem = problem
        self.cost = cost
        self.retry_after = retry_after
        """The earliest next try, if the CA named one."""
        self.begin_anew = begin_anew
        """Whether the order is dead and the next try needs another."""
        self.for_all = for_all
        """Whether the CA wants a pause in which others had better not ask either."""


def certificate(name: str) -> str:
    """Return a certificate as problems call it."""
    return f'certificate "{printable(name)}"'


def _shown(text: str) -> str:
    line = " ".join(printable(part) for part in text.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


def terms_not_agreed(terms: str) -> Problem:
    """The administrator did not say yes to the CA's terms of service."""
    return Problem(
        id="PX601",
        subject="the CA",
        summary="issues certificates only to who agrees to its terms",
        where=f"[acme] terms-agreed in config.toml      {_shown(terms)}".rstrip(),
        effect=_KEPT,
        fix="read the terms, then write terms-agreed = true below [acme]",
    )


def account_refused(detail: str) -> Problem:
    """The CA did not accept the account: its e-mail address, its key, its binding."""
    return Problem(
        id="PX602",
        subject="the CA",
        summary="refuses this host's account",
        where=_shown(detail),
        effect=_KEPT,
        fix="mend [acme] email (or eab-kid and eab-hmac, which this CA may want) in config.toml",
    )


def bad_account_key(path: str, detail: str) -> Problem:
    """The account key is there and cannot be used; it is not overwritten."""
    return Problem(
        id="PX603",
        subject=f'account key "{path}"',
        summary="cannot be used",
        where=_shown(detail),
        effect=_KEPT,
        fix="restore it from a backup; or move it away: a new account costs nothing, and "
        "certificates of the old one stay valid",
    )


def unreachable(directory: str, detail: str) -> Problem:
    """The CA does not answer, or not in its language."""
    return Problem(
        id="PX604",
        subject=f'CA "{directory}"',
        summary="cannot be reached",
        where=_shown(detail),
        effect=_RETRIED,
        fix=f"does this host get an answer? curl {directory}      (a CA of your own needs "
        "[acme] ca-file)",
    )


def rate_limited(name: str, detail: str, until: datetime | None) -> Problem:
    """The CA wants a pause."""
    when = f"{until:%Y-%m-%d %H:%M} UTC" if until else "a pause that grows"
    return Problem(
        id="PX605",
        subject=certificate(name),
        summary="has to wait: the CA limits how much it issues",
        where=_shown(detail),
        effect=f"HTTP and the present certificate go on; it is not tried again before {when}",
        fix="wait; try out with staging = true, whose limits are higher",
    )


def points_elsewhere(name: str, host: str, detail: str) -> Problem:
    """We asked the host as the CA would, and did not get our own token."""
    return Problem(
        id="PX606",
        subject=certificate(name),
        summary=f'is not asked for: "{host}" does not lead to this host\'s port 80',
        where=_shown(detail),
        effect="HTTP and the present certificate go on; the CA is not asked, so nothing counts "
        "against its limits",
        fix=f"let the A and AAAA records of {host} point here and port 80 be open; or use "
        'challenge = "dns-01". If only this host cannot reach itself by that name: self-check = 0',
    )


def validation_failed(name: str, detail: str, *, staging_advice: bool) -> Problem:
    """The CA looked for the challenge and did not find it."""
    advice = "      until it works: staging = true, whose limits are higher"
    return Problem(
        id="PX607",
        subject=certificate(name),
        summary="was not issued: the CA could not validate it",
        where=_shown(detail),
        effect=_RETRIED,
        fix="the CA says where it looked: mend the DNS records or the firewall (port 80)"
        + (advice if staging_advice else ""),
    )


def refused(name: str, detail: str) -> Problem:
    """The CA will not issue it, whoever asks."""
    return Problem(
        id="PX608",
        subject=certificate(name),
        summary="is refused by the CA",
        where=_shown(detail),
        effect=_RETRIED,
        fix="a public CA takes public names only, and heeds CAA records; leave other names out "
        "with [acme] hosts, or use tls=internal",
    )


def cannot_write(path: str, detail: str) -> Problem:
    """The disk is full, or not ours."""
    return Problem(
        id="PX609",
        subject=f'file "{path}"',
        summary="cannot be read or written",
        where=_shown(detail),
        effect="HTTP and the present certificate go on; nothing is asked of the CA that could not "
        "be kept",
        fix="make room, or give the folder to the user of proxyctl-acme.service; it is tried "
        "again by itself",
    )


def wrong_clock(ours: datetime, theirs: datetime) -> Problem:
    """This host and the CA disagree about the time."""
    return Problem(
        id="PX610",
        subject="this host's clock",
        summary="is wrong, or the CA's is",
        where=f"here it is {ours:%Y-%m-%d %H:%M} UTC, at the CA {theirs:%Y-%m-%d %H:%M} UTC",
        effect="HTTP and the present certificates go on; nothing is renewed too early or too late",
        fix="timedatectl set-ntp true",
    )


def hook_failed(name: str, detail: str) -> Problem:
    """The command that sets DNS records did not, or there is none."""
    return Problem(
        id="PX611",
        subject=certificate(name),
        summary="is not asked for: its DNS record could not be set",
        where=_shown(detail),
        effect=_RETRIED,
        fix="try it by hand: HOOK present _acme-challenge.HOST. VALUE      (docs/acme.md)",
    )


def wildcard_needs_dns(name: str) -> Problem:
    """HTTP-01 cannot prove a wildcard."""
    return Problem(
        id="PX612",
        subject=certificate(name),
        summary="is for a wildcard, which only DNS-01 can prove",
        where="[acme] hook in config.toml",
        effect="HTTP and the present certificate go on; the CA is not asked",
        fix='name a program that sets DNS records: hook = "/etc/proxyctl/dns-hook"      '
        "(docs/acme.md)",
    )


def bad_wish(path: str, detail: str) -> Problem:
    """The file of the service, or an entry of it, is not what it should be."""
    return Problem(
        id="PX613",
        subject=f'file "{path}"',
        summary="is not understood",
        where=_shown(detail),
        effect="HTTP and the present certificates go on; what is not understood is not asked for",
        fix="restart proxyctl.service, which writes it; if that does not help, please report it",
    )


def useless(name: str, detail: str) -> Problem:
    """What the CA issued cannot be used with our key, for these hosts, now."""
    return Problem(
        id="PX614",
        subject=certificate(name),
        summary="was issued, and cannot be used",
        where=_shown(detail),
        effect="HTTP and the present certificate go on; it is asked for anew",
        fix="is this host's clock right? Else please report it, with the name of the CA",
    )


def not_yet(name: str, detail: str) -> Problem:
    """The CA takes its time."""
    return Problem(
        id="PX615",
        subject=certificate(name),
        summary="is not ready yet: the CA takes its time",
        where=_shown(detail),
        effect=_RETRIED,
        fix="nothing: the same order is looked at again",
        severity=Severity.WARNING,
    )


def unknown_certificate(name: str, path: str) -> Problem:
    """There is no certificate of that name."""
    return Problem(
        id="PX616",
        subject=certificate(name),
        summary="is not there",
        where=path,
        effect="nothing was revoked",
        fix="the names are those of the files in that folder, without .pem",
    )


def not_wanted(name: str) -> Problem:
    """It is to be renewed, and no route wants it."""
    return Problem(
        id="PX617",
        subject=certificate(name),
        summary="is not wanted from the CA: no route with that name asks for it",
        where="proxyctl cert renew",
        effect="it is not renewed; nothing else changes",
        fix="proxyctl cert ls shows the names; a certificate of the folder is renewed by whoever "
        "put it there",
    )
