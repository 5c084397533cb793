"""Which loaded backend serves which desired one: its own section, a spare, or (yet) none.

the process has its section             that one
a spare stands for it already           that one, if its servers were made the same way
it is like a kind of spare              its own, added at run time where HAProxy can do that (3.4),
                                        else a free spare of the kind, claimed at run time
otherwise                               a reload, with the reason
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from proxyctl.plan.capabilities import capabilities_of
from proxyctl.plan.steps import AddBackend
from proxyctl.state.model import Backend, Desired, Running, RunningServer
from proxyctl.state.render import Rendered
from proxyctl.state.spares import (
    CLAIMS_MAP,
    DEFAULTS,
    Claimed,
    is_spare,
    kind_of,
    names,
    options_digest,
    parse_claims,
    spare_kind,
)

LOW = 4
"""Spares of a kind run low when fewer than one of so many is free."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where the desired backends are, or will be, in the running process."""

    loaded: Mapping[str, str]
    """Name of a desired backend -> name of the loaded backend that serves it."""
    claims: Mapping[str, Claimed]
    """Name of a desired backend -> the spare that is to stand for it from now on."""
    added: tuple[AddBackend, ...]
    """The backends that are to be added at run time."""
    stale: tuple[str, ...]
    """Keys of the claims map whose spares are to be let go."""
    reasons: tuple[str, ...]
    """Why there has to be a reload; none: there need not be one."""


def place(desired: Desired, rendered: Rendered, running: Running, *, quiet: bool) -> Placement:
    """Return where everything is; with `quiet` a reload also fills up spares that run low."""
    before = parse_claims(running.maps.get(CLAIMS_MAP, ()))
    wanted = {section.name: section.digest for section in rendered.sections}
    loaded, homeless = _at_home(desired, wanted, running, before)
    used = set(loaded.values())
    free = {
        kind: _free(kind, count, wanted, running, used) for kind, count in desired.settings.spares
    }
    claims: dict[str, Claimed] = {}
    added: list[AddBackend] = []
    unplaced: list[str] = []
    for backend in homeless:
        match _home_of(backend, wanted, running, free):
            case AddBackend() as step:
                loaded[backend.name] = step.backend
                added.append(step)
            case Claimed() as claimed:
                loaded[backend.name] = claimed.spare
                claims[backend.name] = claimed
            case None:
                unplaced.append(backend.name)
    kept = {name for name, row in before.items() if loaded.get(name) == row.spare}
    reasons = (*_reasons(rendered, running, unplaced), *(_low(free, desired) if quiet else ()))
    return Placement(
        loaded=loaded,
        claims=claims,
        added=tuple(added),
        stale=tuple(sorted(before.keys() - kept - claims.keys())),
        reasons=reasons,
    )


def _at_home(
    desired: Desired,
    wanted: Mapping[str, str],
    running: Running,
    before: Mapping[str, Claimed],
) -> tuple[dict[str, str], list[Backend]]:
    """Return the backends with what serves them already, and those that nothing serves.

    A map that says twice who has a spare is believed once.
    """
    loaded: dict[str, str] = {}
    homeless: list[Backend] = []
    used: set[str] = set()
    for backend in desired.backends:
        claimed = before.get(backend.name)
        section = f"backend/{backend.name}"
        if running.sections.get(section) == wanted[section]:
            loaded[backend.name] = backend.name
        elif claimed and claimed.spare not in used and _still_fits(backend, claimed):
            loaded[backend.name] = claimed.spare
            used.add(claimed.spare)
        elif not backend.passing:
            homeless.append(backend)
    return loaded, homeless


def _home_of(
    backend: Backend,
    wanted: Mapping[str, str],
    running: Running,
    free: Mapping[str, Iterator[str]],
) -> AddBackend | Claimed | None:
    """Return how a backend that is not loaded can be had at run time."""
    kind, section = kind_of(backend) or "", f"backend/{backend.name}"
    if _can_be_added(section, kind, wanted, running):
        return AddBackend(backend.name, kind, wanted[section])
    spare = next(free.get(kind, iter(())), None)
    return Claimed(spare=spare, options=options_digest(backend)) if spare else None


def _can_be_added(section: str, kind: str, wanted: Mapping[str, str], running: Running) -> bool:
    """Tell whether a section can be made of the defaults of a kind of spare, under its own name.

    A name that is taken by a section that is no longer wanted is free after a reload only.
    """
    defaults = f"defaults/{DEFAULTS}{kind}"
    return (
        capabilities_of(running.version).dynamic_backends
        and section not in running.sections
        and defaults in wanted
        and running.sections.get(defaults) == wanted[defaults]
    )


def _still_fits(backend: Backend, claimed: Claimed) -> bool:
    """Tell whether a spare serves a backend as it is to be now."""
    same_kind = spare_kind(claimed.spare) == kind_of(backend)
    return same_kind and claimed.options == options_digest(backend)


def _free(
    kind: str, count: int, wanted: Mapping[str, str], running: Running, used: set[str]
) -> Iterator[str]:
    """Yield the spares of a kind that are loaded, and stand for nothing."""
    if CLAIMS_MAP not in running.maps:
        return
    for name in names(kind, count):
        section = f"backend/{name}"
        as_it_should = running.sections.get(section) == wanted.get(section)
        there = running.servers.get(name)  # None: not asked about, since it is somebody's
        if (
            as_it_should
            and name not in used
            and there is not None
            and not any(map(is_real, there))
        ):
            yield name


def is_real(server: RunningServer) -> bool:
    """Tell whether a server is a workload's, and none of ours."""
    return not server.name.startswith(":")


def _reasons(rendered: Rendered, running: Running, unplaced: list[str]) -> tuple[str, ...]:
    ours = {f"backend/{name}" for name in unplaced}
    reasons: dict[str, None] = {}
    for section in rendered.sections:
        there = running.sections.get(section.name)
        word = "is new" if there is None else "changed"
        kind, _, name = section.name.partition("/")
        if there == section.digest:
            continue
        if is_spare(name):
            reasons[f"the spare backends {'are new' if there is None else word}"] = None
        elif kind != "backend" or name.startswith(":") or section.name in ours:
            reasons[f"{kind} {name} {word}".replace("  ", " ")] = None
    return tuple(reasons)


def _low(free: Mapping[str, Iterator[str]], desired: Desired) -> tuple[str, ...]:
    counts = dict(desired.settings.spares)
    low = [kind for kind, rest in free.items() if sum(1 for _ in rest) < counts[kind] // LOW]
    return tuple(f"spare backends of kind {kind} run low" for kind in low)
