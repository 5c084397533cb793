"""Podman's JSON as values: what one container, pod or image is. Pure: asks nobody.

Three shapes tell of a container: an entry of the libpod list with its twin in the compat list, and
an inspect. Versions differ in them (4.3.1 to 5.8 are read); the differences end here. JSON that
says something impossible raises `OddAnswer`, which costs the one object that it is about.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

from proxyctl.podman.shapes import (
    Json,
    OddAnswer,
    address_of,
    list_of,
    nanoseconds_of,
    object_of,
    port_of,
    seconds_of,
    text_of,
)
from proxyctl.routes.workload import Health, Labels, Network, NetworkMode, PublishedPort

_NO_NETWORK = {
    "host": NetworkMode.HOST,
    "none": NetworkMode.NONE,
    "pasta": NetworkMode.PRIVATE,
    "slirp4netns": NetworkMode.PRIVATE,
}
"""Podman 5 lists these as if they were networks, 4.3 says null. No network can be so called."""

ATTACHED = ("running", "stopping")
"""States in which a container holds its addresses (4.3.1 keeps telling networks in others)."""

_HEALTH: Mapping[str, Health] = {str(health): health for health in Health}


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerFacts:
    """One container, infra containers included."""

    id: str
    name: str
    pod: str = ""
    """The id of its pod; "" for a lone container."""
    pod_name: str = ""
    """Only lists tell it."""
    infra: bool = False
    service: bool = False
    """Made by `kube play` or Quadlet to stand for a whole file; serves nothing."""
    state: str = ""
    """Podman's word: created, running, stopping, paused, exited, …"""
    started: int = 0
    """Seconds since the epoch of the last start: another one may have brought another address."""
    health: Health = Health.NONE
    labels: Labels = ()
    """Including those of its image: Podman does not tell them apart."""
    image: str = ""
    image_id: str = ""
    networks: tuple[Network, ...] | None = None
    """None: not told (the libpod list alone does not know addresses)."""
    mode: NetworkMode | None = None
    """None: not told (lists know it only for bridge networks)."""
    published: tuple[PublishedPort, ...] = ()
    exposed: tuple[int, ...] | None = ()
    """TCP ports, sorted. None: not told (lists know them since Podman 5.1)."""
    created: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PodFacts:
    """What never changes about a pod."""

    id: str
    name: str
    labels: Labels = ()
    created: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """What an image brings into its containers."""

    id: str
    labels: Labels = ()
    exposed: tuple[int, ...] = ()


def container_from_lists(libpod: Json, compat: Json | None = None) -> ContainerFacts:
    """Return a container from its entry in libpod's list and, for the addresses, the compat one.

    Raises OddAnswer.
    """
    names = [name for name in list_of(libpod, "Names") if isinstance(name, str)]
    pod = text_of(libpod, "Pod")
    listed = [name for name in list_of(libpod, "Networks") if isinstance(name, str)]
    return ContainerFacts(
        id=_id(libpod),
        name=names[0] if names else _id(libpod)[:12],
        pod=pod,
        pod_name=text_of(libpod, "PodName"),
        infra=libpod.get("IsInfra") is True,
        service=not pod and any(re.fullmatch(r"[0-9a-f]{12}-service", n) for n in names),
        state=text_of(libpod, "State").lower(),
        started=seconds_of(libpod.get("StartedAt")),
        health=_health(text_of(libpod, "Status")),
        labels=_labels(libpod.get("Labels")),
        image=text_of(libpod, "Image"),
        image_id=text_of(libpod, "ImageID").removeprefix("sha256:"),
        networks=None if compat is None else _networks(object_of(compat, "NetworkSettings")),
        mode=_listed_mode(listed),
        published=_listed_ports(libpod),
        exposed=_listed_exposed(libpod),
        created=nanoseconds_of(libpod.get("Created")),
    )


def container_from_inspect(raw: Json) -> ContainerFacts:
    """Return a container from libpod's `containers/ID/json`. Raises OddAnswer."""
    state, config = object_of(raw, "State"), object_of(raw, "Config")
    settings, host = object_of(raw, "NetworkSettings"), object_of(raw, "HostConfig")
    networks = _networks(settings)
    # 4.3 forgets the ports of a stopped container, but not what it was created with.
    ports = object_of(settings, "Ports"), object_of(host, "PortBindings")
    published = _bindings(ports[0]) | _bindings(ports[1])
    unbound = {port for one in ports for port in _unbound(one)}
    unbound -= {port.container_port for port in published}
    return ContainerFacts(
        id=_id(raw),
        name=text_of(raw, "Name").lstrip("/"),
        pod=text_of(raw, "Pod"),
        infra=raw.get("IsInfra") is True,
        service=raw.get("IsService") is True,
        state=text_of(state, "Status").lower(),
        started=seconds_of(state.get("StartedAt")),
        health=_health(text_of(object_of(state, "Health", "Healthcheck"), "Status")),
        labels=_labels(config.get("Labels")),
        image=text_of(raw, "ImageName"),
        image_id=text_of(raw, "Image").removeprefix("sha256:"),
        networks=networks,
        mode=_mode(text_of(host, "NetworkMode"), networks),
        published=tuple(sorted(published)),
        exposed=tuple(sorted({*_exposed(config), *unbound, *_asked_to_expose(raw)})),
        created=nanoseconds_of(raw.get("Created")),
    )


def pod_from_inspect(raw: Json) -> PodFacts:
    """Return a pod from libpod's `pods/ID/json`. Raises OddAnswer."""
    return PodFacts(
        id=_id(raw),
        name=text_of(raw, "Name"),
        labels=_labels(raw.get("Labels")),
        created=nanoseconds_of(raw.get("Created")),
    )


def image_from_inspect(raw: Json) -> ImageFacts:
    """Return an image from libpod's `images/ID/json`. Raises OddAnswer."""
    config = object_of(raw, "Config")
    labels = dict(_labels(config.get("Labels"))) | dict(_labels(raw.get("Labels")))
    return ImageFacts(
        id=_id(raw).removeprefix("sha256:"),
        labels=tuple(sorted(labels.items())),
        exposed=_exposed(config),
    )


def updated(old: ContainerFacts | None, new: ContainerFacts) -> ContainerFacts:
    """Return `new`, with what its source did not tell and what cannot have changed from `old`.

    It is `old` itself if nothing changed, which nobody has to look into again. --expose of a pod's
    member is in lists since 5.1 but in inspects since 5.3: both are added up.
    """
    if old is None or old.id != new.id:
        return new
    same_run = old.started == new.started and new.state in ATTACHED
    whole = replace(
        new,
        pod_name=new.pod_name or old.pod_name,
        service=new.service or old.service,
        mode=new.mode or old.mode,
        networks=old.networks if new.networks is None and same_run else new.networks,
        exposed=_together(old.exposed, new.exposed),
    )
    return old if whole == old else whole


def _together(
    one: tuple[int, ...] | None, other: tuple[int, ...] | None
) -> tuple[int, ...] | None:
    if one is None or other is None:
        return one if other is None else other
    return tuple(sorted({*one, *other}))


def _id(raw: Json) -> str:
    identity = raw.get("Id")
    if not isinstance(identity, str) or not identity:
        raise OddAnswer(f"Id is {identity!r:.60}, not a text")
    return identity


def _labels(value: object) -> Labels:
    if value is None:
        return ()
    if not isinstance(value, Mapping):
        raise OddAnswer(f"Labels is {value!r:.60}, not an object")
    if not all(isinstance(text, str) for pair in value.items() for text in pair):
        raise OddAnswer("Labels holds something that is not a text")
    return tuple(sorted(value.items()))


def _health(word: str) -> Health:
    return _HEALTH.get(word, Health.NONE)


def _networks(settings: Json) -> tuple[Network, ...]:
    found = []
    for name, entry in object_of(settings, "Networks").items():
        if name in _NO_NETWORK or entry is None:
            continue
        if not isinstance(entry, Mapping):
            raise OddAnswer(f"network {name!r:.60} is not an object")
        ipv6 = address_of(entry.get("GlobalIPv6Address"))
        found.append(Network(name=name, ipv4=address_of(entry.get("IPAddress")), ipv6=ipv6))
    return tuple(sorted(found))


def _listed_mode(networks: list[str]) -> NetworkMode | None:
    if not networks:
        return None
    return _NO_NETWORK.get(networks[0], NetworkMode.BRIDGE)


def _mode(word: str, networks: tuple[Network, ...]) -> NetworkMode:
    """Return the mode from HostConfig.NetworkMode: `ns:` and `container:` are known by effect."""
    if word.split(":", 1)[0] in _NO_NETWORK:
        return _NO_NETWORK[word.split(":", 1)[0]]
    return NetworkMode.BRIDGE if word == "bridge" or networks else NetworkMode.PRIVATE


def _listed_ports(libpod: Json) -> tuple[PublishedPort, ...]:
    return tuple(sorted({port for entry in list_of(libpod, "Ports") for port in _span(entry)}))


def _span(entry: object) -> Iterator[PublishedPort]:
    """Yield the ports of one entry: libpod's list keeps `-p 9000-9002:80-82` as a range of 3."""
    if not isinstance(entry, Mapping):
        raise OddAnswer(f"a published port is {entry!r:.60}, not an object")
    if "tcp" not in (text_of(entry, "protocol") or "tcp").split(","):
        return
    host_ip = address_of(entry.get("host_ip"))
    inside, outside = port_of(entry.get("container_port")), port_of(entry.get("host_port"))
    count = entry.get("range") or 1
    for step in range(port_of(count)):
        at, on = port_of(inside + step), port_of(outside + step)
        yield PublishedPort(container_port=at, host_ip=host_ip, host_port=on)


def _bindings(ports: Json) -> set[PublishedPort]:
    """Return the TCP ports of `{"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}`.

    Podman 5 also lists ports there that are only exposed, with null or without HostPort.
    """
    found = set()
    for name, bindings in ports.items():
        inside, _, protocol = name.partition("/")
        for binding in bindings or () if protocol in ("tcp", "") else ():
            if not isinstance(binding, Mapping):
                raise OddAnswer(f"the binding of port {name!r:.60} is not an object")
            if binding.get("HostPort") in (None, "", "0"):
                continue
            found.add(
                PublishedPort(
                    container_port=port_of(inside),
                    host_ip=address_of(binding.get("HostIp")),
                    host_port=port_of(binding["HostPort"]),
                )
            )
    return found


def _unbound(ports: Json) -> set[int]:
    """Return the TCP ports of `{"80/tcp": null}`: exposed by --expose or by the image, no more."""
    return {port for name, bindings in ports.items() if not bindings for port in _span_of(name)}


def _exposed(config: Json) -> tuple[int, ...]:
    """Return the TCP ports of `{"3000/tcp": {}}`, and of the range `{"3000-3002/tcp": {}}`."""
    ports = (port for name in object_of(config, "ExposedPorts") for port in _span_of(name))
    return tuple(sorted(set(ports)))


def _span_of(name: str) -> range:
    """Return the ports of `3000/tcp`, `3000` or `3000-3002/tcp`; none of another protocol."""
    ports, _, protocol = name.partition("/")
    if protocol not in ("tcp", ""):
        return range(0)
    first, _, last = ports.partition("-")
    return range(port_of(first), port_of(last or first) + 1)


def _asked_to_expose(raw: Json) -> set[int]:
    """Return the TCP ports of `--expose` in the command that made a container.

    For a pod's member Podman < 5.3 tells them nowhere else in an inspect. The command is believed
    only up to the image, which nothing but the container's own command may follow.
    """
    config = object_of(raw, "Config")
    words = [str(word) for word in list_of(config, "CreateCommand")]
    own = [[], [str(word) for word in list_of(config, "Cmd")]]
    ends = (at for at, word in enumerate(words) if words[at + 1 :] in own and _is_image(raw, word))
    options = words[: next(ends, 0)]
    values = [value for option, value in pairwise(options) if option == "--expose"]
    values += [word.partition("=")[2] for word in options if word.startswith("--expose=")]
    return {port for text in values for name in text.split(",") for port in _span_of(name)}


def _is_image(raw: Json, word: str) -> bool:
    """Tell whether a word names a container's image: without registry or tag, or by its id."""
    name = f"/{text_of(raw, 'ImageName')}"
    identity = text_of(raw, "Image").removeprefix("sha256:")
    by_id = len(word) >= 3 and identity.startswith(word.removeprefix("sha256:"))
    return by_id or name.endswith((f"/{word}", f"/{word}:latest"))


def _listed_exposed(libpod: Json) -> tuple[int, ...] | None:
    """Return the TCP ports of libpod's list, `{"3000": ["tcp"]}`; None before Podman 5.1."""
    if "ExposedPorts" not in libpod:
        return None
    ports = object_of(libpod, "ExposedPorts").items()
    return tuple(sorted(port_of(port) for port, kinds in ports if "tcp" in (kinds or ())))
