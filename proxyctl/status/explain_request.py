"""What HAProxy would do with a request: entrypoint, keys in the order of asking, backend. Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from proxyctl.routes.claims import Match
from proxyctl.settings import Entrypoint
from proxyctl.state.frontends import TCP_MAP, backend_of, map_of, redirect_of, sni_map_of
from proxyctl.status.answers import Document
from proxyctl.status.certificates import certificate_of
from proxyctl.status.lookup import (
    Asked,
    Considered,
    Outcome,
    canonical,
    look_up,
    look_up_name,
    winner,
)
from proxyctl.status.maps import entries
from proxyctl.status.rows import rows_of
from proxyctl.status.urls import default_port, ports, try_it
from proxyctl.status.verdict import Verdict, best, is_uncertain, of_map, own_frontend, silence, why
from proxyctl.status.view import View

_URL = re.compile(r"(?:(?P<scheme>[a-z][a-z0-9+.-]*)://(?:[^/?#@]*@)?)?(?P<host>\[[^]/]*\]|[^:/?#]*)"
                  r"(?::(?P<port>[0-9]{1,5}))?(?P<path>[/?#].*)?", re.IGNORECASE)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Target:
    """A request to be explained."""

    host: str
    path: str = "/"
    port: int = 0
    """0: whichever entrypoint."""
    scheme: str = ""
    """"": whatever an entrypoint there speaks."""


def parse_target(text: str) -> Target | None:
    """Return the request that a URL, or `host[:port][/path]`, names; None if it names none."""
    match = _URL.fullmatch(text)
    if not match or not match["host"]:
        return None
    scheme = (match["scheme"] or "").lower()
    port = int(match["port"] or 0) or default_port(scheme)
    return Target(match["host"], match["path"] or "/", port, scheme)


def explain_request(view: View, target: Target) -> tuple[list[Document], str]:
    """Return what each entrypoint does with the request, and why there may be none."""
    every = view.settings.entrypoints
    there = {name: one for name, one in sorted(every.items()) if _is_meant(view, one, target)}
    chosen = {name: one for name, one in there.items() if _is_spoken(view, one, target)}
    if there and not chosen:
        return [], _misspoken(there, target)
    if chosen:
        found = [_one(view, name, e, target) for name, e in chosen.items()]
        found.sort(key=lambda part: not part["routed"])
        return found, _advice(view, target, found)
    all_of_them = ", ".join(f"{name} {' '.join(e.bind)}" for name, e in sorted(every.items()))
    return [], f"no entrypoint listens {_where(target)}; entrypoints: {all_of_them or 'none'}"


def _is_meant(view: View, entrypoint: Entrypoint, target: Target) -> bool:
    """Tell whether a request may come by an entrypoint; whose ports are not ours, by any."""
    if target.port and view.settings.haproxy.frontends:
        return target.port in ports(entrypoint)
    return entrypoint.mode == "http"


def _is_spoken(view: View, entrypoint: Entrypoint, target: Target) -> bool:
    """Tell whether an entrypoint speaks as the URL wants it; for frontends not ours nobody can."""
    if not target.scheme or not view.settings.haproxy.frontends or entrypoint.mode == "tcp":
        return True
    return target.scheme == _scheme(entrypoint)


def _scheme(entrypoint: Entrypoint) -> str:
    return "https" if entrypoint.tls else "http"


def _where(target: Target) -> str:
    return f"on port {target.port}" if target.port else "for HTTP"


def _misspoken(there: Mapping[str, Entrypoint], target: Target) -> str:
    """Return what is spoken where the URL wants something else."""
    name, entrypoint = next(iter(there.items()))
    speaks = _scheme(entrypoint)
    return f"entrypoint {name} {_where(target)} speaks {speaks}, and not {target.scheme}"


def _one(view: View, name: str, entrypoint: Entrypoint, target: Target) -> Document:
    asked = Asked("", "") if entrypoint.mode == "tcp" else canonical(target.host, target.path)
    mode, file, considered, value = _looked_up(view, name, entrypoint, asked)
    backend, redirect = backend_of(value), redirect_of(value, asked.host)
    verdict = of_map(view, file, found=bool(backend or redirect))
    if verdict is Verdict.PUBLISHED and is_uncertain(view, _found(name, considered)):
        verdict = Verdict.UNCERTAIN
    frontends = view.settings.haproxy.frontends
    return {
        "entrypoint": name,
        "mode": mode,
        "bind": list(entrypoint.bind) if frontends else [],
        "map": file,
        "host": asked.host,
        "path": asked.path,
        "refusal": asked.refusal,
        "told_by": entries(view, file)[1],
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
        "verdict": str(verdict),
        "routed": verdict is Verdict.PUBLISHED,
        "certificate": "" if mode == "passthrough" else certificate_of(view, name, asked.host),
        "servers": _servers(view, name, backend),
        "try_it": try_it(_request(name, entrypoint, asked), view.settings),
    }


def _looked_up(
    view: View, name: str, entrypoint: Entrypoint, asked: Asked
) -> tuple[str, str, tuple[Considered, ...], str]:
    """Return the mode in which a request is served, the map and its keys, and what won."""
    if entrypoint.mode == "tcp":
        return "tcp", TCP_MAP, (), dict(entries(view, TCP_MAP)[0]).get(name, "")
    file = map_of(name)
    if asked.refusal:
        return "http", file, (), ""
    names = sni_map_of(name)
    passed = look_up_name(entries(view, names)[0], asked.host)
    backend = winner(passed)
    if backend and not backend.startswith(":"):  # one of ours: the way to where TLS ends
        return "passthrough", names, passed, backend
    considered = look_up(entries(view, file)[0], asked)
    return "http", file, considered, winner(considered)


def _found(entrypoint: str, considered: Iterable[Considered]) -> Match:
    """Return the row of the map that won."""
    keys = (one.key for one in considered if one.outcome is Outcome.WON)
    host, _, path = next(keys, "").partition("/")
    return Match(entrypoint=entrypoint, host=host, path=path)


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


def _advice(view: View, target: Target, found: list[Document]) -> str:
    """Return who asks for the host in vain, and what becomes of a request without a route."""
    asked = canonical(target.host, target.path)
    tcp = all(part["mode"] == "tcp" for part in found)
    in_vain = "" if asked.refusal or tcp else ", ".join(_claimants(view, asked.host))
    tell = [f"asked for by {in_vain} in vain: proxyctl explain NAME tells why"] if in_vain else []
    verdict = best((part["verdict"] for part in found), Verdict.NO_ROUTE)
    http = [part["entrypoint"] for part in found if part["mode"] == "http"]
    own = [text] if http and (text := own_frontend(view, http)) else []
    if verdict is Verdict.PUBLISHED:
        # Without any decision nobody has a route, and HAProxy goes on with what it has.
        return "; ".join(own + (tell if view.desired else []))
    if verdict is not Verdict.NO_ROUTE:
        return "; ".join([why(view, verdict), *own, *tell])
    if asked.refusal and not tcp:
        return "" if view.running.alive else silence(view)
    answer = own or [_answer(view, found, tcp=tcp)]
    nobody = "no workload has this entrypoint" if tcp else "no workload asks for this"
    return "; ".join(answer + (tell or [nobody]))


def _answer(view: View, found: Iterable[Document], *, tcp: bool) -> str:
    """Return what HAProxy does where no route is found, if it has the entrypoint at all."""
    if not view.running.alive:
        return silence(view)
    if any(part["map"] in view.running.maps for part in found):
        return "HAProxy closes the connection" if tcp else "HAProxy answers 404"
    return "HAProxy has not loaded the entrypoint yet: proxyctl diff"


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
