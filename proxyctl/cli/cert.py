"""The verb cert: what there is, and the administrator's folder of certificates."""

# ruff: noqa: PLC0415 - what is heavy is imported when it is needed: see proxyctl.cli

from pathlib import Path
from time import gmtime, strftime
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from proxyctl.cli.context import Options, VerbGroup, ask, remark, service_socket
from proxyctl.cli.layout import certificates_text
from proxyctl.cli.output import Screen
from proxyctl.problems import ProxyctlError
from proxyctl.status import client

if TYPE_CHECKING:
    from proxyctl.status.view import View

_PATH = "/v1/certificates"


@click.group(cls=VerbGroup)
def cert() -> None:
    """Certificates: list them, bring one in, take one out."""


@cert.command()
@click.pass_obj
def ls(options: Options) -> None:
    """List the certificates, which hosts each is served for, and when it expires."""

    def of_view(view: "View") -> dict[str, Any]:
        from proxyctl.status.certificates import certificates

        return certificates(view)

    document = ask(options, _PATH, of_view)
    screen = Screen(options.color)
    if options.json:
        screen.json(document)
        return
    if document["items"]:
        screen.write(certificates_text(screen, document))
    if not document["tls"]:
        remark(options, "no entrypoint of config.toml has tls = true: none of them is served")
    elif not document["items"]:
        remark(options, "there is no certificate: proxyctl cert import FILE…")


@cert.command("import")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False, exists=True)
)
@click.option("--name", default="", help="Its name, for the label tls; default: its first host.")
@click.pass_obj
def import_(options: Options, files: tuple[Path, ...], name: str) -> None:
    """Check a certificate with its key and chain, and copy it to where the service finds it.

    FILES are PEM, in any order: a bundle, or certificate, key and chain. One of the same name is
    replaced. The service takes it over by itself, without a reload.
    """
    from proxyctl.files import imports

    made = imports.take(files, _folder(options), _checked(name))
    if options.json:
        document = {
            "schema": "proxyctl/1",
            "kind": "CertificatesImported",
            "items": [
                {"file": str(path), "names": list(pair.names), "not_after": pair.not_after}
                for path, pair in made
            ],
        }
        Screen(options.color).json(document)
        return
    for path, pair in made:
        until = strftime("%Y-%m-%d", gmtime(pair.not_after))
        click.echo(f"{path}: {', '.join(pair.names)}, until {until}")


def _checked(name: str) -> str:
    from proxyctl.files.certificates import is_name

    if name and not is_name(name):
        raise click.BadParameter("expected letters, digits, '.', '-' and '_'", param_hint="--name")
    return name


def complete_names(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the names of the folder's certificates: only of a service that answers at once."""
    del param
    try:
        document = client.get(service_socket(ctx.ensure_object(Options)), _PATH, timeout=1)
    except ProxyctlError:
        return []
    names = sorted(row["name"] for row in document["items"] if row["kind"] == "folder")
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


@cert.command()
@click.argument("name", shell_complete=complete_names)
@click.pass_obj
def rm(options: Options, name: str) -> None:
    """Remove a certificate from the folder; its hosts get the next best one, at run time."""
    from proxyctl.files import imports

    files = imports.remove(_checked(name), _folder(options))
    for path in files:
        remark(options, f"removed {path}")


def _folder(options: Options) -> Path:
    _, folders = options.load()
    return folders.certs
