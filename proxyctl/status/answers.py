"""The view as documents: what the service's socket answers and what `--json` prints. Pure.

Every document is one JSON object with `schema` and `kind`; within a schema number fields are only
ever added.
"""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from proxyctl.plan.describe import describe, names_for
from proxyctl.plan.steps import Reload, cost_of
from proxyctl.problems import Problem, Severity
from proxyctl.routes.workload import Workload
from proxyctl.state.certificates import INTERNAL
from proxyctl.state.digest import digest
from proxyctl.state.render import CONFIG
from proxyctl.status import troubles
from proxyctl.status.excerpt import map_rows_of, sections_of
from proxyctl.status.issuance import states
from proxyctl.status.rows import rows
from proxyctl.status.view import Change, SourceState, View

SCHEMA = "proxyctl/1"
Document = dict[str, Any]


def document(kind: str, **content: Any) -> Document:
    """Return an answer in its envelope."""
    return {"schema": SCHEMA, "kind": kind, **content}


def failure(message: str) -> Document:
    """Return the document for a question that cannot be answered."""
    return document("Error", error=message)


def status(view: View, *, now: float, service: bool = True) -> Document:
    """Return how everything fares; `service` is False where no service runs to tell it.

    `now`: seconds since the epoch, at the moment of asking; `observed` is when it was so.
    """
    found = rows(view)
    published = {(row["entrypoint"], row["host"], row["path"]) for row in found}
    served = {(row["entrypoint"], row["host"], row["path"]) for row in found if row["up"]}
    return document(
        "Status",
        healthy=is_healthy(view),
        service=service,
        version=view.version,
        time=now,
        observed=view.time,
        uptime=max(0, int(now - view.started)) if service else 0,
        problems=_problems(view.problems),
        haproxy=_haproxy(view),
        sources=[_source(source) for source in view.sources],
        workloads=len(view.workloads),
        flapping=_flapping(view),
        routes={"total": len(published), "up": len(served)},
        certificates=_certificates(view),
        pending=plan(view)["items"],
        counters=dict(sorted(view.counters.items())),
        last_change=_change(view.changes[-1]) if view.changes else None,
    )


def _flapping(view: View) -> list[Document]:
    return [
        {
            "kind": str(workload.kind),
            "workload": workload.name,
            "source": workload.source,
            "container": found.container,
            "starts": found.starts,
            "until": found.until,
            "look_at": troubles.look_at(workload, found.container),
        }
        for workload in view.workloads
        if (found := view.flapping.get(workload.uid))
    ]


def is_healthy(view: View) -> bool:
    """Tell whether nothing costs traffic: warnings do not, stopped pods do not."""
    return (
        view.running.alive
        and not view.haproxy_error
        and all(source.available for source in view.sources)
        and not any(problem.severity is Severity.ERROR for problem in view.problems)
    )


def _certificates(view: View) -> Document:
    """Return how many are served, and which of those that we do not make ourselves ends first."""
    every = view.desired.certificates if view.desired else ()
    others = [one for one in every if not one.name.startswith(INTERNAL)]
    first = min(others, key=lambda one: one.not_after, default=None)
    return {
        "served": len(every),
        "made_here": len(every) - len(others),
        "first_to_expire": first.name if first else "",
        "expires": first.not_after if first else 0,
        "from_ca": states(view.issuances),
    }


def _haproxy(view: View) -> Document:
    version = ".".join(map(str, view.running.version))
    return {
        "alive": view.running.alive,
        "version": version if any(view.running.version) else "",
        "pid": view.running.pid,
        "mode": view.settings.haproxy.mode,
        "error": view.haproxy_error,
        "old_workers": [asdict(worker) for worker in view.old_workers],
    }


def _source(source: SourceState) -> Document:
    return {
        "name": source.name,
        "where": source.where,
        "available": source.available,
        "error": source.error,
        "workloads": source.workloads,
    }


def routes(view: View) -> Document:
    """Return a row for each server of each host and path."""
    errors = {p.workload for p in view.problems if p.severity is Severity.ERROR and p.workload}
    return document("RouteList", items=rows(view), refused=len(errors))


def problems(view: View) -> Document:
    """Return everything that is wrong, errors first."""
    return document("ProblemList", items=_problems(view.problems))


def _problems(found: Iterable[Problem]) -> list[dict[str, str]]:
    ordered = sorted(found, key=lambda p: (p.severity is not Severity.ERROR, p))
    return [problem.as_json() for problem in ordered]


def changes(view: View, since: int = 0) -> Document:
    """Return the history after the change with number `since`, oldest first.

    Numbers count from the start of the service: a `started` that differs from the one before says
    that they begin again.
    """
    items = [_change(change) for change in view.changes if change.id > since]
    last = view.changes[-1].id if view.changes else 0
    return document("ChangeList", started=view.started, next=last, items=items)


def _change(change: Change) -> Document:
    return {
        "id": change.id,
        "time": change.time,
        "causes": list(change.causes),
        "cost": change.cost,
        "steps": list(change.steps),
        "milliseconds": change.milliseconds,
        "error": change.error,
    }


def plan(view: View) -> Document:
    """Return what is still to be done: nothing where HAProxy is what it should be."""
    items = []
    names = names_for(view.plan.steps, view.running)
    for step in view.plan.steps:
        sign, what, how = describe(step, names)
        reasons = list(step.reasons) if isinstance(step, Reload) else []
        cost = cost_of(step)
        items.append({"sign": sign, "what": what, "how": how, "cost": cost, "reasons": reasons})
    return document(
        "Plan", cost=view.plan.cost, items=items, error=view.haproxy_error, blind=_blind(view)
    )


def _blind(view: View) -> str:
    """Return why the plan is not to be trusted, "" if it is: what is not seen is not gone."""
    silent = [f"{source.name}: {source.error}" for source in view.sources if not source.available]
    if silent:
        return "; ".join(silent)
    if view.desired is None:
        return view.haproxy_error or "no configuration could be made: proxyctl status"
    return "" if view.plan.steps else view.haproxy_error


def rendered(view: View, workload: str | None = None) -> Document:
    """Return haproxy.cfg and its maps; of one workload: only what it brought about.

    `workload` is a name, `pod/NAME` or a backend's name; `found` tells whether there is one.
    """
    texts = view.rendered.shown_texts if view.rendered else {}
    files = [{"name": n, "bytes": len(t), "digest": digest(t)} for n, t in sorted(texts.items())]
    if workload is None or view.rendered is None:
        maps = {name: text for name, text in sorted(texts.items()) if name != CONFIG}
        whole = texts.get(CONFIG, "")
        return document(
            "Rendered", workload="", found=bool(texts), config=whole, maps=maps, files=files
        )
    backends = {
        share.name
        for share in view.shares
        if share.name == workload or any(_is_called(c.workload, workload) for c in share.claims)
    }
    return document(
        "Rendered",
        workload=workload,
        found=bool(backends),
        config=sections_of(view.rendered, backends),
        maps=map_rows_of(view.rendered, backends),
        files=files,
    )


def _is_called(workload: Workload, name: str) -> bool:
    return name in {workload.name, f"{workload.kind}/{workload.name}"}
