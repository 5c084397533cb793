"""What HAProxy would do with a request: entrypoint, keys in the order of asking, backend. Pure."""

import re
from dataclasses import dataclass

from proxyctl.routes.claims import Match
from proxyctl.settings import Entrypoint
from proxyctl.state.desired import TCP_MAP, map_of
from proxyctl.state.spares import route_names
from proxyctl.status.answers import Document
from proxyctl.status.certificates import certificate_of
from proxyctl.status.lookup import Asked, Considered, canonical, look_up, winner
from proxyctl.status.rows import rows_of
from proxyctl.status.urls import default_port, ports, try_it
from proxyctl.status.view import View

_URL = re.compile(r"(?:(?P<scheme>[a-z][a-z0-9+.-]*)://)?(?P<host>\[[^]/]*\]|[^:/?#]*)"
                  r"(?::(?P<port>[0-9]{1,5}))?(?P<path>[/?#].*)?", re.IGNORECASE)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Target:
    """A request to be explained."""

    host: str
    path: str = "/"
    port: int = 0
    """0: whichever entrypoint."""


def parse_target(text: str) -> Target | None:
    """Return the request that a URL, or `host[:port][/path]`, names; None if it names none."""
    match = _URL.fullmatch(text)
    if not match or not match["host"]:
        return None
    port = int(match["port"] or 0) or default_port((match["scheme"] or "").lower())
    return Target(match["host"], match["path"] or "/", port)


def explain_request(view: View, target: Target) -> tuple[list[Document], str]:
    """Return what each entrypoint does with the request, and why there may be none."""
    every = view.settings.entrypoints
    listening = {
        name: entrypoint
        for name, entrypoint in sorted(every.items())
        if (target.port in ports(entrypoint) if target.port else entrypoint.mode == "http")
    }
    if listening:
        found = [_one(view, name, e, target) for name, e in listening.items()]
        routed = any(part["routed"] for part in found)
        return sorted(found, key=lambda part: not part["routed"]), _advice(
            view, target, routed=routed
        )
    there = ", ".join(f"{name} {' '.join(e.bind)}" for name, e in sorted(every.items()))
    where = f"on port {target.port}" if target.port else "for HTTP"
    return [], f"no entrypoint listens {where}; entrypoints: {there or 'none'}"


def _one(view: View, name: str, entrypoint: Entrypoint, target: Target) -> Document:
    considered: tuple[Considered, ...] = ()
    if entrypoint.mode == "tcp":
        asked = Asked("", "")
        backend = dict(_entries(view, TCP_MAP)[0]).get(name, "")
    else:
        asked = canonical(target.host, target.path)
        considered = () if asked.refusal else look_up(_entries(view, map_of(name))[0], asked)
        backend = winner(considered)
    return {
        "entrypoint": name,
        "mode": entrypoint.mode,
        "bind": list(entrypoint.bind),
        "host": asked.host,
        "path": asked.path,
        "refusal": asked.refusal,
        "told_by": _entries(view, map_of(name))[1],
        "candidates": [
            {"key": c.key, "how": c.how, "backend": c.backend, "outcome": str(c.outcome)}
            for c in considered
        ],
        "backend": backend,
        "routed": bool(backend),
        "certificate": certificate_of(view, name, asked.host),
        "servers": _servers(view, name, backend),
        "try_it": try_it(_request(name, entrypoint, asked), view.settings),
    }


def _request(name: str, entrypoint: Entrypoint, asked: Asked) -> Match:
    """Return the request as a match, for a command line."""
    path = re.sub(r"[^A-Za-z0-9._~/@:=+,-]", "", asked.path).removesuffix("/")
    return Match(entrypoint=name, host=asked.host if entrypoint.mode == "http" else "", path=path)


def _entries(view: View, file: str) -> tuple[tuple[tuple[str, str], ...], str]:
    """Return a map's rows and who tells them: HAProxy itself, or what it should be."""
    if view.running.alive and file in view.running.maps:
        routes = route_names(view.running)
        rows = view.running.maps[file]
        return tuple((key, routes.get(value, value)) for key, value in rows), "haproxy"
    maps = view.desired.maps if view.desired else ()
    return next((one.entries for one in maps if one.file == file), ()), "plan"


def _servers(view: View, entrypoint: str, backend: str) -> list[Document]:
    """Return the rows of a backend, once for each server."""
    share = next((share for share in view.shares if share.name == backend), None)
    if share is None:
        return []
    rows = (row for row in rows_of(view, share) if row["entrypoint"] == entrypoint)
    return list({row["server"]: row for row in rows}.values())


def _advice(view: View, target: Target, *, routed: bool) -> str:
    """Return who asks for the host in vain, and what HAProxy answers where nobody is routed."""
    asked = canonical(target.host, target.path)
    if asked.refusal or not asked.host:
        return ""
    in_vain = ", ".join(_claimants(view, asked.host))
    tell = f"asked for by {in_vain} in vain: proxyctl explain NAME tells why"
    if routed:
        return tell if in_vain else ""
    return f"HAProxy answers 404; {tell if in_vain else 'no workload asks for this'}"


def _claimants(view: View, host: str) -> list[str]:
    """Return the workloads without any route whose labels name a host."""
    served = {claim.workload.uid for share in view.shares for claim in share.claims}
    return [
        workload.subject
        for workload in view.workloads
        if workload.uid not in served
        and any(
            key.startswith("proxyctl") and host in value.lower().split(",")
            for key, value in workload.labels
        )
    ]
