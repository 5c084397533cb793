"""The verbs that change the state of servers by hand: drain, maint, ready. The service does it."""

import math
import time
from typing import Any
from urllib.parse import urlencode

import click

from proxyctl.cli.context import TARGET, Options, Verb, service_socket
from proxyctl.cli.output import Screen, counted
from proxyctl.problems import ProxyctlError
from proxyctl.status import client

_POLL = 0.1
_WAIT = 10.0


def _tell(options: Options, workload: str, state: str) -> None:
    query = urlencode({"workload": workload, "state": state})
    client.get(service_socket(options), f"/v1/state?{query}", method="POST")


def _routes(options: Options, workload: str) -> dict[str, Any]:
    """Return the service's document of routes, with those of a workload only."""
    document = client.get(service_socket(options), "/v1/routes")
    items = [row for row in document["items"] if row["workload"] == workload]
    return {**document, "items": items}


def _rows(options: Options, workload: str) -> list[dict[str, Any]]:
    """Return one row for each server of a workload, however many routes lead to it."""
    return list({row["server"]: row for row in _routes(options, workload)["items"]}.values())


def _change(options: Options, workload: str, state: str) -> None:
    """Ask for the state until HAProxy has it: each question also makes the service look again."""
    deadline = time.monotonic() + _WAIT
    while True:
        _tell(options, workload, state)
        time.sleep(_POLL / 2)
        if all(row["state"] in {state, "maint"} for row in _rows(options, workload)):
            return
        if time.monotonic() > deadline:
            why = client.get(service_socket(options), "/v1/status")["haproxy"]["error"]
            told = f": {why}" if why else ""
            raise ProxyctlError(f"{workload} is not in state {state} after {_WAIT:g} s{told}")
        time.sleep(_POLL)


def _until_idle(options: Options, workload: str, patience: float) -> int:
    """Return how many sessions are left after `patience` seconds, or 0 as soon as none is."""
    deadline = time.monotonic() + patience
    while True:
        _tell(options, workload, "drain")
        time.sleep(_POLL)
        sessions = sum(int(row["sessions"]) for row in _rows(options, workload))
        if not sessions or time.monotonic() > deadline:
            return sessions


def _answer(options: Options, workload: str) -> None:
    """Print, with --json, the servers of a workload as they are now; else no news is good news."""
    if options.json:
        Screen(options.color).json(_routes(options, workload))


def _finite(_ctx: click.Context, _param: click.Parameter, value: float) -> float:
    if not math.isfinite(value):
        raise click.BadParameter(f"{value} is no number of seconds")
    return value


@click.command(cls=Verb)
@click.argument("workload", type=TARGET)
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    callback=_finite,
    default=0,
    help="Seconds to wait until its requests are finished.",
)
@click.pass_obj
def drain(options: Options, workload: str, wait: float) -> int:
    """Send WORKLOAD no new requests; those that it has are finished.

    For ExecStop= and deploy scripts. It ends with the workload's stop, or with `proxyctl ready`.

    Exit codes: 0 drained, 1 requests are left, 3 the service does not run.
    """
    _change(options, workload, "drain")
    left = _until_idle(options, workload, wait) if wait else 0
    _answer(options, workload)
    if left:
        click.echo(f"{workload}: {counted(left, 'request')} left after {wait:g} s", err=True)
    return 1 if left else 0


@click.command(cls=Verb)
@click.argument("workload", type=TARGET)
@click.pass_obj
def maint(options: Options, workload: str) -> None:
    """Take WORKLOAD out at once, until `proxyctl ready`."""
    _change(options, workload, "maint")
    _answer(options, workload)


@click.command(cls=Verb)
@click.argument("workload", type=TARGET)
@click.pass_obj
def ready(options: Options, workload: str) -> None:
    """Take back `drain` or `maint`: WORKLOAD gets requests again."""
    _tell(options, workload, "ready")
    _answer(options, workload)
