"""The verbs that speak to the CA: acme run, revoke, rollover. The service itself never does."""

# ruff: noqa: PLC0415 - what is heavy is imported when it is needed: see proxyctl.cli

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

import click

from proxyctl.cli.context import Options, Verb, remark
from proxyctl.cli.output import Screen, counted, problem_text
from proxyctl.problems import ProxyctlError, SettingsError

if TYPE_CHECKING:
    from proxyctl.acme.shelf import Shelf
    from proxyctl.settings import Acme

_REASONS = ("unspecified", "key-compromise", "superseded", "cessation-of-operation")


class ExtraMissing(ProxyctlError):  # noqa: N818
    """The libraries for ACME are an extra, and not installed."""

    exit_code = 69


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 99})
def acme() -> None:
    """Get and renew certificates from Let's Encrypt, or another CA with ACME."""


def _parts(options: Options) -> "tuple[Acme, Shelf]":
    """Return the settings and the folders, and nobody else works on them until we end."""
    from proxyctl.acme.shelf import Shelf, explained
    from proxyctl.files.lock import AlreadyRunning, Lock

    missing = [name for name in ("acme", "josepy") if find_spec(name) is None]
    if missing:
        raise ExtraMissing(
            f"certificates from a CA need the Python packages {', '.join(missing)}: "
            "pip install 'podman-proxyctl[acme]'      (HTTP and present certificates go on)"
        )
    settings, folders = options.load()
    if settings.acme is None:
        raise SettingsError("config.toml has no table [acme]: no CA is asked (docs/acme.md)")
    shelf = Shelf(folders.run, folders.state)
    lock = shelf.home / "lock"
    with explained(lock):
        try:
            Lock(lock).take()
        except AlreadyRunning:
            raise AlreadyRunning(
                "the engine is at work already (systemctl status proxyctl-acme); nothing was "
                "done: try again when it has ended"
            ) from None
    return settings.acme, shelf


@contextmanager
def _told(options: Options) -> Iterator[None]:
    """Print a trouble as every problem is printed, and end with 1."""
    from proxyctl.acme.troubles import Trouble

    try:
        yield
    except Trouble as trouble:
        click.echo(problem_text(Screen(options.color), trouble.problem.as_json()), err=True)
        raise click.exceptions.Exit(1) from None


@acme.command(cls=Verb)
@click.option("--now", is_flag=True, help="Do not wait out the pauses after failures.")
@click.pass_obj
def run(options: Options, *, now: bool) -> int:
    """Get the certificates that are wanted and missing, renew those that are due, and end.

    For proxyctl-acme.service, which a timer starts, and a change of what is wanted.

    Exit codes: 0 all is well or waits, 1 something is wrong, 69 the extra `acme` is missing.
    """
    return run_engine(options, now=now)


def run_engine(options: Options, *, now: bool = False, renew: Sequence[str] = ()) -> int:
    """Turn the engine once, tell what it did, and return the exit code.

    `now`: without waiting out pauses. `renew`: only these certificates, whether due or not.
    """
    with _told(options):
        settings, shelf = _parts(options)
        from proxyctl.acme.engine import Engine

        engine = Engine(
            settings, shelf, tell=lambda line: remark(options, line), now=now, renew=renew
        )
        outcome = engine.run()
    screen = Screen(options.color)
    if options.json:
        problems = [problem.as_json() for problem in outcome.problems]
        screen.json({"issued": outcome.issued, "problems": problems})
    else:
        for problem in outcome.problems:
            click.echo(problem_text(screen, problem.as_json()), err=True)
        remark(options, f"{counted(len(outcome.issued), 'certificate')} issued")
    return 1 if any(problem.severity == "error" for problem in outcome.problems) else 0


@acme.command(cls=Verb)
@click.argument("name")
@click.option(
    "--reason", type=click.Choice(_REASONS), default="unspecified", help="What the CA is told."
)
@click.pass_obj
def revoke(options: Options, name: str, reason: str) -> None:
    """Take back the certificate NAME: the CA tells browsers not to trust it any more.

    If it is still wanted, the next `proxyctl acme run` gets another one, with another key.
    """
    take_back(options, name, reason)


def take_back(options: Options, name: str, reason: str) -> None:
    """Revoke a certificate at the CA, and say what becomes of its file."""
    known = certificate_name(name)
    with _told(options):
        settings, shelf = _parts(options)
        from proxyctl.acme import revoking

        stays = revoking.revoke(settings, shelf, known, reason)
    rest = "it is served until the next run has replaced it: proxyctl acme run"
    remark(options, f"{known} is revoked; {rest if stays else 'its file is removed'}")


def certificate_name(name: str) -> str:
    """Return the name of a certificate from the CA, as `cert ls` shows it or without acme@."""
    from proxyctl.acme import wishes

    known = name.removeprefix("acme@")
    star, _, parent = known.partition(".")
    try:
        return wishes.host_name(f"*.{parent}" if star == "_wildcard" else known)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@acme.command(cls=Verb)
@click.pass_obj
def rollover(options: Options) -> None:
    """Give the account at the CA a new key. Certificates are not touched."""
    with _told(options):
        settings, shelf = _parts(options)
        from proxyctl.acme import account

        account.rollover(account.connect(settings, shelf), shelf)
    remark(options, "the account has a new key")
