"""Why a workload is, or is not, published: labels, port, address, routes, problems. Pure."""

import re
from collections.abc import Iterable
from typing import Any

from proxyctl.problems import Problem, Severity
from proxyctl.routes.claims import Claim, Match, claims_of
from proxyctl.routes.conflicts import Share
from proxyctl.routes.dialects import native
from proxyctl.routes.dialects.native import PREFIX
from proxyctl.routes.route import is_hint
from proxyctl.routes.workload import Kind, NetworkMode, Phase, Workload
from proxyctl.state.desired import servers
from proxyctl.state.digest import digest
from proxyctl.state.render import CONFIG
from proxyctl.status import troubles
from proxyctl.status.answers import Document, changes
from proxyctl.status.certificates import certificate_of
from proxyctl.status.excerpt import span_of
from proxyctl.status.issuance import of_hosts, problems_of
from proxyctl.status.maps import redirect, redirects
from proxyctl.status.rows import rows_of
from proxyctl.status.urls import try_it, url
from proxyctl.status.verdict import Verdict, best, is_loaded, of_share, own_frontend, why
from proxyctl.status.view import View

_LAST_CHANGES = 3


def explain_workload(view: View, workload: Workload) -> Document:
    """Return everything about one workload, in the order in which a person asks."""
    claims = [claim for claim in view.claims if claim.workload.uid == workload.uid]
    routes = [_route(view, claim) for claim in claims]
    problems = [p for p in view.problems if p.workload == workload.uid]
    asked = tuple(claims)
    if not claims and not problems:  # nobody may have come to look at its labels yet
        asked, mistakes = claims_of(workload, view.settings)
        problems = list(mistakes)
    verdict = best((route["verdict"] for route in routes), Verdict.NOT_PUBLISHED)
    if not claims and is_loaded(view, asked):
        verdict = Verdict.PUBLISHED
    elif verdict is Verdict.NO_ROUTE:
        verdict = Verdict.NOT_PUBLISHED
    return {
        "subject": workload.subject,
        "kind": str(workload.kind),
        "name": workload.name,
        "id": workload.id,
        "source": workload.source or ("files" if workload.kind is Kind.STATIC else "podman"),
        "origin": workload.origin,
        "phase": str(workload.phase),
        "containers": [member.name for member in workload.members],
        "verdict": str(verdict),
        "routed": verdict is Verdict.PUBLISHED,
        "served": any(row["up"] for route in routes for row in route["servers"]),
        "labels": _labels(workload, claims),
        "routes": routes,
        "problems": [problem.as_json() for problem in (*problems, *_of_the_ca(view, asked))],
        "flapping": _flapping(view, workload),
        "reasons": [
            *_reasons(workload, routes, problems, asks=bool(asked)),
            *_of_the_house(view, asked, verdict, decided=bool(claims)),
        ],
        "changes": _last_changes(view, workload, routes),
    }


def _flapping(view: View, workload: Workload) -> Document | None:
    found = view.flapping.get(workload.uid)
    if not found:
        return None
    look_at = troubles.look_at(workload, found.container)
    return {"starts": found.starts, "until": found.until, "look_at": look_at}


def _labels(workload: Workload, claims: Iterable[Claim]) -> list[Document]:
    """Return every label that is, or looks, meant for us, and whose it is."""
    found = [_label(key, value, workload.kind) for key, value in workload.labels if _ours(key)]
    for member in workload.members:
        own = (pair for pair in member.labels if pair not in workload.labels and _ours(pair[0]))
        found += [_label(key, value, f"container {member.name}") for key, value in own]
        for key, value in member.image_labels:
            if key.startswith(PREFIX):
                hint = is_hint(key.removeprefix(PREFIX))
                note = "a hint" if hint else "ignored: an image must not publish itself"
                found.append(_label(key, value, f"image {member.image}", note))
    kept = next((c.workload for c in claims if c.workload.labels != workload.labels), None)
    if kept:
        note = "in force still: the labels above have a mistake"
        found += [_label(key, value, "before", note) for key, value in kept.labels if _ours(key)]
    return found


def _ours(label: str) -> bool:
    return label.lower().startswith("proxyctl")


def _label(label: str, value: str, origin: str, note: str = "") -> Document:
    return {"label": label, "value": value, "from": str(origin), "note": note}


def _route(view: View, claim: Claim) -> Document:
    share = _share_of(view, claim)
    rows = rows_of(view, share) if share else []
    own = {server.name for server in servers(claim)}
    mine = {r["server"]: r for r in rows if r["server"] in own}
    others = {r["server"]: r for r in rows if r["server"] not in own}
    won = share.matches if share else ()
    return {
        "name": claim.name,
        "mode": claim.route.mode,
        "asks_for": [str(match) for match in claim.matches],
        "urls": [text for match in won if (text := url(match, view.settings))],
        "redirects": _redirects(view, share) if share else {},
        "verdict": str(of_share(view, share)),
        "backend": share.name if share else "",
        "port": claim.port,
        "port_from": _port_from(claim),
        "address": [f"{e.address}:{e.port}" for e in claim.endpoints],
        "address_from": _address_from(claim),
        "servers": [*mine.values(), *others.values()],
        "health": _health(claim),
        "certificates": [] if claim.route.mode == "passthrough" else _certificates(view, won),
        "lines": _lines(view, share),
        "try_it": try_it(won[0], view.settings) if won else "",
    }


def _certificates(view: View, won: Iterable[Match]) -> list[str]:
    """Return the certificates of the hosts that are served with TLS."""
    found = ((m.host, certificate_of(view, m.entrypoint, m.host)) for m in won)
    return list(dict.fromkeys(f"{host}: {text}" for host, text in found if text))


def _of_the_ca(view: View, claims: Iterable[Claim]) -> tuple[Problem, ...]:
    """Return what keeps its hosts' certificates from being had."""
    hosts = {match.host for claim in claims for match in claim.matches}
    found = (p for one in of_hosts(view, hosts) for p in problems_of(one))
    return tuple(dict.fromkeys(found))


def _redirects(view: View, share: Share) -> dict[str, str]:
    """Return where requests for some URLs of a share are sent, other names of its hosts first."""
    found = redirects(view)
    targets = {m: redirect(found, m) for m in (*share.moved, *share.matches)}
    return {url(match, view.settings): target for match, target in targets.items() if target}


def _share_of(view: View, claim: Claim) -> Share | None:
    """Return the backend that serves a claim, and not one that only waits for its requests."""
    mine = [s for s in view.shares if any(c.uid == claim.uid for c in s.claims)]
    return next((share for share in mine if share.matches), None)


def _port_from(claim: Claim) -> str:
    workload = claim.workload
    if workload.servers:
        return "servers of the static route"
    asked = next((one for one in native.read(workload)[0] if one.name == claim.name), None)
    if asked and ("port" in asked.own or "port" in asked.inherited):
        return f"label {asked.label('port')}"
    if asked and "port" in asked.hints:
        return f"label {PREFIX}port of a container or its image (hint)"
    if claim.route.port:
        return f"preset {', '.join(claim.route.use)}"
    exposing = [m for m in workload.members if claim.port in m.exposed]
    if exposing:
        images = ", ".join(sorted({m.image or m.name for m in exposing}))
        return f"the only TCP port that is exposed ({images})"
    return "the only TCP port that is published"


def _address_from(claim: Claim) -> str:
    workload = claim.workload
    if workload.servers:
        return f"as written in {workload.origin}" if workload.origin else "as written"
    if not claim.endpoints:
        return _why_no_address(workload)
    if workload.network_mode is NetworkMode.HOST:
        return "the host's own network"
    for network in workload.networks:
        if claim.endpoints[0].address in {network.ipv4, network.ipv6}:
            return f"network {network.name} (bridge, reachable from the host)"
    return f"port {claim.port}, which Podman publishes on the host"


def _why_no_address(workload: Workload) -> str:
    if workload.phase is Phase.GONE:
        return f"the {workload.kind} was removed a moment ago"
    if workload.phase is Phase.FLAPPING:
        return f"the {workload.kind} is held back"
    if workload.phase is Phase.STOPPED:
        return f"the {workload.kind} does not run"
    if workload.network_mode is NetworkMode.NONE:
        return "no network"
    return "none that the host can reach"


def _health(claim: Claim) -> str:
    route = claim.route
    if route.health == "off":
        return "not checked"
    if route.health == "podman":
        return f"Podman's HEALTHCHECK: {'healthy' if claim.healthy else 'unhealthy'}"
    what = "TCP connect" if route.health == "tcp" else f"GET {route.health}"
    return f"{what} every {route.check_interval}"


def _lines(view: View, share: Share | None) -> str:
    """Return where its backend stands in the file on disk; "" while that is another one."""
    if share is None or view.rendered is None or view.desired is None:
        return ""
    if view.running.files.get(CONFIG) != digest(view.rendered.texts[CONFIG]):
        return ""
    span = span_of(view.rendered, share.name)
    return f"{view.desired.settings.folder}/{CONFIG}:{span[0]}-{span[1]}" if span else ""


def _reasons(
    workload: Workload, routes: list[Document], problems: Iterable[Problem], *, asks: bool
) -> list[str]:
    """Return what is the workload's own matter, and what no problem tells."""
    if any(problem.severity is Severity.ERROR for problem in problems):
        return []
    if not routes:
        return [] if asks else [_no_claim(workload)]
    if not all(route["backend"] for route in routes):
        return ["another workload has what it asks for"]
    if workload.phase is Phase.GONE:
        return [f"the {workload.kind} was removed: for a while its requests wait for a successor"]
    if workload.phase is Phase.FLAPPING:
        return [f"the {workload.kind} is held back: its route waits, requests get 503"]
    if workload.phase is Phase.STOPPED:
        others = any(row["up"] for route in routes for row in route["servers"])
        what = "others of its group get its requests" if others else "requests get 503"
        return [f"the {workload.kind} does not run: its route is held, {what}"]
    return []


def _of_the_house(
    view: View, claims: Iterable[Claim], verdict: Verdict, *, decided: bool
) -> Iterable[str]:
    """Yield what keeps requests from it, or may, and is not its own matter."""
    claims = tuple(claims)
    if claims and not decided:
        yield _undecided(view, verdict)
    if reason := why(view, verdict):
        yield reason
    elif verdict is Verdict.PUBLISHED and view.plan.steps:
        yield "HAProxy is not yet all that it should be: proxyctl diff"
    if verdict in {Verdict.PUBLISHED, Verdict.UNCERTAIN}:
        entrypoints = (match.entrypoint for claim in claims for match in claim.matches)
        if told := own_frontend(view, entrypoints):
            yield told


def _undecided(view: View, verdict: Verdict) -> str:
    """Return why good labels have led to nothing: what is wrong with the host."""
    of_host = [problem for problem in view.problems if not problem.workload]
    of_haproxy = [problem for problem in of_host if problem.id.startswith("PX3")]
    wrong = [f"{p.subject} {p.summary} ({p.id})" for p in of_haproxy or of_host]
    told = "; ".join(wrong) or "the service has not come to it yet"
    before = "; HAProxy serves it as before" if verdict is Verdict.PUBLISHED else ""
    return f"nothing is made of its labels: {told}: proxyctl status{before}"


def _no_claim(workload: Workload) -> str:
    labels = dict(workload.labels)
    if str(labels.get(f"{PREFIX}enable", "")).lower() in {"false", "no", "off", "0"}:
        return f"{PREFIX}enable={labels[f'{PREFIX}enable']} switches it off"
    image = any(key == f"{PREFIX}host" for m in workload.members for key, _ in m.image_labels)
    if image:
        return f"only its image has {PREFIX}host, and an image must not publish itself"
    if not any(_ours(key) for key in labels):
        return f"it has no label of proxyctl: add {PREFIX}host=NAME"
    return f"no label asks to be published: add {PREFIX}host=NAME"


def _last_changes(view: View, workload: Workload, routes: list[Document]) -> list[Any]:
    names = {workload.name} | {row["server"] for route in routes for row in route["servers"]}
    names |= {route["backend"] for route in routes if route["backend"]}
    words = "|".join(re.escape(name) for name in sorted(names))
    pattern = re.compile(rf"(?<![\w.-])({words})(?![\w-])")
    items = changes(view)["items"]
    found = [item for item in items if any(pattern.search(step) for step in item["steps"])]
    return found[-_LAST_CHANGES:]
