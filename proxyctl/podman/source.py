"""The workloads of one Podman socket, read as cheaply as is right.

A full read takes two lists. A pod is inspected once in its life, and most never (their labels
cannot change, their infra container has them, and the inspect blocks while a pod stops), an image
once, and a container only if it changed.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TypeVar

from proxyctl.podman.assemble import (
    assemble,
    by_workload,
    in_order,
    is_marked,
    network_owner,
    says_its_port,
)
from proxyctl.podman.client import Info, PodmanApi, Unreadable
from proxyctl.podman.facts import (
    ContainerFacts,
    ImageFacts,
    PodFacts,
    container_from_inspect,
    container_from_lists,
    image_from_inspect,
    pod_from_inspect,
    updated,
)
from proxyctl.podman.lister import Lister, fetched
from proxyctl.podman.shapes import Json, OddAnswer
from proxyctl.problems import Problem, Severity, SourceUnavailable
from proxyctl.recent import Recent
from proxyctl.routes.workload import Workload

T = TypeVar("T")

_TOLERANCE = 2
"""So many containers may be unreadable in one read; with more, Podman itself does not answer."""

_KINDS: Mapping[object, str] = {pod_from_inspect: "pod", image_from_inspect: "image"}


class PodmanSource:
    """What runs on one Podman. Belongs to one thread."""

    def __init__(self, name: str, connect: Callable[[], PodmanApi], *, where: str = "") -> None:
        """Read through what `connect` returns; `name` is the source's in the settings, or ""."""
        self.name = name
        self.key = f"podman:{name}"
        """What rings of its event thread are signed with."""
        self.where = where
        """For messages: the path of the socket."""
        self.info: Info | None = None
        """Of the present connection; None while there is none."""
        self._connect = connect
        self._api: PodmanApi | None = None
        self._lister = Lister(connect)
        self._containers: dict[str, ContainerFacts] = {}
        self._pods: dict[str, PodFacts] = {}
        self._images: dict[str, ImageFacts] = {}
        self._workloads: dict[str, Workload] = {}
        self._problems: dict[str, Problem] = {}
        self._unsure: set[str] = set()
        self._recent = Recent()
        self._late = 0

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Return what could not be understood at the last read of each object."""
        return tuple(sorted(self._problems.values()))

    @property
    def unsure(self) -> frozenset[str]:
        """Return the ids of the workloads of which nobody can tell the image's labels apart.

        All count as the image's then. Who knows better from before keeps to that.
        """
        return frozenset(self._unsure)

    def prepared(self) -> bool:
        """Tell whether the next full read has the lists at hand; begin to fetch them if not."""
        return self.info is None or self._lister.done()

    def read(self, changed: frozenset[str] | None) -> tuple[Workload, ...]:
        """Return all workloads, sorted, after reading again what may have changed.

        What is as it was is the same object as before: so a change is found without a comparison.
        `changed` holds ids of containers and pods; None, or "" in it, means anything. The first
        read, and the first after a failure, are full. Raises SourceUnavailable.
        """
        self._late = 0
        try:
            if changed is None or "" in changed or self.info is None:
                self._read_all(self._connected())
            else:
                self._read_some(self._connected(), changed)
        except SourceUnavailable:
            self.close()
            raise
        return in_order(self._workloads.values())

    def close(self) -> None:
        """Close the connection. What was read of pods and images stays true."""
        if self._api is not None:
            self._api.close()
        self._api = self.info = None
        self._lister.drop()

    def _connected(self) -> PodmanApi:
        if self._api is None:
            self._api = self._connect()
        if self.info is None:
            self.info = self._api.info()
        return self._api

    def _read_all(self, api: PodmanApi) -> None:
        self._recent.turn()
        newer = frozenset(self._lister.since)
        listing = self._lister.take()
        if listing is None:
            listing, newer = fetched(api), frozenset()
        addresses = {entry.get("Id"): entry for entry in listing.compat}
        old, self._containers, self._problems = self._containers, {}, {}
        for entry in listing.entries:
            facts = self._understood(container_from_lists, entry, addresses.get(entry.get("Id")))
            if facts is not None:
                self._containers[facts.id] = updated(old.get(facts.id), facts)
        groups = by_workload(self._containers.values())
        self._pods = {key: pod for key, pod in self._pods.items() if key in groups}
        self._workloads, self._unsure = {}, set()
        self._assemble(api, groups)
        used = {container.image_id for container in self._containers.values()}
        self._images = {key: image for key, image in self._images.items() if key in used}
        if newer:  # the lists are of before that
            self._read_some(api, newer)

    def _read_some(self, api: PodmanApi, changed: frozenset[str]) -> None:
        if self._lister.busy:
            self._lister.since |= changed
        dirty: set[str] = set()
        for identity in sorted(changed):
            if identity in self._pods:
                dirty |= self._reread_pod(api, identity)
            else:
                dirty |= self._reread_container(api, identity)
        for key in dirty:
            self._workloads.pop(key, None)
            self._unsure.discard(key)
        members = (one for one in self._containers.values() if (one.pod or one.id) in dirty)
        groups = by_workload(members)
        for key in dirty - groups.keys():
            self._pods.pop(key, None)
        self._assemble(api, groups)

    def _reread_container(self, api: PodmanApi, identity: str) -> set[str]:
        """Inspect a container, and return the keys of the workloads that it is and was part of.

        An id that is no container's may be that of a pod that is not known yet. Such a pod always
        has a container that rings too, or has none and nothing to publish.
        """
        old = self._containers.pop(identity, None)
        self._problems.pop(identity, None)
        new = self._inspected(api, identity, old)
        if new is not None:
            self._containers[identity] = new
        return {one.pod or one.id for one in (old, new) if one is not None}

    def _reread_pod(self, api: PodmanApi, pod: str) -> set[str]:
        """List a pod's containers: the one way to see that it stops without waiting for the end.

        The list has no addresses, so that the owner of the network is inspected if it was started
        since it was last read.
        """
        entries = api.list_containers(pod=pod)
        old = {one.id: one for one in self._containers.values() if one.pod == pod}
        for identity in old:
            del self._containers[identity]
            self._problems.pop(identity, None)
        for entry in entries:
            facts = self._understood(container_from_lists, entry, None)
            if facts is not None:
                self._containers[facts.id] = updated(old.get(facts.id), facts)
        return {pod}

    def _assemble(self, api: PodmanApi, groups: Mapping[str, list[ContainerFacts]]) -> None:
        """Find out what is still unknown of the groups, and make their workloads."""
        rootless = self.info is not None and self.info.rootless
        for key, group in groups.items():
            pod = self._pod(api, key, group) if group[0].pod else None
            complete = group
            if is_marked(pod.labels if pod else ()) or any(is_marked(c.labels) for c in group):
                complete = self._completed(api, group, pod)
            images = tuple(self._images.get(one.image_id) for one in complete)
            arguments = (tuple(complete), pod, images, self.name, rootless)
            for workload in self._recent.of(key, arguments, _workloads):
                self._workloads[workload.id] = workload

    def _completed(
        self, api: PodmanApi, group: list[ContainerFacts], pod: PodFacts | None
    ) -> list[ContainerFacts]:
        """Return the group with its images read, and what lists do not tell of it."""
        for image in sorted({one.image_id for one in group if one.image_id and not one.infra}):
            if image not in self._images:
                self._read_image(api, image)
            if image not in self._images:
                self._unsure.add(group[0].pod or group[0].id)
        complete: list[ContainerFacts] = []
        unknown = _not_told(group, pod)
        for one in group:
            facts = self._inspected(api, one.id, one) if one.id in unknown else one
            if facts is None:
                self._containers.pop(one.id, None)
            else:
                self._containers[one.id] = facts
                complete.append(facts)
        return complete

    def _pod(self, api: PodmanApi, key: str, group: list[ContainerFacts]) -> PodFacts | None:
        """Return a pod, from memory if it can be; None if it cannot be read.

        Thousands of pods are not inspected one by one: a list tells the labels of most (`_told`).
        While a pod stops or restarts, its inspect would block until the end. Until then a pod that
        we have never read is taken for what its infra container says. It is not remembered, so
        that its next event has it read.
        """
        pod = self._pods.get(key) or self._told(api, key, group)
        if pod is not None:
            return pod
        if any(one.state == "stopping" for one in group):
            return _stand_in(group)
        try:
            raw = api.inspect_pod(key)
        except Unreadable:
            return _stand_in(group)
        pod = self._understood(pod_from_inspect, raw) if raw is not None else None
        if pod is not None:
            self._pods[key] = pod
        return pod

    def _told(self, api: PodmanApi, key: str, group: list[ContainerFacts]) -> PodFacts | None:
        """Return a pod as a list tells it; None if only its inspect can.

        Its infra container has its labels, but for pods of kube play, whose members have them. So
        a mark on infra is the pod's. Where there is no mark at all, it has none so far: a pod of
        kube play may be waiting for its first member.
        """
        infra = next((one for one in group if one.infra), None)
        if infra is None or not infra.pod_name:
            return None
        if not is_marked(infra.labels):
            unmarked = not any(is_marked(one.labels) for one in group)
            return _of_infra(infra) if unmarked else None
        if infra.image_id and infra.image_id not in self._images:
            self._read_image(api, infra.image_id)
        image = self._images.get(infra.image_id)
        if infra.image_id and image is None:
            return None
        labels = tuple(pair for pair in infra.labels if not image or pair not in image.labels)
        self._pods[key] = replace(_of_infra(infra), labels=labels)
        return self._pods[key]

    def _read_image(self, api: PodmanApi, identity: str) -> None:
        """Read an image, or leave it unknown: then all labels count as the image's (`unsure`)."""
        self._problems.pop(identity, None)
        try:
            raw = api.inspect_image(identity)
        except Unreadable as error:
            self._problems[identity] = _odd("image", identity, "", error)
            return
        image = self._understood(image_from_inspect, raw) if raw is not None else None
        if image is not None:
            self._images[identity] = image

    def _inspected(
        self, api: PodmanApi, identity: str, old: ContainerFacts | None
    ) -> ContainerFacts | None:
        """Return a container as it is; as it was if it cannot be read now; None if it is gone."""
        try:
            raw = api.inspect_container(identity)
        except Unreadable as error:
            self._late += 1
            if self._late > _TOLERANCE:
                raise
            self._problems[identity] = _odd("container", identity, old.name if old else "", error)
            return old
        if raw is None:
            return None
        facts = self._understood(container_from_inspect, raw)
        return None if facts is None else updated(old, facts)

    def _understood(self, translate: Callable[..., T], raw: Json, *more: Json | None) -> T | None:
        """Return what the JSON says; None, and a problem, if it says something impossible."""
        try:
            return translate(raw, *more)
        except OddAnswer as error:
            identity = str(raw.get("Id", ""))[:64]
            names = raw.get("Names")
            name = names[0] if isinstance(names, list) and names else raw.get("Name", "")
            kind = _KINDS.get(translate, "container")
            self._problems[identity] = _odd(kind, identity, f"{name!s:.60}", error)
            return None


def _workloads(
    group: tuple[ContainerFacts, ...],
    pod: PodFacts | None,
    images: tuple[ImageFacts | None, ...],
    source: str,
    rootless: bool,  # noqa: FBT001 - an argument among others that are told apart by place
) -> tuple[Workload, ...]:
    """Return the workload of a group, if it is one."""
    pods = {pod.id: pod} if pod else {}
    known = {image.id: image for image in images if image}
    return assemble(group, pods, known, source=source, rootless=rootless)


def _not_told(group: list[ContainerFacts], pod: PodFacts | None) -> frozenset[str]:
    """Return the ids of the containers that an inspect tells more of: its network, its ports."""
    owner = network_owner(group)
    unknown = set()
    if owner.mode is None or (owner.networks is None and owner.state == "running"):
        unknown.add(owner.id)
    members = [one for one in group if not one.infra]
    if not says_its_port(pod.labels if pod else group[0].labels, members):
        unknown |= {one.id for one in members if one.exposed is None}
    return frozenset(unknown)


def _stand_in(group: Iterable[ContainerFacts]) -> PodFacts | None:
    """Return a pod as its infra container says; None if that says nothing of us."""
    infra = next((one for one in group if one.infra), None)
    return _of_infra(infra) if infra and is_marked(infra.labels) else None


def _of_infra(infra: ContainerFacts) -> PodFacts:
    return PodFacts(id=infra.pod, name=infra.pod_name, labels=infra.labels, created=infra.created)


def _odd(kind: str, identity: str, name: str, error: Exception) -> Problem:
    return Problem(
        id="PX405",
        subject=f'{kind} "{name or identity[:12]}"',
        summary="cannot be read from Podman",
        where=str(error),
        effect="it is left out, or stays as it was; all others are not touched",
        fix=f"podman inspect {identity[:12]}",
        severity=Severity.WARNING,
    )
