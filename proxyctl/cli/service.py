"""The service itself: `proxyctl run`."""

# ruff: noqa: PLC0415 - what is heavy is imported when it is needed: see proxyctl.cli

import signal

import click

from proxyctl.cli.context import Options, Verb


@click.command(cls=Verb)
@click.option("--once", is_flag=True, help="Make HAProxy what it should be, and end.")
@click.option("--dry-run", is_flag=True, help="Only log what would be done, and end.")
@click.pass_obj
def run(options: Options, *, once: bool, dry_run: bool) -> int:
    """Follow Podman and keep HAProxy what the labels ask for.

    SIGHUP reads the settings again; SIGTERM ends it, and HAProxy goes on serving. It logs on
    stderr.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there are settings that it could reread

    from proxyctl import daemon
    from proxyctl.settings import load

    settings, folders = options.load()
    return daemon.run(
        settings, folders, once=once, dry_run=dry_run, reread=lambda: load(options.config)
    )
