"""Why a workload is, or is not, published: labels, port, address, routes, problems. Pure."""

import re
from collections.abc import Iterable
from typing import Any

from proxyctl.problems import Severity
from proxyctl.routes.claims import Claim
from proxyctl.routes.conflicts import Share
from proxyctl.routes.dialects import native
from proxyctl.routes.dialects.native import PREFIX
from proxyctl.routes.route import is_hint
from proxyctl.routes.workload import Kind, NetworkMode, Phase, Workload
from proxyctl.state.desired import servers
from proxyctl.state.render import CONFIG
from proxyctl.status.answers import Document, changes
from proxyctl.status.excerpt import span_of
from proxyctl.status.maps import redirect, redirects
from proxyctl.status.rows import rows_of
from proxyctl.status.urls import try_it, url
from proxyctl.status.view import View

_LAST_CHANGES = 3


def explain_workload(view: View, workload: Workload) -> Document:
    """Return everything about one workload, in the order in which a person asks."""
    claims = [claim for claim in view.claims if claim.workload.uid == workload.uid]
    routes = [_route(view, claim) for claim in claims]
    problems = [p for p in view.problems if p.workload == workload.uid]
    return {
        "subject": workload.subject,
        "kind": str(workload.kind),
        "name": workload.name,
        "id": workload.id,
        "source": workload.source or ("files" if workload.kind is Kind.STATIC else "podman"),
        "origin": workload.origin,
        "phase": str(workload.phase),
        "containers": [member.name for member in workload.members],
        "routed": any(route["backend"] for route in routes),
        "served": any(row["up"] for route in routes for row in route["servers"]),
        "labels": _labels(workload, claims),
        "routes": routes,
        "problems": [problem.as_json() for problem in problems],
        "reasons": _reasons(workload, claims, routes, view),
        "changes": _last_changes(view, workload, routes),
    }


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
        "urls": [url(match, view.settings) for match in won],
        "redirects": _redirects(view, share) if share else {},
        "backend": share.name if share else "",
        "port": claim.port,
        "port_from": _port_from(claim),
        "address": [f"{e.address}:{e.port}" for e in claim.endpoints],
        "address_from": _address_from(claim),
        "servers": [*mine.values(), *others.values()],
        "health": _health(claim),
        "lines": _lines(view, share),
        "try_it": try_it(won[0], view.settings) if won else "",
    }


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
        return f"the only TCP port that {images} exposes"
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
    return f"{what} every {route.health_interval}"


def _lines(view: View, share: Share | None) -> str:
    span = span_of(view.rendered, share.name) if share and view.rendered else None
    folder = f"{view.desired.settings.folder}/" if view.desired else ""
    return f"{folder}{CONFIG}:{span[0]}-{span[1]}" if span else ""


def _reasons(
    workload: Workload, claims: list[Claim], routes: list[Document], view: View
) -> list[str]:
    """Return what no problem tells; empty for what is published and answers."""
    if any(p.workload == workload.uid and p.severity is Severity.ERROR for p in view.problems):
        return []
    if not claims:
        return [_no_claim(workload)]
    if not all(route["backend"] for route in routes):
        return ["another workload has what it asks for"]
    if workload.phase is Phase.GONE:
        return [f"the {workload.kind} was removed: for a while its requests wait for a successor"]
    if workload.phase is Phase.STOPPED:
        return [f"the {workload.kind} does not run: its route is held, requests get 503"]
    if view.plan.steps:
        return [f"{len(view.plan.steps)} steps are still to be done: proxyctl diff"]
    return []


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
