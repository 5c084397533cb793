"""What a source tells about the things that can be published: facts, no wishes.

A *workload* is a pod, a lone container, or an entry of a file in routes.d. Its labels are the
user's words, not yet understood by anybody.
"""

from dataclasses import dataclass, field, replace
from enum import StrEnum

Labels = tuple[tuple[str, str], ...]
"""Sorted pairs of key and value: equal labels are equal values."""


class Kind(StrEnum):
    """What kind of thing a workload is."""

    POD = "pod"
    CONTAINER = "container"
    STATIC = "static"


class Phase(StrEnum):
    """Where a workload is in its life, as far as traffic is concerned."""

    RUNNING = "running"
    STOPPING = "stopping"
    """Podman has begun to stop it: no new requests."""
    STOPPED = "stopped"
    """Created, exited or paused: it holds its route, and answers nothing."""
    FLAPPING = "flapping"
    """Started again and again: held back until it stays; it holds its route, as if stopped."""
    GONE = "gone"
    """Removed a moment ago: its requests wait for a successor for a while."""


class Health(StrEnum):
    """What Podman's HEALTHCHECK says; without systemd's timers it stays `starting`."""

    NONE = "none"
    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


class NetworkMode(StrEnum):
    """How a workload is attached: which addresses can reach it from the host."""

    BRIDGE = "bridge"
    HOST = "host"
    PRIVATE = "private"
    """slirp4netns or pasta: only published ports."""
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Network:
    """An attachment to a Podman network; an address is "" where there is none."""

    name: str
    ipv4: str = ""
    ipv6: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class PublishedPort:
    """A TCP port of the workload that Podman publishes on the host (`podman run -p`)."""

    container_port: int
    host_ip: str
    """"" and 0.0.0.0 mean every address of the host."""
    host_port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A container of a pod; a lone container is its own only member."""

    id: str
    name: str
    labels: Labels = ()
    """Its own labels, without those that its image brought. Empty for a lone container."""
    image_labels: Labels = ()
    image: str = ""
    exposed: tuple[int, ...] = ()
    """TCP ports of --expose and of the image's EXPOSE, sorted."""
    health: Health = Health.NONE
    started: int = field(default=0, compare=False)
    """As a workload's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A pod, a lone container or a static entry, as its source sees it now."""

    kind: Kind
    id: str
    """Podman's id, or the name of a static entry; unique within its source."""
    name: str
    source: str = ""
    """The name of the Podman socket in the settings; "" for the default one and for files."""
    labels: Labels = ()
    """The pod's, container's or entry's own labels (a container's: without its image's)."""
    members: tuple[Member, ...] = ()
    """Sorted by name; without the infra container."""
    phase: Phase = Phase.RUNNING
    network_mode: NetworkMode = NetworkMode.BRIDGE
    networks: tuple[Network, ...] = ()
    """Sorted by name. Empty when stopped; while stopping, as long as Podman still tells them."""
    published: tuple[PublishedPort, ...] = ()
    rootless: bool = False
    """Its bridge addresses exist but cannot be reached from the host."""
    created: int = 0
    """Nanoseconds since the epoch: the older workload keeps a contested route."""
    started: int = field(default=0, compare=False)
    """Seconds since the epoch of its last start; 0: not told. It is the same one afterwards."""
    servers: tuple[str, ...] = ()
    """`address:port` of a static entry's servers, as written; empty for Podman's workloads."""
    origin: str = field(default="", compare=False)
    """The file of a static entry, for messages."""

    def __hash__(self) -> int:
        """Return a hash of its id: that of every label would cost more than a cycle may."""
        return hash((self.kind, self.id))

    def with_labels_of(self, before: "Workload") -> "Workload":
        """Return this workload with what it had `before` of what never changes: its labels."""
        then = {member.id: member for member in before.members}
        members = tuple(
            replace(
                one,
                labels=then[one.id].labels,
                image_labels=then[one.id].image_labels,
                exposed=then[one.id].exposed,
            )
            if one.id in then
            else one
            for one in self.members
        )
        return replace(self, labels=before.labels, members=members)

    @property
    def uid(self) -> str:
        """Return what identifies the workload among all sources: kind, source and id."""
        return f"{self.kind}/{self.source}/{self.id}"

    @property
    def subject(self) -> str:
        """Return how messages name it: `pod "gitea"`."""
        where = f" of {self.source}" if self.source else ""
        kind = "static route" if self.kind is Kind.STATIC else self.kind
        return f'{kind} "{self.name}"{where}'
