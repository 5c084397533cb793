"""Documents as text for a person: status, routes, changes, plans. Pure."""

from typing import Any

from proxyctl.cli.output import Screen, clock, counted, duration, flapping, problem_text

Document = dict[str, Any]
_COSTS = ("start", "reload", "runtime", "file", "noop", "failed")


def status_text(screen: Screen, document: Document) -> str:
    """Return how everything fares, problems first."""
    problems = [problem_text(screen, problem) + "\n" for problem in document["problems"]]
    rows = [("proxyctl", _verdict(screen, document)), ("haproxy", _haproxy(screen, document))]
    if old := document["haproxy"]["old_workers"]:
        rows.append(("reloaded", _old_workers(old)))
    rows += [(source["name"], _source(screen, source)) for source in document["sources"]]
    routes = document["routes"]
    up = f"{routes['total']} published, {routes['up']} with a server that is up"
    rows.append(("routes", up + ("      proxyctl ls" if routes["total"] else "")))
    if document.get("certificates", {}).get("served"):
        rows.append(("certs", _certificates(document["certificates"], document["time"])))
    if from_ca := document.get("certificates", {}).get("from_ca"):
        told = ", ".join(f"{number} {state}" for state, number in from_ca.items())
        rows.append(("acme", f"{told}      proxyctl cert ls"))
    rows += [("flapping", _flapping(screen, one)) for one in document["flapping"]]
    if document["pending"]:
        steps = counted(len(document["pending"]), "step")
        rows.append(("pending", screen.paint("PENDING", f"{steps} to be done      proxyctl diff")))
    counts = [f"{document['counters'][c]} {c}" for c in _COSTS if document["counters"].get(c)]
    if counts:
        rows.append(("cycles", ", ".join(counts)))
    if document["last_change"]:
        text = change_text(screen, document["last_change"], now=document["time"])
        rows.append(("last", text))
    width = max(len(name) for name, _ in rows)
    return "\n".join([*problems, *(f"{name.ljust(width)}  {text}" for name, text in rows)])


def _verdict(screen: Screen, document: Document) -> str:
    errors = sum(problem["severity"] == "error" for problem in document["problems"])
    warnings = len(document["problems"]) - errors
    word = "healthy" if document["healthy"] else "DEGRADED"
    counts = [counted(n, noun) for n, noun in ((errors, "error"), (warnings, "warning")) if n]
    since = (
        f"up {duration(document['uptime'])}"
        if document["service"]
        else screen.paint("DOWN", "the service does not run")
    )
    parts = [f"{document['version']}, {since}", screen.paint(word), *counts]
    return ", ".join(parts)


def _haproxy(screen: Screen, document: Document) -> str:
    haproxy = document["haproxy"]
    if not haproxy["alive"]:
        text = screen.paint("DOWN", "does not answer") + f", mode {haproxy['mode']}"
    else:
        text = f"{haproxy['version'] or 'running'}, pid {haproxy['pid']}, mode {haproxy['mode']}"
    return text + (f": {haproxy['error']}" if haproxy["error"] else "")


def _old_workers(old: list[Document]) -> str:
    oldest = max(worker["uptime"] for worker in old)
    still = counted(len(old), "old worker")
    since = f"the oldest was started {duration(oldest)} ago"
    return f"{still} still finishing what began before a reload; {since}"


def _certificates(told: Document, now: float) -> str:
    parts = [f"{told['served']} served", f"{told['made_here']} made by proxyctl"]
    if told["first_to_expire"]:
        left = told["expires"] - now
        when = f"expires in {duration(left)}" if left > 0 else "has expired"
        parts.append(f"{told['first_to_expire']} {when}")
    return ", ".join(parts) + "      proxyctl cert ls"


def _source(screen: Screen, source: Document) -> str:
    if not source["available"]:
        return f"{screen.paint('DOWN', 'does not answer')}, {source['where']}"
    return f"{counted(source['workloads'], 'workload')}, {source['where']}"


def _flapping(screen: Screen, found: Document) -> str:
    where = f" container {found['container']}" if found["container"] else ""
    told = f"{workload_name(found)}{where}: {flapping(found)}"
    return f"{screen.paint('FLAPPING', told)}      {found['look_at']}"


def routes_text(screen: Screen, document: Document, *, wide: bool) -> str:
    """Return the table of `proxyctl ls`: without those that tell nothing, unless `wide`."""
    rows = document["items"]
    entrypoints = wide or len({row["entrypoint"] for row in rows}) > 1
    weights = wide or len({row["weight"] for row in rows}) > 1
    notes = any(row["flapping"] for row in rows)
    headers = ["HOST", "PATH", "WORKLOAD", "BACKEND", "ADDRESS", "STATE"] + ["NOTE"] * notes
    headers += ["WEIGHT"] * weights + ["ENTRYPOINT"] * entrypoints
    cells: list[list[str]] = []
    for row in rows:
        cell = [row["host"] or "(tcp)", row["path"] or "-", workload_name(row), row["backend"]]
        cell += [row["address"] or "-", row["status"]] + [flapping(row["flapping"])] * notes
        cell += [f"{row['weight']}{' backup' * row['backup']}"] * weights
        cells.append(cell + [row["entrypoint"]] * entrypoints)
    return screen.table(headers, cells)


def workload_name(row: Document) -> str:
    """Return what `proxyctl explain` takes: `pod/gitea`; with its Podman, if that has a name."""
    where = f" ({row['source']})" if row["source"] else ""
    return f"{row['kind']}/{row['workload']}{where}"


def change_text(screen: Screen, change: Document, *, now: float = 0) -> str:
    """Return one change: when, what it cost, why, and the steps."""
    moment = clock(change["time"], now or change["time"])
    kind = "failed" if change["error"] else change["cost"]
    cost = screen.paint("error" if change["error"] else kind, kind.ljust(7))
    causes = ", ".join(change["causes"])
    steps = [step.strip() for text in change["steps"] for step in text.split("; ")]
    told = [*steps, change["error"]] if change["error"] else steps
    line = f"{moment}  {cost}  {change['milliseconds']:>5} ms  ({causes})"
    return f"\n{' ' * (len(moment) + 4)}".join([f"{line}  {told[0]}" if told else line, *told[1:]])


def plan_text(screen: Screen, document: Document) -> str:
    """Return the steps of a plan, and what they cost together."""
    items = document["items"]
    if not items:
        return "no difference: HAProxy is what the labels ask for"
    costs = {item["cost"] for item in items}
    verdict = (
        "with a reload, which loses no connection" if "reload" in costs else "without a reload"
    )
    if "start" in costs:
        verdict = "HAProxy is to be started"
    table = screen.table(("", "WHAT", "HOW", "COST"), [r for item in items for r in _rows(item)])
    return f"{table}\n{counted(len(items), 'step')}: {verdict}"


def _rows(item: Document) -> list[tuple[str, str, str, str]]:
    """Return the rows of a step: one, or of a reload one for each reason."""
    first, *more = item.get("reasons") or [item["how"]]
    return [
        (item["sign"], item["what"], first, item["cost"]),
        *(("", "", one, "") for one in more),
    ]
