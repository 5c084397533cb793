"""What HAProxy is to be for some workloads: the pure pipeline in one call."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from proxyctl.files.memory import Memory
from proxyctl.problems import Problem
from proxyctl.recent import Recent
from proxyctl.routes.claims import Match, Translation, translate
from proxyctl.routes.conflicts import Resolution, Share, resolve
from proxyctl.routes.workload import Workload
from proxyctl.settings import Settings
from proxyctl.state import http3
from proxyctl.state.authorities import missing
from proxyctl.state.certificates import Choice, Stock, asks, choose, tls_entrypoints
from proxyctl.state.desired import desired
from proxyctl.state.model import Desired, Global
from proxyctl.state.render import Rendered, render


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What was decided about some workloads, before HAProxy is asked."""

    workloads: tuple[Workload, ...] = ()
    translation: Translation
    resolution: Resolution
    desired: Desired
    rendered: Rendered
    problems: tuple[Problem, ...] = ()
    """All that are wrong: with the workloads, and what `of_the_host` has."""
    of_the_host: tuple[Problem, ...] = ()
    """What is wrong with certificates and entrypoints, whoever is served."""


class Keyring(Protocol):
    """The certificates that there are."""

    stock: Stock
    """As they were read last."""

    def read(self) -> Stock:
        """Return everything that there is now."""
        ...

    def provide(self, hosts: Iterable[str]) -> Stock:
        """Make a certificate for each host, the default one for "", and return all there are."""
        ...

    def accepted(self, names: Iterable[str]) -> None:
        """Remember that HAProxy can load these."""
        ...

    def refused(self, name: str, why: str) -> Stock | None:
        """Go back to an older one that HAProxy can load; None if there is nothing to go back."""
        ...


def decide(  # noqa: PLR0913 - the parts of the house
    workloads: Iterable[Workload],
    settings: Settings,
    identity: Global,
    memory: Memory,
    templates: Mapping[str, str],
    *,
    keyring: Keyring,
    recent: Recent | None = None,
) -> Decision:
    """Return what HAProxy should be for *workloads*. Raises ConfigRejected for bad templates."""
    recent = recent or Recent()
    workloads = tuple(workloads)
    served: Mapping[Match, str] = dict(memory.served)
    good = {workload.uid: workload for workload in memory.good}
    translation = translate(workloads, settings, good, recent)
    resolution = resolve(translation.claims, served)
    choice = _chosen(resolution.shares, settings, keyring)
    overrides = dict(memory.overrides)
    wanted = desired(resolution.shares, settings, identity, overrides, choice, recent=recent)
    resolution = replace(resolution, problems=(*resolution.problems, *choice.mistaken))
    of_the_host = (*choice.problems, *http3.unable(settings, identity))
    return Decision(
        workloads=workloads,
        translation=translation,
        resolution=resolution,
        desired=wanted,
        rendered=render(wanted, templates, keyring.stock.pems, recent),
        problems=(*translation.problems, *resolution.problems, *of_the_host),
        of_the_host=of_the_host,
    )


def draw(  # noqa: PLR0913 - the parts of the house
    shares: Iterable[Share],
    settings: Settings,
    identity: Global,
    memory: Memory,
    templates: Mapping[str, str],
    *,
    stock: Stock,
) -> tuple[Desired, Rendered]:
    """Return what HAProxy should be for *shares* with the certificates that there are."""
    shares = tuple(shares)
    tls = settings.haproxy.frontends and tls_entrypoints(settings)
    none = Choice(challenges=stock.challenges)
    choice = choose(asks(shares, settings), stock) if tls else none
    wanted = desired(shares, settings, identity, dict(memory.overrides), choice)
    return wanted, render(wanted, templates, stock.pems)


def _chosen(shares: Iterable[Share], settings: Settings, keyring: Keyring) -> Choice:
    """Return the certificates to serve; what is lacking is made. None where nobody speaks TLS."""
    if not settings.haproxy.frontends or not tls_entrypoints(settings):
        return Choice(challenges=keyring.stock.challenges)
    wanted = asks(shares, settings)
    choice = choose(wanted, keyring.stock)
    if choice.lacking:
        keyring.provide(choice.lacking)
        choice = choose(wanted, keyring.stock)
    without_ca = missing(settings, dict(choice.authorities))
    return replace(choice, problems=(*keyring.stock.problems, *choice.problems, *without_ca))
