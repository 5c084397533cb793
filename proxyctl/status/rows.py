"""One row for each server of each match: what `proxyctl ls` shows. Pure."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from proxyctl.routes.claims import Claim, Match
from proxyctl.routes.conflicts import Share
from proxyctl.routes.workload import Phase
from proxyctl.state.desired import servers
from proxyctl.state.model import RunningServer, Server, ServerState
from proxyctl.state.spares import loaded_name
from proxyctl.status.maps import Redirects, redirect, redirects
from proxyctl.status.urls import url
from proxyctl.status.view import View

Row = dict[str, Any]


def rows(view: View) -> list[Row]:
    """Return all rows, sorted by host, path, entrypoint and server."""
    found: list[Row] = []
    redirected = redirects(view)
    for share in view.shares:
        found += rows_of(view, share, redirected)
        found += _moved(view, share, redirected)
    return sorted(found, key=_order)


def rows_of(view: View, share: Share, redirected: Redirects | None = None) -> list[Row]:
    """Return the rows of one backend; `redirected` saves working them out again."""
    redirected = redirects(view) if redirected is None else redirected
    numbers = _problem_ids(view)
    name = loaded_name(view.running, share.name)
    there = {server.name: server for server in view.running.servers.get(name, ())}
    found = [
        _row(view, match, share, claim, server, there.get(server.name))
        | {
            "problems": numbers.get(claim.workload.uid, []),
            "redirect": redirect(redirected, match),
        }
        for match in share.matches
        for claim in share.claims
        for server in servers(claim)
    ]
    return sorted(found, key=_order)


def _moved(view: View, share: Share, redirected: Redirects) -> list[Row]:
    """Return a row for each other name of a share's hosts: HAProxy itself answers there."""
    claims = {match: claim for claim in share.claims for match in claim.moved}
    return [
        {
            **_place(view, match, share, claims[match]),
            "server": "",
            "address": "",
            "weight": 0,
            "backup": False,
            "state": "",
            "sessions": 0,
            "up": True,
            "status": "REDIRECT",
            "flapping": None,
            "problems": [],
            "redirect": redirect(redirected, match),
        }
        for match in share.moved
    ]


def _order(row: Row) -> tuple[str, ...]:
    return row["host"], row["path"], row["entrypoint"], row["server"]


def _problem_ids(view: View) -> Mapping[str, list[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for problem in view.problems:
        found[problem.workload].add(problem.id)
    return {uid: sorted(numbers) for uid, numbers in found.items() if uid}


def _row(  # noqa: PLR0913, PLR0917 - what a row is made of
    view: View,
    match: Match,
    share: Share,
    claim: Claim,
    server: Server,
    there: RunningServer | None,
) -> Row:
    return {
        **_place(view, match, share, claim),
        "server": server.name,
        "address": server.socket_address if claim.endpoints else "",
        "weight": there.weight if there else server.weight,
        "backup": server.backup,
        "state": str(there.state) if there else "",
        "sessions": there.sessions if there else 0,
        "up": there.up and there.state is not ServerState.MAINT if there else None,
        "status": _status(view, claim, there),
        "flapping": _flapping(view, claim),
    }


def _place(view: View, match: Match, share: Share, claim: Claim) -> Row:
    """Return what a row tells of where requests come in, and of whose they are."""
    return {
        "host": match.host,
        "path": (match.path or "/") if match.host else "",
        "entrypoint": match.entrypoint,
        "url": url(match, view.settings),
        "mode": claim.route.mode,
        "backend": share.name,
        "kind": str(claim.workload.kind),
        "workload": claim.workload.name,
        "source": claim.workload.source,
        "route": claim.name,
    }


def _status(view: View, claim: Claim, there: RunningServer | None) -> str:
    """Return the one word for how a server fares that says most to a person."""
    if claim.workload.phase is Phase.FLAPPING:
        return "FLAPPING"
    if claim.workload.phase is Phase.STOPPED:
        return "STOPPED"
    if not claim.endpoints:
        return "NO ADDRESS"
    if not view.running.alive:
        return "NO HAPROXY"
    if there is None:
        return "PENDING"
    if there.state is ServerState.MAINT:
        return "MAINT" if claim.healthy else "UNHEALTHY"
    if there.state is ServerState.DRAIN:
        return "DRAIN"
    if there.up:
        return "UP"
    return "FLAPPING" if claim.workload.uid in view.flapping else "DOWN"


def _flapping(view: View, claim: Claim) -> Row | None:
    """Return how often it was started and until when it is held back; None if it does not flap."""
    found = view.flapping.get(claim.workload.uid)
    return {"starts": found.starts, "until": found.until} if found else None
