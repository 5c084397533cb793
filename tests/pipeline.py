"""The pure pipeline in one call, for tests: workloads and settings in, everything else out."""

from dataclasses import replace
from pathlib import Path

from proxyctl.decision import Decision, decide
from proxyctl.files.memory import Memory
from proxyctl.files.templates import packaged
from proxyctl.routes.workload import Kind, Member, Network, Phase, Workload
from proxyctl.settings import Settings, parse
from proxyctl.state.digest import digest
from proxyctl.state.model import (
    Global,
    Quic,
    Running,
    RunningCertificate,
    RunningServer,
    ServerState,
)
from proxyctl.state.render import SECTIONS_MAP
from proxyctl.state.spares import CLAIMS_MAP, names
from tests.fakes.keyring import FakeKeyring

FOLDER = "/run/proxyctl/haproxy"
SETTINGS = """
[haproxy]
mode = "embedded"
[entrypoints.web]
bind = ["127.0.0.1:8080"]
[entrypoints.internal]
bind = ["127.0.0.1:8081"]
default = false
[entrypoints.postgres]
bind = ["127.0.0.1:5432"]
mode = "tcp"
[lists]
office = ["192.0.2.0/24", "2001:db8::/32"]
[preset.internal]
allow = ["private"]
header.response.X-Robots-Tag = "noindex"
"""


def settings(text: str = SETTINGS) -> Settings:
    return parse({"config.toml": text})


def pod(name: str, ip: str = "10.88.0.2", /, **more: object) -> Workload:
    """Return a running pod; `host="a.test"` or `labels={...}` without the prefix give labels."""
    labels = dict(more.pop("labels", {}))  # type: ignore[call-overload]
    fields = Workload.__dataclass_fields__
    labels |= {key: more.pop(key) for key in list(more) if key not in fields}
    pairs = tuple(sorted((_full(key), str(value)) for key, value in labels.items()))
    return Workload(
        kind=more.pop("kind", Kind.POD),  # type: ignore[arg-type]
        id=str(more.pop("id", f"{name}-id")),
        name=name,
        labels=pairs,
        networks=more.pop("networks", (Network(name="podman", ipv4=ip),)),  # type: ignore[arg-type]
        **more,  # type: ignore[arg-type]
    )


def _full(key: str) -> str:
    return key if key.startswith("!") or "proxyctl" in key else f"proxyctl.{key}"


def member(name: str, *, labels: dict[str, str] | None = None, **more: object) -> Member:
    pairs = tuple(sorted((_full(key), value) for key, value in (labels or {}).items()))
    return Member(id=f"{name}-id", name=name, labels=pairs, **more)  # type: ignore[arg-type]


def stopped(workload: Workload) -> Workload:
    return replace(workload, phase=Phase.STOPPED, networks=())


def decided(
    *workloads: Workload,
    text: str = SETTINGS,
    memory: Memory = Memory(),
    templates: dict[str, str] | None = None,
    spares: tuple[tuple[str, int], ...] = (),
    folder: str = FOLDER,
    keyring: FakeKeyring | None = None,
    quic: Quic = Quic.NONE,
) -> Decision:
    keyring = keyring or FakeKeyring()
    identity = Global(folder=folder, cookie_key="0123456789abcdef", spares=spares, quic=quic)
    return decide(
        workloads, settings(text), identity, memory, templates or packaged(), keyring=keyring
    )


def running(decision: Decision) -> Running:
    """Return a HAProxy that is what was decided."""
    maps = {one.file: one.entries for one in decision.desired.maps}
    sections = {section.name: section.digest for section in decision.rendered.sections}
    return Running(
        alive=True,
        version=(2, 6, 12),
        pid=1,
        sections=sections,
        servers={
            backend.name: tuple(
                RunningServer(
                    name=server.name,
                    address=server.address,
                    port=server.port,
                    weight=server.weight,
                    backup=server.backup,
                    state=ServerState(server.state),
                )
                for server in backend.servers
            )
            for backend in decision.desired.backends
        }
        | {name: () for kind, n in decision.desired.settings.spares for name in names(kind, n)},
        maps={**maps, SECTIONS_MAP: tuple(sorted(sections.items())), CLAIMS_MAP: ()},
        certificates={
            one.name: RunningCertificate(
                fingerprint=one.fingerprint, hosts=one.hosts, chain=one.chain
            )
            for one in decision.desired.certificates
        }
        or None,
        files={name: digest(text) for name, text in decision.rendered.texts.items()},
    )


GOLDEN = Path(__file__).parent / "golden"
