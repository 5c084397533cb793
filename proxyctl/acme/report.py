"""How the certificates are, as the document that the service shows. Pure: values in, bytes out."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from proxyctl.acme.records import Record
from proxyctl.acme.schedule import Held, Judgement
from proxyctl.acme.wishes import Wish
from proxyctl.problems import Problem


@dataclass(frozen=True, slots=True)
class Outlook:
    """All that is known about one certificate that is wanted."""

    wish: Wish
    held: Held | None
    record: Record
    judgement: Judgement


def document(directory: str, problems: Iterable[Problem], outlooks: Iterable[Outlook]) -> bytes:
    """Return status.json: times are UTC, in ISO 8601; what is not known is null."""
    found = {
        "version": 1,
        "directory": directory,
        "problems": [problem.as_json() for problem in problems],
        "certificates": [_certificate(item) for item in outlooks],
    }
    return (json.dumps(found, indent=1, sort_keys=True) + "\n").encode()


def _certificate(item: Outlook) -> dict[str, Any]:
    error = item.record.last_error
    return {
        "name": item.wish.name,
        "hosts": list(item.wish.hosts),
        "route": item.wish.route,
        "state": str(item.judgement.state),
        "reason": item.judgement.reason,
        "serial": item.held.serial if item.held else None,
        "not_after": _time(item.held.not_after if item.held else None),
        "renew_at": _time(item.judgement.renew_at),
        "failures": item.record.failures,
        "next_try": _time(item.record.next_try),
        "last_error": error.as_json() if error else None,
    }


def _time(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment else None
