"""An explanation as text: why a workload, host or URL is, or is not, published. Pure."""

from collections.abc import Iterable
from typing import Any

from proxyctl.cli.layout import change_text, workload_name
from proxyctl.cli.output import Screen, flapping, problem_text
from proxyctl.problems import printable

Document = dict[str, Any]
_WIDTH = 8
_LONGEST = 200
"""Characters of a target that are repeated."""


def explanation_text(screen: Screen, document: Document) -> str:
    """Return the whole explanation."""
    target = printable(document["target"][:_LONGEST])
    parts = [_workload(screen, part) for part in document["workloads"]]
    told = [p for p in document["lookups"] if p["backend"] or not _has_backend(document)]
    parts += [_lookup(screen, part, target) for part in told]
    silent = [part["entrypoint"] for part in document["lookups"] if part not in told]
    if silent:
        parts[-1] += "\n" + _line("others", f"not published on entrypoint {', '.join(silent)}")
    if document["reason"]:
        head = "" if parts else f"{target}  {screen.paint(document['verdict'])}\n"
        parts.append(
            head + _line("note" if document["routed"] else "reason", printable(document["reason"]))
        )
    return "\n\n".join(parts)


def _has_backend(document: Document) -> bool:
    return any(part["backend"] for part in document["lookups"])


def _line(name: str, text: str) -> str:
    return f"  {name.ljust(_WIDTH - 1)} {text}"


def _lines(name: str, texts: Iterable[str]) -> list[str]:
    """Return lines of which only the first has a name."""
    return [_line(name if number == 0 else "", text) for number, text in enumerate(texts)]


def _workload(screen: Screen, part: Document) -> str:
    about = [part["source"], part["phase"]]
    if part["kind"] == "pod":
        about.append(f"containers {', '.join(part['containers']) or 'none'}")
    head = (
        f"{screen.strong(part['subject'])} ({'; '.join(about)})  {screen.paint(part['verdict'])}"
    )
    if part["routed"] and not part["served"]:
        head += f", but {screen.paint('DOWN', 'no server is up')}"
    lines = [head, *_lines("labels", map(_label, part["labels"]))]
    if part["flapping"]:
        lines.append(
            _line("flapping", f"{flapping(part['flapping'])}      {part['flapping']['look_at']}")
        )
    for route in part["routes"]:
        lines += _route(screen, route)
    lines += _lines("note" if part["routed"] else "why not", part["reasons"])
    for problem in part["problems"]:
        lines += ["", problem_text(screen, problem)]
    last = [change_text(screen, change).replace("\n", "\n  ") for change in part["changes"]]
    if last and part["problems"]:
        lines.append("")
    lines += _lines("last", last)
    examples = [route["try_it"] for route in part["routes"] if route["try_it"]]
    return "\n".join([*lines, *_lines("try it", examples)])


def _label(label: Document) -> str:
    origin = "" if label["from"] in {"pod", "container", "static"} else f"      {label['from']}"
    note = f": {label['note']}" if label["note"] else ""
    return printable(f"{label['label']}={label['value']}{origin}{note}")


def _route(screen: Screen, route: Document) -> list[str]:
    name = f"route {route['name']}: " if route["name"] else ""
    backend = f"backend {route['backend']}"
    target = backend if route["backend"] else screen.paint("NO ROUTE", "nowhere")
    redirects = route["redirects"]
    moved = [url for url in redirects if url not in route["urls"]]
    asked = [*(route["urls"] or route["asks_for"]), *moved]
    lines = _lines("route", (f"{name}{url} → {redirects.get(url, target)}" for url in asked))
    lines.append(_line("port", f"{route['port'] or ''}      {route['port_from']}".strip()))
    address = ", ".join(route["address"])
    lines.append(_line("address", f"{address}      {route['address_from']}".strip()))
    lines.append(_line("health", route["health"]))
    lines += _lines("tls", route.get("certificates", ()))
    lines += _lines("servers", (_server(screen, row) for row in route["servers"]))
    if route["lines"]:
        lines.append(_line("haproxy", route["lines"]))
    return lines


def _server(screen: Screen, row: Document) -> str:
    more = f"  weight {row['weight']}" + ("  backup" if row["backup"] else "")
    where = row["address"] or "no address"
    return f"{screen.paint(row['status'])}  {workload_name(row)}  {where}{more}"


def _lookup(screen: Screen, part: Document, target: str) -> str:
    lines = [f"{screen.strong(target)}  {screen.paint(part['verdict'])}"]
    where = f"which listens on {' '.join(part['bind'])}" if part["bind"] else f"of {part['map']}"
    lines.append(_line("entry", f"{part['entrypoint']}, {where}"))
    if part["mode"] == "passthrough":
        told = f"name {part['host']} in TLS, which ends in the pod"
        lines.append(_line("asked", printable(told)))
    elif part["mode"] == "http":
        lines.append(_line("asked", printable(f"host {part['host']}   path {part['path']}")))
    if part["refusal"]:
        answer = "HAProxy answers 400" if part["bind"] else "our own frontends answer 400"
        lines.append(_line("refused", f"{part['refusal']}: {answer}"))
    if part.get("certificate"):
        lines.append(_line("tls", part["certificate"]))
    lines += _lines("keys", _candidates(part["candidates"]))
    if part["told_by"] == "plan" and part["candidates"]:
        lines.append(_line("", "(as they should be: HAProxy was not asked)"))
    if part["redirect"]:
        lines.append(_line("redirect", f"308 to {printable(part['redirect'])}"))
    if part["backend"]:
        lines.append(_line("backend", part["backend"]))
        lines += _lines("servers", (_server(screen, row) for row in part["servers"]))
    if part["backend"] and part["try_it"]:
        lines.append(_line("try it", part["try_it"]))
    return "\n".join(lines)


def _prize(candidate: Document) -> str:
    return f"backend {candidate['backend']}" if candidate["backend"] else "a redirect"


def _candidates(candidates: list[Document]) -> list[str]:
    """Return the keys in the order of asking; long lists without what did not matter."""
    shown = [c for c in candidates if c["outcome"] != "not asked any more"][:20]
    width = max((len(c["key"]) for c in shown), default=0)
    lines = [
        f"{'→' if c['outcome'] == 'won' else ' '} {c['key'].ljust(width)}  {c['how']}, "
        + (f"won: {_prize(c)}" if c["outcome"] == "won" else c["outcome"])
        for c in shown
    ]
    left = len(candidates) - len(shown)
    return lines + ([f"  {left} more, not asked any more"] if left else [])
