"""What HAProxy would do with a request: entrypoint, keys in the order of asking, backend. Pure."""

import re
from dataclasses import dataclass

from proxyctl.routes.claims import Match
from proxyctl.settings import Entrypoint
from proxyctl.state.frontends import TCP_MAP, backend_of, map_of, redirect_of, sni_map_of
from proxyctl.status.answers import Document
from proxyctl.status.lookup import Asked, Considered, canonical, look_up, look_up_name, winner
from proxyctl.status.maps import entries
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
    asked = Asked("", "") if entrypoint.mode == "tcp" else canonical(target.host, target.path)
    mode, considered, value = _looked_up(view, name, entrypoint, asked)
    backend = backend_of(value)
    redirect = redirect_of(value, asked.host)
    return {
        "entrypoint": name,
        "mode": mode,
        "bind": list(entrypoint.bind),
        "host": asked.host,
        "path": asked.path,
        "refusal": asked.refusal,
        "told_by": entries(view, map_of(name))[1],
        "candidates": [
            {
                "key": c.key,
                "how": c.how,
                "backend": backend_of(c.backend),
                "outcome": str(c.outcome),
            }
            for c in considered
        ],
        "backend": backend,
        "redirect": f"{redirect}{asked.path}" if redirect else "",
        "routed": bool(backend or redirect),
        "servers": _servers(view, name, backend),
        "try_it": try_it(_request(name, entrypoint, asked), view.settings),
    }


def _looked_up(
    view: View, name: str, entrypoint: Entrypoint, asked: Asked
) -> tuple[str, tuple[Considered, ...], str]:
    """Return the mode in which a request is served, the keys that were asked, and what won."""
    if entrypoint.mode == "tcp":
        return "tcp", (), dict(entries(view, TCP_MAP)[0]).get(name, "")
    if asked.refusal:
        return "http", (), ""
    passed = look_up_name(entries(view, sni_map_of(name))[0], asked.host)
    backend = winner(passed)
    if backend and not backend.startswith(":"):  # one of ours: the way to where TLS ends
        return "passthrough", passed, backend
    considered = look_up(entries(view, map_of(name))[0], asked)
    return "http", considered, winner(considered)


def _request(name: str, entrypoint: Entrypoint, asked: Asked) -> Match:
    """Return the request as a match, for a command line."""
    path = re.sub(r"[^A-Za-z0-9._~/@:=+,-]", "", asked.path).removesuffix("/")
    return Match(entrypoint=name, host=asked.host if entrypoint.mode == "http" else "", path=path)


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
