"""The table of `proxyctl cert ls`. Pure."""

from time import gmtime, strftime
from typing import Any

from proxyctl.cli.output import Screen

Document = dict[str, Any]
_SETTLED = frozenset({"valid", "excluded"})


def certificates_text(screen: Screen, document: Document) -> str:
    """Return a row for each certificate, and for each that is wanted from a CA and not there."""
    wanted = {one["name"]: one for one in document.get("wanted", ())}
    rows = [_row(row, wanted.pop(row.get("wanted", ""), None)) for row in document["items"]]
    lacking = [_lacking(one) for one in wanted.values()]
    headers = ["NAME", "SERVED FOR", "EXPIRES", "DAYS", "KEY", "STATE", "RENEWS", "FROM"]
    if not document.get("wanted"):
        renews = headers.index("RENEWS")
        for line in (headers, *rows):
            del line[renews]
    return screen.table(headers, rows + lacking)


def _row(row: Document, stands: Document | None) -> list[str]:
    state = row["state"] if row["loaded"] or row["state"] != "ok" else "PENDING"
    if stands and stands["state"] not in _SETTLED:
        state = _state(stands)
    return [
        row["name"],
        ",".join(row["served_for"]) or ("(no other name)" if row["default"] else "-"),
        _day(row["not_after"]),
        str(row["days"]),
        row["key_type"],
        state,
        _renews(stands) if stands else "-",
        row["source"],
    ]


def _lacking(stands: Document) -> list[str]:
    """Return the row of a certificate that there is not yet; its hosts have one that we made."""
    hosts = ",".join(stands["hosts"])
    return [stands["name"], hosts, "-", "-", "-", _state(stands), _renews(stands), stands["route"]]


def _state(stands: Document) -> str:
    problem = stands["problem"]
    return f"{stands['state'].upper()} {problem['id'] if problem else ''}".rstrip()


def _renews(stands: Document) -> str:
    if stands["next_try"]:
        return strftime("%m-%d %H:%M UTC", gmtime(stands["next_try"]))
    return _day(stands["renew_at"]) if stands["renew_at"] else "-"


def _day(moment: float) -> str:
    return strftime("%Y-%m-%d", gmtime(moment))
