"""The CAs whose certificates clients have to show. Pure.

What there is not is not replaced by anything: an entrypoint without its CA does not listen.
"""

from collections.abc import Iterable, Mapping

from proxyctl.problems import Problem
from proxyctl.settings import Settings
from proxyctl.state.digest import digest
from proxyctl.state.model import CERTS, Authority

FOLDER = "ca"
"""Below the folder of certificates."""


def needed(settings: Settings, pems: Mapping[str, str]) -> dict[str, Authority]:
    """Return the CAs that entrypoints name, by name, out of those that there are."""
    names = {entrypoint.client_ca for entrypoint in settings.entrypoints.values()}
    return {
        # The digest makes another CA another configuration: it takes a reload.
        name: Authority(file=f"{CERTS}/ca@{name}-{digest(pems[name])}.pem", pem=pems[name])
        for name in sorted(names)
        if name in pems
    }


def missing(settings: Settings, pems: Iterable[str]) -> tuple[Problem, ...]:
    """Return what to say about entrypoints whose CA there is not."""
    known = set(pems)
    return tuple(
        Problem(
            id="PX426",
            subject=f'entrypoint "{name}"',
            summary=f"lets in clients of a CA that there is not: {entrypoint.client_ca}",
            where=f"client-ca of entrypoints.{name} in config.toml",
            effect="it does not listen (so that nobody comes in unasked)",
            fix=f"put the CA's certificate into {CERTS}/{FOLDER}/{entrypoint.client_ca}.pem"
            " in proxyctl's folder of settings",
        )
        for name, entrypoint in sorted(settings.entrypoints.items())
        if entrypoint.client_ca and entrypoint.client_ca not in known
    )
