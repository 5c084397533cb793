"""The verb cert: what there is, and the administrator's folder of certificates."""

# ruff: noqa: PLC0415 - what is heavy is imported when it is needed: see proxyctl.cli

from collections.abc import Iterable
from pathlib import Path
from time import gmtime, strftime, time
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from proxyctl.cli.context import Options, VerbGroup, ask, remark, service_socket
from proxyctl.cli.layout_certificates import certificates_text
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
    if document["items"] or document.get("wanted"):
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

    made = imports.take(files, _folder(options), _checked(name), now=time())
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
    """Return the names of the folder's certificates."""
    del param
    items = _known(ctx).get("items", ())
    return _completed((row["name"] for row in items if row["kind"] == "folder"), incomplete)


def complete_wanted(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the names of the certificates from the CA."""
    del param
    return _completed((one["name"] for one in _known(ctx).get("wanted", ())), incomplete)


def _known(ctx: click.Context) -> dict[str, Any]:
    """Return what there is: only of a service that answers at once."""
    try:
        return client.get(service_socket(ctx.ensure_object(Options)), _PATH, timeout=1)
    except ProxyctlError:
        return {}


def _completed(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in sorted(names) if name.startswith(incomplete)]


@cert.command()
@click.argument("names", metavar="[NAME]…", nargs=-1, shell_complete=complete_wanted)
@click.pass_obj
def renew(options: Options, names: tuple[str, ...]) -> int:
    """Renew certificates from the CA now, whether they are due or not.

    Without NAME: only those that are due, or are waiting after a failure. A CA limits how many it
    issues for the same hosts (Let's Encrypt: 5 in a week).

    Exit codes: as `proxyctl acme run`, which it is.
    """
    from proxyctl.cli.acme import certificate_name, run_engine

    return run_engine(options, now=True, renew=[certificate_name(name) for name in names])


@cert.command()
@click.argument("name", shell_complete=complete_names)
@click.option("--revoke", is_flag=True, help="One from the CA: tell the CA to take it back.")
@click.pass_obj
def rm(options: Options, name: str, *, revoke: bool) -> None:
    """Remove a certificate from the folder; its hosts get the next best one, at run time.

    With --revoke it is one from the CA, as by `proxyctl acme revoke`: its file goes, unless it is
    still wanted, and then the next run replaces it.
    """
    from proxyctl.files import imports

    if revoke:
        from proxyctl.cli.acme import take_back

        take_back(options, name, "unspecified")
        return

    files = imports.remove(_checked(name), _folder(options))
    for path in files:
        remark(options, f"removed {path}")


def _folder(options: Options) -> Path:
    _, folders = options.load()
    return folders.certs
