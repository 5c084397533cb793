"""`proxyctl check`: everything from labels to `haproxy -c`, for this host or some files."""

# ruff: noqa: PLC0415 - what is heavy is imported when it is needed: see proxyctl.cli

import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

import click

from proxyctl.cli.context import Options, Verb, look, remark
from proxyctl.cli.output import Screen, counted, problem_text
from proxyctl.problems import Problem, Severity


@click.command(cls=Verb)
@click.argument("files", metavar="[FILE]...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--strict", is_flag=True, help="Warnings count as errors.")
@click.pass_obj
def check(options: Options, *, files: tuple[Path, ...], strict: bool) -> int:
    """Check every label here, and let `haproxy -c` read what comes of them.

    With FILEs only these are checked, before they are deployed: Quadlet .container, .pod and
    .kube, Kubernetes YAML, compose files, and static routes (.toml).
    Exit codes: 0 good, 1 at least one error.
    """
    problems, checked = _of_files(options, files) if files else _of_host(options)
    severities = {Severity.ERROR, Severity.WARNING} if strict else {Severity.ERROR}
    bad = any(problem.severity in severities for problem in problems)
    screen = Screen(options.color)
    if options.json:
        from proxyctl.status.answers import document

        items = [problem.as_json() for problem in problems]
        screen.json(document("ProblemList", ok=not bad, items=items))
        return int(bad)
    for problem in problems:
        screen.write(problem_text(screen, problem.as_json()) + "\n")
    summary = f"{screen.paint('error', 'not good') if bad else screen.paint('ok')}: "
    screen.write(summary + f"{checked}; {_counts(problems)}")
    return int(bad)


def _counts(problems: Iterable[Problem]) -> str:
    severities = [problem.severity for problem in problems]
    errors = severities.count(Severity.ERROR)
    warnings = len(severities) - errors
    return f"{counted(errors, 'error')}, {counted(warnings, 'warning')}"


def _of_host(options: Options) -> tuple[list[Problem], str]:
    """Check the workloads of this host: a look asks `haproxy -c` before it tells anything."""
    view = look(options)
    problems = _in_order(view.problems)
    if view.desired is None:
        return problems, "no configuration could be made"
    routes = sum(len(share.matches) for share in view.shares)
    said = "`haproxy -c` accepts the configuration"
    return (
        problems,
        f"{counted(len(view.workloads), 'workload')}, {counted(routes, 'route')}; {said}",
    )


def _of_files(options: Options, files: Iterable[Path]) -> tuple[list[Problem], str]:
    from proxyctl.cli.lint import lint

    settings, _ = options.load()
    found = lint(files, settings, _podman_version())
    remark(options, "which ports the images expose is not looked at")
    return _in_order(found.problems), f"{counted(found.workloads, 'workload')} in {found.files}"


def _podman_version() -> tuple[int, ...] | None:
    """Return the version of this host's podman, None if there is none."""
    try:
        result = subprocess.run(
            ["podman", "--version"], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"(\d+)\.(\d+)\.(\d+)", result.stdout)
    return tuple(map(int, match.groups())) if match else None


def _in_order(problems: Iterable[Problem]) -> list[Problem]:
    return sorted(problems, key=lambda p: (p.severity is not Severity.ERROR, p))
