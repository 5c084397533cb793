"""What all verbs share: the global options, the settings, and who answers questions.

A verb that only reads asks the running service over its socket. Where none runs, it reads Podman
and HAProxy itself, and says so.
"""

# ruff: noqa: PLC0415 - what is heavy is imported when it is needed: see proxyctl.cli

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from proxyctl.problems import printable
from proxyctl.status import client

if TYPE_CHECKING:
    from proxyctl.folders import Folders
    from proxyctl.settings import Settings
    from proxyctl.status.view import View

SOCKET = "api.sock"
_LONGEST_TARGET = 8192
"""Characters. A URL may be long, but nothing that HAProxy takes is as long as its buffer."""
_GIVEN = frozenset({ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT})


@dataclass(slots=True)
class Options:
    """The global options, wherever on the command line they stood."""

    config: Path | None = None
    socket: Path | None = None
    json: bool = False
    quiet: bool = False
    verbose: int = 0
    color: str = "auto"

    def load(self) -> tuple["Settings", "Folders"]:
        """Return the settings and folders. Raises SettingsError."""
        from proxyctl.folders import folders
        from proxyctl.settings import load

        settings = load(self.config)
        return settings, folders(settings.haproxy.mode, self.config)


def _remember(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """Keep a global option; given after the verb it wins over the same one before it."""
    options = ctx.ensure_object(Options)
    if param.name and ctx.get_parameter_source(param.name) in _GIVEN:
        setattr(options, param.name, value)


def global_options(*, hidden: bool) -> list[click.Parameter]:
    """Return the global options; those of the verbs themselves are `hidden` in their help.

    Only the ones before the verb look at the environment, so that the flag always wins.
    """
    path = click.Path(path_type=Path, readable=False)

    def option(*names: str, variable: str = "", **more: Any) -> click.Option:
        return click.Option(
            names,
            expose_value=False,
            callback=_remember,
            hidden=hidden,
            envvar=None if hidden or not variable else variable,
            **more,
        )

    return [
        option("-c", "--config", variable="PROXYCTL_CONFIG", type=path, help="Other config.toml."),
        option("--socket", variable="PROXYCTL_SOCKET", type=path, help="The service's socket."),
        option("--json", is_flag=True, help="Print one JSON document."),
        option("-q", "--quiet", is_flag=True, help="No remarks on stderr."),
        option("-v", "--verbose", count=True, help="More columns."),
        option(
            "--color",
            type=click.Choice(["auto", "always", "never"]),
            help="Colours; NO_COLOR is heeded.",
        ),
    ]


class _Target(click.ParamType[str]):
    """The name of something; an empty one is a variable of a script that was not set."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text without the white space around it."""
        text = str(value).strip()
        if not text:
            self.fail("it is empty: expected a name", param, ctx)
        if len(text) > _LONGEST_TARGET:
            self.fail(f"expected at most {_LONGEST_TARGET} characters", param, ctx)
        return text


TARGET = _Target()
"""Type of arguments that name a workload, or what else is to be looked for."""


class Verb(click.Command):
    """A verb: takes the global options too."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.params = [*self.params, *global_options(hidden=True)]
        self.context_settings = {"help_option_names": ["-h", "--help"], "max_content_width": 99}


class VerbGroup(click.Group):
    """A verb with verbs below it; each of them takes the global options."""

    command_class = Verb

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.params = [*self.params, *global_options(hidden=True)]
        self.context_settings = {"help_option_names": ["-h", "--help"], "max_content_width": 99}


def remark(options: Options, text: str) -> None:
    """Say something on stderr that is not the answer."""
    if not options.quiet:
        click.echo(printable(text), err=True)


def service_socket(options: Options) -> Path:
    """Return where the service listens, if it runs: the settings are read only if in doubt."""
    if options.socket:
        return options.socket
    candidates = _likely_sockets()
    there = [path for path in candidates if path.exists()]
    if options.config is None and (len(candidates) == 1 or len(there) == 1):
        return there[0] if there else candidates[0]
    _, folders = options.load()
    return folders.run / SOCKET


def _likely_sockets() -> tuple[Path, ...]:
    """Return where services of this user listen: as `folders.folders`, whatever their mode."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    own = (Path(runtime) / "proxyctl" / SOCKET,) if runtime else ()
    if os.geteuid() == 0:
        return (Path("/run/proxyctl") / SOCKET, *own)
    return own or (Path(f"/run/user/{os.geteuid()}/proxyctl") / SOCKET,)


def ask(
    options: Options, path: str, of_view: Callable[["View"], dict[str, Any]]
) -> dict[str, Any]:
    """Return the service's document at *path*, or make it from a look of our own."""
    try:
        return client.get(service_socket(options), path)
    except client.ServiceNotRunning as missing:
        if options.socket:
            raise
        remark(options, f"{missing}: reading Podman and HAProxy directly")
    return of_view(look(options))


def look(options: Options) -> "View":
    """Read Podman, the files and HAProxy, and change nothing."""
    from proxyctl import daemon

    settings, folders = options.load()
    return daemon.look(settings, folders)
