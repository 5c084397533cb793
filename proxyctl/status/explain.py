"""Why something is, or is not, published: the target of `proxyctl explain`, resolved. Pure.

gitea, pod/gitea, gitea-server, 3f2a91c0d4e5      a workload: by its, or a container's, name or id
git.example.com[:port][/path], http://…           a request: what HAProxy would do with it
"""

from difflib import get_close_matches

from proxyctl.routes.mistakes import shown
from proxyctl.routes.workload import Kind, Workload
from proxyctl.status.answers import Document, document
from proxyctl.status.explain_request import Target, explain_request, parse_target
from proxyctl.status.explain_workload import explain_workload
from proxyctl.status.verdict import Verdict, best
from proxyctl.status.view import View

_SHORTEST_ID = 6


def explanation(view: View, target: str) -> Document:
    """Return why *target* is or is not published; `verdict` says it in a word or two."""
    found = workloads_called(view, target)
    if found:
        parts = [explain_workload(view, workload) for workload in found]
        verdict = best((part["verdict"] for part in parts), Verdict.NOT_PUBLISHED)
        return _explanation(target, verdict, workloads=parts)
    request = parse_target(target)
    if request is None or _is_mere_name(view, target, request):
        return _explanation(target, Verdict.NO_ROUTE, reason=_unknown(view, target))
    lookups, reason = explain_request(view, request)
    verdict = best((part["verdict"] for part in lookups), Verdict.NO_ROUTE)
    return _explanation(target, verdict, lookups=lookups, reason=reason)


def _explanation(
    target: str,
    verdict: Verdict,
    *,
    workloads: list[Document] | None = None,
    lookups: list[Document] | None = None,
    reason: str = "",
) -> Document:
    return document(
        "Explanation",
        target=target,
        verdict=str(verdict),
        routed=verdict is Verdict.PUBLISHED,
        reason=reason,
        workloads=workloads or [],
        lookups=lookups or [],
    )


def workloads_called(view: View, target: str) -> tuple[Workload, ...]:
    """Return the workloads that a name, `kind/name`, id or backend's name may mean, best first.

    Several where a name is not unique: a pod and a container, or two Podman sockets.
    """
    kind, slash, name = target.partition("/")
    if slash and kind in set(Kind):
        return tuple(w for w in view.workloads if w.kind == kind and w.name == name)
    if slash or not target:
        return ()
    served = {s.name: {c.workload.uid for c in s.claims} for s in view.shares}.get(target, set())
    for matches in (
        lambda w: w.name == target,
        lambda w: any(member.name == target for member in w.members),
        lambda w: _has_id(w, target),
        lambda w: w.uid in served,
    ):
        found = tuple(w for w in view.workloads if matches(w))
        if found:
            return found
    return ()


def _has_id(workload: Workload, prefix: str) -> bool:
    if len(prefix) < _SHORTEST_ID or set(prefix) - set("0123456789abcdef"):
        return False
    ids = (workload.id, *(member.id for member in workload.members))
    return workload.kind is not Kind.STATIC and any(one.startswith(prefix) for one in ids)


def _is_mere_name(view: View, target: str, request: Target) -> bool:
    """Tell whether *target* looks like the name of a pod, and no route has it as its host."""
    kind, slash, name = target.partition("/")
    if slash and (kind not in set(Kind) or "/" in name):
        return False
    if not slash and ("." in target or ":" in target):
        return False
    return not any(m.host == request.host for share in view.shares for m in share.matches)


def _unknown(view: View, target: str) -> str:
    names = {w.name for w in view.workloads} | {m.name for w in view.workloads for m in w.members}
    hosts = {match.host for share in view.shares for match in share.matches if match.host}
    kind, slash, name = target.partition("/")
    of_kind = bool(slash) and kind in set(Kind)
    sought = name if of_kind else target
    close = get_close_matches(sought, sorted(names | hosts), n=1)
    hint = f"; did you mean {close[0]}?" if close and close[0] != sought else ""
    what = kind if of_kind else "pod, container, static route or host"
    return f"no {what} is called {shown(sought)!r}{hint}"
