"""The command line: the only code that prints and exits. One file for each group of verbs.

A verb is imported when it is called, and what it needs when it needs it: `proxyctl ls` asks the
service and starts in less than a tenth of a second.
"""

import errno
import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import click

from proxyctl import __version__
from proxyctl.cli.context import Options, global_options
from proxyctl.problems import NotPermitted, ProxyctlError, printable

VERBS = {
    "Service": {"run": "service"},
    "Look": {"status": "look", "ls": "look", "explain": "look", "events": "look"},
    "Configuration": {
        "check": "checking",
        "render": "configuration",
        "diff": "configuration",
        "apply": "configuration",
    },
    "Operate": {"drain": "operate", "maint": "operate", "ready": "operate"},
    "Certificates": {"cert": "cert", "acme": "acme"},
    "Reference": {"labels": "reference", "version": "reference", "completion": "reference"},
}
"""Heading of the help -> verb -> the module that has it."""

_INTERRUPTED = 130
_BROKEN_PIPE = 141
_UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF}


class Verbs(click.Group):
    """A group whose verbs are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs in the order of the help."""
        del ctx
        return [name for verbs in VERBS.values() for name in verbs]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a verb."""
        del ctx
        module = next((verbs[cmd_name] for verbs in VERBS.values() if cmd_name in verbs), None)
        if module is None:
            return None
        verb = getattr(import_module(f"proxyctl.cli.{module}"), cmd_name)
        assert isinstance(verb, click.Command)
        return verb

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb, or suggest one."""
        verbs = self.list_commands(ctx)
        if not ctx.resilient_parsing and args[0] not in verbs:
            close = get_close_matches(args[0], verbs, n=1)
            ctx.fail(
                f"there is no verb {args[0]}" + (f", did you mean {close[0]}?" if close else "")
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the verbs under their headings."""
        for heading, verbs in VERBS.items():
            rows = []
            for name in verbs:
                verb = self.get_command(ctx, name)
                rows.append((name, verb.get_short_help_str(80) if verb else ""))
            with formatter.section(heading):
                formatter.write_dl(rows)


def _print_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:  # noqa: FBT001
    if value:
        click.echo(f"proxyctl {__version__}")
        ctx.exit()


@click.group(
    cls=Verbs,
    params=[
        *global_options(hidden=False),
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_print_version,
            help="Print the version.",
        ),
    ],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 99},
    epilog="Exit codes: 0 fine, 1 the answer is no, 2 usage, 3 the service does not run, "
    "69 Podman or HAProxy does not answer, 75 another proxyctl is at work, 77 not permitted, "
    "78 config.toml is wrong.",
)
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Publish Podman pods through this host's HAProxy, by label."""
    ctx.ensure_object(Options)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a verb and exit: with what it returns, or with what its error says."""
    if sys.stdout is None:  # closed by whoever started us: the exit code is all that is wanted
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    try:
        code = cli.main(arguments, prog_name="proxyctl", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        code = error.exit_code
    except click.ClickException as error:
        _complain(error.format_message(), _usage_hint(error))
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        code = _INTERRUPTED
    except BrokenPipeError:
        _say_no_more()
        code = _BROKEN_PIPE
    except PermissionError as error:
        _complain(f"{error.filename}: not for user {os.geteuid()}")
        code = NotPermitted.exit_code
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        _say_no_more()
        _complain(f"cannot write the answer: {error.strerror}")
        code = 1
    except ProxyctlError as error:
        _complain(str(error))
        code = error.exit_code
    sys.exit(code or 0)


def _say_no_more() -> None:
    """Let Python, which flushes once more at exit, write to nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(message: str, hint: str = "") -> None:
    text = "\n".join(map(printable, message.splitlines()))
    click.echo(f"error: {text}" + (f"\n{hint}" if hint else ""), err=True)


def _usage_hint(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    if not isinstance(context, click.Context):
        return ""
    return f"   see: {context.command_path} --help"
