"""The verbs about the configuration: render, diff, apply."""

# ruff: noqa: PLC0415 - what is heavy is imported when it is needed: see proxyctl.cli

from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import click

from proxyctl.cli.context import TARGET, Options, Verb, ask, remark
from proxyctl.cli.layout import change_text, plan_text
from proxyctl.cli.look import complete_workloads
from proxyctl.cli.output import Screen, problem_text
from proxyctl.problems import ProxyctlError
from proxyctl.state.spares import folded

if TYPE_CHECKING:
    from proxyctl.status.view import View

_CANNOT_COMPARE = 2


@click.command(cls=Verb)
@click.argument("workload", type=TARGET, required=False, shell_complete=complete_workloads)
@click.option("--all", "whole", is_flag=True, help="With all spare backends.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="Write all of haproxy.cfg there, and not its maps; - is stdout.",
)
@click.pass_obj
def render(options: Options, workload: str | None, output: Path | None, *, whole: bool) -> int:
    """Print the haproxy.cfg that is, or would be, written; of WORKLOAD only its part.

    Of the spare backends only their number is told; --all, --json and -o have all of them.
    """

    def of_view(view: "View") -> dict[str, Any]:
        from proxyctl.status import answers

        return answers.rendered(view, workload)

    query = f"?{urlencode({'workload': workload})}" if workload else ""
    document = ask(options, f"/v1/render{query}", of_view)
    if not document["found"]:
        return _nothing(options, document, workload)
    if output and str(output) != "-":
        _write(output, document["config"])
        remark(options, f"wrote {output}")
    elif options.json:
        Screen(options.color).json(document)
    else:
        text = _rendered_text(document)
        screen = Screen(options.color)
        screen.write(text if whole or output else folded(text, "proxyctl render --all"))
    return 0


def _nothing(options: Options, document: dict[str, Any], workload: str | None) -> int:
    if options.json:
        Screen(options.color).json(document)
    elif workload:
        remark(options, f"nothing is rendered for {workload!r}: proxyctl explain {workload}")
    else:
        remark(options, "nothing could be rendered: proxyctl status")
    return 1


def _rendered_text(document: dict[str, Any]) -> str:
    if not document["workload"]:
        return str(document["config"]).rstrip("\n")
    parts = [str(document["config"]).rstrip("\n")]
    parts += [f"# {name}\n{text.rstrip()}" for name, text in document["maps"].items()]
    return "\n\n".join(parts)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ProxyctlError(f"cannot write {path}: {error.strerror}") from error


@click.command(cls=Verb)
@click.pass_obj
def diff(options: Options) -> int:
    """Show what is still to be done, step by step, and what each costs HAProxy.

    Exit codes: 0 no difference, 1 differences, 2 they cannot be told.
    """

    def of_view(view: "View") -> dict[str, Any]:
        from proxyctl.status import answers

        return answers.plan(view)

    screen = Screen(options.color)
    try:
        document = ask(options, "/v1/plan", of_view)
    except ProxyctlError as error:
        click.echo(f"error: cannot compare: {error}", err=True)
        return _CANNOT_COMPARE
    if options.json:
        screen.json(document)
    if document["blind"]:
        click.echo(f"error: cannot compare: {document['blind']}", err=True)
        return _CANNOT_COMPARE
    if not options.json:
        screen.write(plan_text(screen, document))
        if document["error"]:
            remark(options, f"the last change was not carried out: {document['error']}")
    return 1 if document["items"] else 0


@click.command(cls=Verb)
@click.option("--dry-run", is_flag=True, help="Only show what would be done: proxyctl diff.")
@click.pass_context
def apply(ctx: click.Context, *, dry_run: bool) -> int:
    """Make HAProxy what the labels ask for, once. The service does it by itself."""
    options = ctx.ensure_object(Options)
    if dry_run:
        code = ctx.invoke(diff)
        assert isinstance(code, int)
        return code if code == _CANNOT_COMPARE else 0
    from proxyctl import daemon
    from proxyctl.status import answers

    settings, folders = options.load()
    view = daemon.apply_once(settings, folders, dry_run=False)
    screen = Screen(options.color)
    document = answers.status(view, now=view.time, service=False)
    if options.json:
        screen.json(document)
    else:
        screen.write(_applied_text(screen, view, document))
    return daemon.exit_code(view)


def _applied_text(screen: Screen, view: "View", document: dict[str, Any]) -> str:
    from proxyctl.status import answers

    parts = [problem_text(screen, problem) + "\n" for problem in document["problems"]]
    if view.applied and document["last_change"]:
        parts.append(change_text(screen, document["last_change"]))
    elif not view.haproxy_error and view.desired is not None:
        parts.append(plan_text(screen, answers.plan(view)))
    return "\n".join(parts).rstrip("\n")
