"""What HAProxy is to be for some workloads: the pure pipeline in one call."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from proxyctl.files.memory import Memory
from proxyctl.problems import Problem
from proxyctl.recent import Recent
from proxyctl.routes.claims import Match, Translation, translate
from proxyctl.routes.conflicts import Resolution, resolve
from proxyctl.routes.workload import Workload
from proxyctl.settings import Settings
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


def decide(  # noqa: PLR0913 - the parts of the house
    workloads: Iterable[Workload],
    settings: Settings,
    identity: Global,
    memory: Memory,
    templates: Mapping[str, str],
    *,
    recent: Recent | None = None,
) -> Decision:
    """Return what HAProxy should be for *workloads*. Raises ConfigRejected for bad templates."""
    recent = recent or Recent()
    workloads = tuple(workloads)
    served: Mapping[Match, str] = dict(memory.served)
    good = {workload.uid: workload for workload in memory.good}
    translation = translate(workloads, settings, good, recent)
    resolution = resolve(translation.claims, served)
    wanted = desired(resolution.shares, settings, identity, dict(memory.overrides), recent)
    return Decision(
        workloads=workloads,
        translation=translation,
        resolution=resolution,
        desired=wanted,
        rendered=render(wanted, templates, recent),
        problems=(*translation.problems, *resolution.problems),
    )
