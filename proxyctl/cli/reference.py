"""The verbs that explain proxyctl itself: labels, version, completion."""

# ruff: noqa: PLC0415 - what is heavy is imported when it is needed: see proxyctl.cli

import platform
import subprocess
from collections.abc import Iterable
from enum import Enum
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem, get_completion_class

from proxyctl import __version__
from proxyctl.cli.context import TARGET, Options, Verb
from proxyctl.cli.output import Screen
from proxyctl.problems import ProxyctlError, printable
from proxyctl.status import client

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

_UNKNOWN_LABEL = 2
_PREFIX = "proxyctl."


def complete_labels(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the keys of labels for the shell's completion."""
    del ctx, param
    from proxyctl.routes.route import label_fields

    items = label_fields().items()
    return [
        CompletionItem(key, help=info.description)
        for key, info in items
        if key.startswith(incomplete.removeprefix(_PREFIX))
    ]


@click.command(cls=Verb)
@click.argument("key", type=TARGET, required=False, shell_complete=complete_labels)
@click.option("--markdown", is_flag=True, hidden=True, help="Print docs/labels.md.")
@click.pass_obj
def labels(options: Options, key: str | None, *, markdown: bool) -> int:
    """Explain all labels, or the one called KEY."""
    from proxyctl.routes.route import label_fields

    screen = Screen(options.color)
    if markdown:
        click.echo(label_markdown(), nl=False)
        return 0
    fields = dict(label_fields())
    if key is not None:
        names = _fields_called(key.removeprefix(_PREFIX), fields)
        if not names:
            _complain(key, fields)
            return _UNKNOWN_LABEL
        fields = {name: fields[name] for name in names}
    if options.json:
        from proxyctl.status.answers import document

        screen.json(document("LabelList", items=[_item(k, f) for k, f in fields.items()]))
    else:
        screen.write("\n".join(_label_text(screen, k, f) for k, f in fields.items()))
    return 0


def _fields_called(key: str, fields: Iterable[str]) -> list[str]:
    """Return the fields that a key means: itself and what is below it, or the end of one.

    `health` is `health.interval` too, `route.api.port` is `port`, `header.request.X-Name` is
    `header.request`, and `interval` is what a message about `health.interval` may call it.
    """
    if key.startswith("route."):
        key = key.removeprefix("route.").partition(".")[2]
    names = list(fields)
    below = [name for name in names if name == key or name.startswith(f"{key}.")]
    header = [name for name in names if name.startswith("header.") and key.startswith(f"{name}.")]
    return below or header or [name for name in names if name.endswith(f".{key}")]


def _complain(key: str, fields: Iterable[str]) -> None:
    from proxyctl.routes.mistakes import closest

    name = key.removeprefix(_PREFIX)
    close = closest(name.lower(), fields)
    hint = f"did you mean {_PREFIX}{close} ?      " if close else ""
    click.echo(f"error: there is no label {_PREFIX}{printable(name)}", err=True)
    click.echo(f"   fix     {hint}all labels: proxyctl labels", err=True)


def _item(key: str, info: "FieldInfo") -> dict[str, str]:
    return {
        "label": f"{_PREFIX}{key}",
        "values": _values(info),
        "default": default_text(info),
        "description": info.description or "",
    }


def _values(info: "FieldInfo") -> str:
    extra = info.json_schema_extra
    return str(extra.get("values", "")) if isinstance(extra, dict) else ""


def default_text(info: "FieldInfo") -> str:
    """Return a default as a label would say it; "" where the description tells it."""
    default: Any = info.default
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, Enum):
        return str(default.value)
    return "" if default is None or default == () else str(default)


def _label_text(screen: Screen, key: str, info: "FieldInfo") -> str:
    default = default_text(info)
    about = _values(info) + (f"      default {default}" if default else "")
    text = fill((info.description or "").replace("`", ""), 79, initial_indent=" " * 4,
                subsequent_indent=" " * 4)  # fmt: skip
    return f"{screen.strong(_PREFIX + key)}={about}\n{text}"


_INTRODUCTION = """\
<!-- Made by `proxyctl labels --markdown` from proxyctl/routes/route.py: do not edit. -->

# Labels

One label is enough: `proxyctl.host=git.example.com`. `proxyctl labels KEY` tells the same in the
terminal, `proxyctl check FILE` finds mistakes before anything is deployed.

| form | meaning |
| --- | --- |
| `proxyctl.KEY` | the workload's default route |
| `proxyctl.route.NAME.KEY` | a named route; it inherits every unnamed key but `group` |
| `proxyctl.x-ANYTHING` | yours; ignored |
| `proxyctl.enable=false` | switches the workload off |

No value needs quotes in a shell, systemd, YAML or compose: letters, digits and
`. _ - : / , * @ = + [ ] ~`. Lists have commas. Only the values of headers are free text. A *bool*
is true, false, yes, no, on, off, 1 or 0; a *duration* has a unit: 500ms, 5s, 10m, 1h, 1d. No value
is longer than {longest} characters, none of a header longer than {header}, and all headers of a
route for requests, or for answers, are no longer than {headers} together.

An unknown key or a wrong value refuses the whole workload, so that a misspelt `allow` never opens
a door; see [problems](problems.md). Of an image's own labels only those marked *image* are heeded:
an image must not publish itself. Labels of a pod win over those of its containers.

`allow` of a route with a `path` guards that path as HAProxy reads it. A workload that takes
`/admin;x`, `/ADMIN` or `/x/..;/admin` for `/admin` as well needs the list for its whole host.

| label | values | default | |
| --- | --- | --- | --- |
"""

_LATER = """
Known to the design, but refused by this version (PX103): {later}.
"""


def label_markdown() -> str:
    """Return the text of docs/labels.md."""
    from proxyctl.routes.route import LATER, is_hint, label_fields
    from proxyctl.routes.values import MAX_HEADER, MAX_HEADERS, MAX_LENGTH

    rows = []
    for key, info in label_fields().items():
        image = " *(image)*" if is_hint(key) else ""
        default = default_text(info)
        cells = [f"`{_PREFIX}{key}`", _values(info).replace("|", "\\|")]
        cells += [f"`{default}`" if default else "", f"{info.description}{image}"]
        rows.append(f"| {' | '.join(cells)} |\n".replace("|  |", "| |"))
    later = ", ".join(f"`{_PREFIX}{key}`" for key in sorted(LATER))
    introduction = _INTRODUCTION.format(longest=MAX_LENGTH, header=MAX_HEADER, headers=MAX_HEADERS)
    return introduction + "".join(rows) + _LATER.format(later=later)


# ---- version --------------------------------------------------------------------------------


@click.command(cls=Verb)
@click.pass_obj
def version(options: Options) -> None:
    """Print the versions of proxyctl and of everything that it works with."""
    found = {
        "proxyctl": __version__,
        "haproxy": _haproxy_version(options),
        "podman": _podman_version(options),
        "python": platform.python_version(),
    }
    screen = Screen(options.color)
    if options.json:
        from proxyctl.status.answers import document

        screen.json(document("Version", **found))
    else:
        screen.write("\n".join(f"{name.ljust(8)}  {text}" for name, text in found.items()))


def _haproxy_version(options: Options) -> str:
    try:
        binary = options.load()[0].haproxy.binary
    except ProxyctlError:
        binary = "haproxy"
    try:
        result = subprocess.run(
            [binary, "-v"], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return f"not found ({binary})"
    words = result.stdout.split()
    return words[2] if len(words) > 2 else "unknown"


def _podman_version(options: Options) -> str:
    """Return the version that Podman's own service tells, if it answers at once."""
    try:
        sockets = options.load()[0].podman.sockets
        answer = client.get(Path(sockets[0].path), "/version", timeout=2)
    except ProxyctlError:
        return "does not answer"
    return str(answer.get("Version", "unknown"))


# ---- completion -----------------------------------------------------------------------------


@click.command(cls=Verb)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    bash: eval "$(proxyctl completion bash)"; fish: proxyctl completion fish | source
    """
    kind = get_completion_class(shell)
    assert kind
    root = ctx.find_root()
    script = kind(root.command, {}, "proxyctl", "_PROXYCTL_COMPLETE")
    click.echo(script.source())


if __name__ == "__main__":
    click.echo(label_markdown(), nl=False)
