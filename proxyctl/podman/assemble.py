"""From containers, pods and images to workloads. Pure.

A pod is one workload, its containers are the members; a container without a pod is a workload of
its own. Labels of images are kept apart from the user's: an image must not publish itself.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from proxyctl.podman.facts import ATTACHED, ContainerFacts, ImageFacts, PodFacts
from proxyctl.routes.workload import Kind, Labels, Member, Network, NetworkMode, Phase, Workload

PREFIXES = ("proxyctl.",)
"""Labels that begin so make a workload worth asking Podman about in detail."""

_PORT = "proxyctl.port"


def assemble(
    containers: Iterable[ContainerFacts],
    pods: Mapping[str, PodFacts],
    images: Mapping[str, ImageFacts],
    *,
    source: str,
    rootless: bool,
) -> tuple[Workload, ...]:
    """Return the workloads, sorted by kind, name and id.

    Containers of a pod that is not in `pods` are left out: its labels are not known.
    """
    groups = by_workload(containers)
    found = [
        _pod(pods[key], members, images, source=source, rootless=rootless)
        if key in pods
        else _container(members[0], images, source=source, rootless=rootless)
        for key, members in groups.items()
        if key in pods or (not members[0].pod and not _is_scaffold(members[0]))
    ]
    return in_order(found)


def in_order(workloads: Iterable[Workload]) -> tuple[Workload, ...]:
    """Return the workloads in the one order in which they are emitted."""
    return tuple(sorted(workloads, key=lambda one: (one.kind, one.name, one.id)))


def by_workload(containers: Iterable[ContainerFacts]) -> dict[str, list[ContainerFacts]]:
    """Return the containers by the id of their workload: the pod's, or their own."""
    groups: dict[str, list[ContainerFacts]] = defaultdict(list)
    for container in containers:
        groups[container.pod or container.id].append(container)
    return groups


def is_marked(labels: Labels) -> bool:
    """Tell whether one of the labels is meant for us."""
    return any(key.startswith(PREFIXES) for key, _ in labels)


def says_its_port(labels: Labels, members: Iterable[ContainerFacts]) -> bool:
    """Tell whether the labels of a workload answer what its members expose.

    They do not where a member has labels of its own besides, and so perhaps routes of its own.
    """
    named = any(key == _PORT for key, _ in labels)
    others = ({pair for pair in one.labels if pair not in labels} for one in members)
    return named and not any(is_marked(tuple(own)) for own in others)


def network_owner(group: Iterable[ContainerFacts]) -> ContainerFacts:
    """Return the container whose addresses are the workload's.

    In a pod all share the infra container's network. Without one (`--infra=false`) each has its
    own: the first by name among those that run, else the first by name.
    """
    return min(group, key=lambda one: (not one.infra, one.state not in ATTACHED, one.name))


def _is_scaffold(container: ContainerFacts) -> bool:
    return container.service and not is_marked(container.labels)


def _pod(
    pod: PodFacts,
    group: list[ContainerFacts],
    images: Mapping[str, ImageFacts],
    *,
    source: str,
    rootless: bool,
) -> Workload:
    owner = network_owner(group)
    members = sorted((one for one in group if not one.infra), key=lambda one: (one.name, one.id))
    return Workload(
        kind=Kind.POD,
        id=pod.id,
        name=pod.name,
        source=source,
        labels=pod.labels,
        members=tuple(_member(one, images.get(one.image_id)) for one in members),
        phase=_pod_phase(owner, members),
        network_mode=_mode(owner),
        networks=_networks(owner),
        published=owner.published,
        rootless=rootless,
        created=pod.created,
        started=owner.started,
    )


def _container(
    container: ContainerFacts,
    images: Mapping[str, ImageFacts],
    *,
    source: str,
    rootless: bool,
) -> Workload:
    member = _member(container, images.get(container.image_id))
    return Workload(
        kind=Kind.CONTAINER,
        id=container.id,
        name=container.name,
        source=source,
        labels=member.labels,
        members=(_member(container, images.get(container.image_id), alone=True),),
        phase=_phase(container),
        network_mode=_mode(container),
        networks=_networks(container),
        published=container.published,
        rootless=rootless,
        created=container.created,
        started=container.started,
    )


def _member(container: ContainerFacts, image: ImageFacts | None, *, alone: bool = False) -> Member:
    brought = set(_brought(container, image))
    return Member(
        id=container.id,
        name=container.name,
        labels=() if alone else tuple(pair for pair in container.labels if pair not in brought),
        image_labels=tuple(sorted(brought)),
        image=container.image,
        exposed=tuple(sorted({*(container.exposed or ()), *(image.exposed if image else ())})),
        health=container.health,
        started=container.started,
    )


def _brought(container: ContainerFacts, image: ImageFacts | None) -> Labels:
    """Return the labels that came from the image: equal in both.

    If the image of a marked container is not known, all count as the image's: rather a route too
    few than one that the image made for itself. A container of --rootfs has no image.
    """
    if image is not None:
        return tuple(pair for pair in container.labels if pair in image.labels)
    return container.labels if container.image_id and is_marked(container.labels) else ()


def _phase(container: ContainerFacts) -> Phase:
    match container.state:
        case "running":
            return Phase.RUNNING
        case "stopping":
            return Phase.STOPPING
        case _:
            return Phase.STOPPED


def _pod_phase(owner: ContainerFacts, members: list[ContainerFacts]) -> Phase:
    """Return the phase of a pod from its containers: asking the pod would block while it stops.

    `pod stop` signals all containers at once up to 5.4, so infra is gone while members are still
    stopping; 5.8 stops infra last, so it runs while all members that live are stopping. One member
    that stops beside others that run is that member's matter.
    """
    alive = {one.state for one in members if one.state in ATTACHED}
    if alive == {"stopping"}:
        return Phase.STOPPING
    return _phase(owner)


def _mode(owner: ContainerFacts) -> NetworkMode:
    """Return the mode; without labels of ours it was not worth asking, and may be a guess."""
    return owner.mode or (NetworkMode.BRIDGE if owner.networks else NetworkMode.PRIVATE)


def _networks(owner: ContainerFacts) -> tuple[Network, ...]:
    return (owner.networks or ()) if owner.state in ATTACHED else ()
