"""Where a workload answers, seen from the host."""

from dataclasses import dataclass

from proxyctl.problems import Problem
from proxyctl.routes import mistakes
from proxyctl.routes.route import Route
from proxyctl.routes.workload import Network, NetworkMode, Phase, PublishedPort, Workload

_EVERY_IPV4 = frozenset({"", "0.0.0.0"})  # noqa: S104 - read from Podman, not bound


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Endpoint:
    """An IP address and a port. `name` tells several of one workload apart."""

    address: str
    port: int
    name: str = ""


Found = tuple[tuple[Endpoint, ...], tuple[Problem, ...]]


def locate(workload: Workload, route: Route, port: int) -> Found:
    """Return where a route's requests go: nowhere while the workload does not run."""
    if workload.servers:
        return _static(workload, port), ()
    if workload.phase in {Phase.STOPPED, Phase.FLAPPING, Phase.GONE}:
        return (), ()
    if route.address == "published":
        return _published(workload, port, "address=published asks for a published port")
    mode = workload.network_mode
    if mode is NetworkMode.HOST:
        return (Endpoint(address="127.0.0.1", port=port),), ()
    if mode is NetworkMode.NONE:
        fix = "give it a network: podman pod create --network bridge …"
        return (), (mistakes.unreachable(workload, "it has no network", fix),)
    if mode is NetworkMode.PRIVATE or workload.rootless:
        return _published(workload, port, "a rootless workload's own address is not routable")
    return _bridge(workload, route, port)


def _static(workload: Workload, port: int) -> tuple[Endpoint, ...]:
    endpoints = []
    for number, server in enumerate(workload.servers, 1):
        address, _, own = server.rpartition(":")
        # Numbered also where there is one: a pod of the same name may be in the same group.
        where = address.strip("[]")
        endpoints.append(Endpoint(address=where, port=int(own) or port, name=str(number)))
    return tuple(endpoints)


def _published(workload: Workload, port: int, why: str) -> Found:
    found = [p for p in workload.published if p.container_port == port]
    if not found:
        fix = f"publish the port on loopback: podman … -p 127.0.0.1::{port}"
        return (), (mistakes.unreachable(workload, why, fix),)
    return (_endpoint(min(found)),), ()


def _endpoint(port: PublishedPort) -> Endpoint:
    address = port.host_ip.strip("[]")
    if address in _EVERY_IPV4:
        address = "127.0.0.1"
    return Endpoint(address="::1" if address == "::" else address, port=port.host_port)


def _bridge(workload: Workload, route: Route, port: int) -> Found:
    network = _network(workload.networks, route.network)
    if network:
        return (Endpoint(address=network.ipv4 or network.ipv6, port=port),), ()
    if route.network and workload.networks:
        names = ", ".join(n.name for n in workload.networks)
        fix = f"proxyctl.network is one of: {names}"
        why = f"it is not attached to the network {route.network}"
        return (), (mistakes.unreachable(workload, why, fix),)
    return (), ()  # between `start` and its address: the next event tells


def _network(networks: tuple[Network, ...], wanted: str | None) -> Network | None:
    usable = {n.name: n for n in networks if n.ipv4 or n.ipv6}
    if wanted:
        return usable.get(wanted)
    return usable.get("podman") or (usable[min(usable)] if usable else None)
