"""What the maps say: HAProxy's own where it answers, else as they should be. Pure."""

from collections.abc import Mapping

from proxyctl.routes.claims import Match
from proxyctl.state.frontends import backend_of, key_of, leading_to, map_of, redirect_of
from proxyctl.state.spares import route_names
from proxyctl.status.view import View

Entries = tuple[tuple[str, str], ...]


def entries(view: View, file: str) -> tuple[Entries, str]:
    """Return a map's rows, spares by the names of their routes, and who tells them."""
    if view.running.alive and file in view.running.maps:
        routes = route_names(view.running)
        rows = view.running.maps[file]
        return tuple((key, _by_route(value, routes)) for key, value in rows), "haproxy"
    maps = view.desired.maps if view.desired else ()
    return next((one.entries for one in maps if one.file == file), ()), "plan"


def _by_route(value: str, routes: Mapping[str, str]) -> str:
    backend = backend_of(value)
    return leading_to(value, routes.get(backend, backend))


Redirects = Mapping[tuple[str, str], str]
"""(entrypoint, key) -> the URL to which requests are sent, without path."""


def redirects(view: View) -> Redirects:
    """Return every redirect that the maps hold."""
    found: dict[tuple[str, str], str] = {}
    for name, entrypoint in view.settings.entrypoints.items():
        rows = entries(view, map_of(name))[0] if entrypoint.mode == "http" else ()
        for key, value in rows:
            target = redirect_of(value, key.partition("/")[0])
            if target:
                found[name, key] = target
    return found


def redirect(found: Redirects, match: Match) -> str:
    """Return where requests for a match are sent, "" if they are answered here."""
    base = found.get((match.entrypoint, key_of(match)), "")
    return f"{base}{match.path or '/'}" if base else ""
