"""Whether what is decided is also what a request finds, and the words where it is not. Pure.

PUBLISHED       HAProxy has it loaded
PENDING         HAProxy runs, and has not loaded it (yet)
NO HAPROXY      nobody listens, or nobody answers us
UNCERTAIN       it stands in a map that a frontend of the administrator's may not look it up in
NO ROUTE        nothing leads there
"""

from collections.abc import Iterable
from enum import StrEnum

from proxyctl.routes.claims import Claim, Match
from proxyctl.routes.conflicts import Share
from proxyctl.state.frontends import TCP_MAP, backend_of, map_of, place_of
from proxyctl.state.spares import loaded_name, route_names
from proxyctl.status.troubles import start_it
from proxyctl.status.view import View


class Verdict(StrEnum):
    """What becomes of requests, in a word or two."""

    PUBLISHED = "PUBLISHED"
    PENDING = "PENDING"
    UNCERTAIN = "UNCERTAIN"
    NO_HAPROXY = "NO HAPROXY"
    NO_ROUTE = "NO ROUTE"
    NOT_PUBLISHED = "NOT PUBLISHED"


def best(verdicts: Iterable[Verdict], otherwise: Verdict) -> Verdict:
    """Return the verdict that is nearest to being published."""
    found = set(verdicts)
    return next((one for one in Verdict if one in found), otherwise)


def of_share(view: View, share: Share | None) -> Verdict:
    """Return what becomes of the requests that a backend is to get."""
    if share is None:
        return Verdict.NO_ROUTE
    if not view.running.alive:
        return Verdict.NO_HAPROXY
    loaded = [match for match in share.matches if _is_loaded(view, share, match)]
    if not loaded:
        return Verdict.PENDING
    if all(is_uncertain(view, match) for match in loaded):
        return Verdict.UNCERTAIN
    return Verdict.PUBLISHED


def of_map(view: View, file: str, *, found: bool) -> Verdict:
    """Return what becomes of a request that is looked up in a map."""
    if not found:
        return Verdict.NO_ROUTE
    if not view.running.alive:
        return Verdict.NO_HAPROXY
    return Verdict.PUBLISHED if file in view.running.maps else Verdict.PENDING


def is_loaded(view: View, claims: Iterable[Claim]) -> bool:
    """Tell whether HAProxy, whatever was decided since, leads requests to one of the claims."""
    names = route_names(view.running)
    for claim in claims:
        for match in claim.matches:
            file, key = place_of(match, claim.route.mode)
            backend = backend_of(dict(view.running.maps.get(file, ())).get(key, ""))
            if names.get(backend, backend) == claim.backend:
                return True
    return False


def _is_loaded(view: View, share: Share, match: Match) -> bool:
    file, key = place_of(match, share.claims[0].route.mode)
    value = dict(view.running.maps.get(file, ())).get(key, "")
    return bool(value) and backend_of(value) == loaded_name(view.running, share.name)


def is_uncertain(view: View, match: Match) -> bool:
    """Tell whether it depends on somebody else's frontend that a match is found."""
    return not view.settings.haproxy.frontends and (not match.host or "*" in match.host)


def why(view: View, verdict: Verdict) -> str:
    """Return what HAProxy has to do with a verdict and what to do; "" if it has nothing to do."""
    match verdict:
        case Verdict.NO_HAPROXY:
            return silence(view)
        case Verdict.PENDING:
            return "HAProxy has not loaded it yet: proxyctl diff"
        case Verdict.UNCERTAIN:
            return (
                "only a frontend of yours that looks up wildcards and tcp entrypoints too finds "
                "it (frontends = false): docs/modes.md"
            )
        case _:
            return ""


def silence(view: View) -> str:
    """Return that HAProxy answers nobody, and what to do about it."""
    if view.haproxy_error:
        return f"HAProxy does not answer: {view.haproxy_error}"
    return f"HAProxy does not run, so that nobody answers: {start_it(view.settings.haproxy.mode)}"


def own_frontend(view: View, entrypoints: Iterable[str]) -> str:
    """Return who decides where the administrator's frontend does; "" where it is ours."""
    if view.settings.haproxy.frontends:
        return ""
    names = sorted(set(entrypoints))
    http = (name for name in names if view.settings.entrypoints[name].mode == "http")
    folder = f"{view.desired.settings.folder}/" if view.desired else ""
    files = [f"{folder}{file}" for file in sorted({*map(map_of, http)}) or [TCP_MAP]]
    return f"your own frontend decides (frontends = false), by looking into {', '.join(files)}"
