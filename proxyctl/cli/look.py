"""The verbs that look: status, ls, explain, events. They read, and never write."""

# ruff: noqa: PLC0415 - what is heavy is imported when it is needed: see proxyctl.cli

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import click
from click.shell_completion import CompletionItem

from proxyctl.cli.context import TARGET, Options, Verb, ask, remark, service_socket
from proxyctl.cli.layout import change_text, routes_text, status_text
from proxyctl.cli.layout_explain import explanation_text
from proxyctl.cli.output import Screen, counted
from proxyctl.problems import ProxyctlError
from proxyctl.status import client

if TYPE_CHECKING:
    from proxyctl.status.view import View

_POLL = 0.5


@click.command(cls=Verb)
@click.pass_obj
def status(options: Options) -> int:
    """Tell whether all is well; problems first.

    Exit codes: 0 healthy, 1 something costs traffic, 3 the service does not run.
    """

    def of_view(view: "View") -> dict[str, Any]:
        from proxyctl.status import answers

        return answers.status(view, now=view.time, service=False)

    document = ask(options, "/v1/status", of_view)
    screen = Screen(options.color)
    if options.json:
        screen.json(document)
    else:
        screen.write(status_text(screen, document))
    if not document["service"]:
        return 3
    return 0 if document["healthy"] else 1


@click.command(cls=Verb)
@click.pass_obj
def ls(options: Options) -> None:
    """List what is published: a row for each server of each host and path."""

    def of_view(view: "View") -> dict[str, Any]:
        from proxyctl.status import answers

        return answers.routes(view)

    document = ask(options, "/v1/routes", of_view)
    screen = Screen(options.color)
    if options.json:
        screen.json(document)
        return
    if document["items"]:
        screen.write(routes_text(screen, document, wide=bool(options.verbose)))
    else:
        remark(options, "nothing is published: give a pod the label proxyctl.host=NAME")
    if document["refused"]:
        what = counted(document["refused"], "workload")
        remark(options, f"{what} with mistakes: proxyctl status")


def complete_workloads(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return names for the shell's completion: only of a service that answers at once."""
    del param
    try:
        document = client.get(service_socket(ctx.ensure_object(Options)), "/v1/routes", timeout=1)
    except ProxyctlError:
        return []
    rows = document["items"]
    with_hosts = ctx.info_name == "explain"
    names = {row["workload"] for row in rows} | {r["host"] for r in rows if with_hosts}
    return [CompletionItem(name) for name in sorted(names) if name.startswith(incomplete)]


@click.command(cls=Verb)
@click.argument("target", type=TARGET, shell_complete=complete_workloads)
@click.pass_obj
def explain(options: Options, target: str) -> int:
    """Tell why something is, or is not, published.

    TARGET is a pod, container or static route (by name, KIND/NAME or id), or a request: a host
    name, host:port, host/path or URL. Exit codes: 0 it is published, 1 it is not.
    """

    def of_view(view: "View") -> dict[str, Any]:
        from proxyctl.status.explain import explanation

        return explanation(view, target)

    document = ask(options, f"/v1/explain?{urlencode({'target': target})}", of_view)
    screen = Screen(options.color)
    if options.json:
        screen.json(document)
    else:
        screen.write(explanation_text(screen, document))
    return 0 if document["routed"] else 1


@click.command(cls=Verb)
@click.option("-f", "--follow", is_flag=True, help="Wait for more; with --json one on a line.")
@click.option("--since", type=click.IntRange(0), default=0, help="Only after number N.")
@click.pass_obj
def events(options: Options, *, follow: bool, since: int) -> None:
    """Show what changed, why, what it cost HAProxy, and how long it took.

    The service keeps the last 500 changes since its start; without a service there are none.
    """
    path = service_socket(options)
    screen = Screen(options.color)
    document = client.get(path, f"/v1/events?since={since}")
    if options.json and not follow:
        screen.json(document)
        return
    if not document["items"] and not follow:
        remark(options, "nothing has changed since the service was started")
    while True:
        for change in document["items"]:
            if options.json:
                screen.json(change, indent=None)
            else:
                screen.write(change_text(screen, change))
        if not follow:
            return
        time.sleep(_POLL)
        document = _more(options, document)


def _more(options: Options, last: dict[str, Any]) -> dict[str, Any]:
    """Return the changes after a document; a service that is started anew counts from 1."""
    path = service_socket(options)
    try:
        document = client.get(path, f"/v1/events?since={last['next']}")
        if document["started"] != last["started"]:
            remark(options, "the service was started again")
            document = client.get(path, "/v1/events?since=0")
    except client.ServiceNotRunning:
        return {**last, "items": []}
    return document
