"""From workloads to claims: who asks for which requests, and where they would go.

A claim is a route whose labels are understood and fit the settings. A workload with one mistake
makes no claim at all; whoever has made claims before keeps its last good labels (see `translate`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from pydantic import ValidationError

from proxyctl.problems import Problem, Severity
from proxyctl.recent import Recent
from proxyctl.routes import mistakes
from proxyctl.routes.dialects import native
from proxyctl.routes.endpoints import Endpoint, locate
from proxyctl.routes.fitting import entrypoints_of, misfits, without_presets
from proxyctl.routes.route import ADAPTER, HEADER_PREFIXES, LATER, Route
from proxyctl.routes.values import MAX_LENGTH
from proxyctl.routes.workload import Health, Member, Phase, Workload
from proxyctl.settings import Settings


class Match(NamedTuple):
    """What decides that a request belongs to a route. One winner each.

    A tuple, since thousands of them are hashed and sorted.
    """

    entrypoint: str
    host: str = ""
    """Canonical host name, `*.example.com` or `*`; "" in mode tcp. The SNI in mode passthrough."""
    path: str = ""
    """Prefix without its last slash."""

    def __str__(self) -> str:
        """Return what people call it: `git.example.com/api`."""
        return f"{self.host}{self.path or '/'}" if self.host else f"entrypoint {self.entrypoint}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One route that one workload asks for."""

    workload: Workload = field(repr=False)
    name: str
    """Of the route; "" is the workload's default route."""
    route: Route
    matches: tuple[Match, ...]
    port: int
    moved: tuple[Match, ...] = ()
    """What is answered with a redirect to the first host."""
    endpoints: tuple[Endpoint, ...] = ()
    """Where it answers; empty while it does not run."""
    healthy: bool = True
    """False where `health=podman` and Podman says unhealthy."""

    def __hash__(self) -> int:
        """Return a hash of what it is called: thousands are keys of dictionaries."""
        return hash((self.workload, self.name))

    @property
    def uid(self) -> str:
        """Return what identifies the claim among all workloads'."""
        return f"{self.workload.uid}/{self.name}"

    @property
    def backend(self) -> str:
        """Return the name that its backend or server has in HAProxy.

        Names of pods, containers and routes have no colon: no two share one, but for a static
        route and a pod or container.
        """
        name = f"{self.workload.source}::" if self.workload.source else ""
        name += self.workload.name
        return f"{name}:{self.name}" if self.name else name

    @property
    def gone(self) -> bool:
        """Tell whether only its requests are left."""
        return self.workload.phase is Phase.GONE

    @property
    def running(self) -> bool:
        """Tell whether new requests may go there."""
        return self.workload.phase is Phase.RUNNING


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """What all workloads ask for together, and everything that is wrong with it."""

    claims: tuple[Claim, ...] = ()
    problems: tuple[Problem, ...] = ()
    good: Mapping[str, Workload] = field(default_factory=dict)
    """uid -> the workload with the labels that are in force."""


def translate(
    workloads: Iterable[Workload],
    settings: Settings,
    last_good: Mapping[str, Workload],
    recent: Recent | None = None,
) -> Translation:
    """Return the claims of all workloads.

    Where a workload's labels have a mistake, those that it had in `last_good` stay in force: its
    file was edited while it runs, or an update of proxyctl knows its labels no longer.
    """
    recent = recent or Recent()
    claims: list[Claim] = []
    problems: list[Problem] = []
    good: dict[str, Workload] = {}
    for workload in sorted(workloads, key=lambda w: (w.kind, w.source, w.id)):
        uid = workload.uid
        before = last_good.get(uid)
        arguments = (workload, None if before is workload else before, settings)
        made, wrong = recent.of(("claims", uid), arguments, _in_force)
        if made:
            good[uid] = made[0].workload
        claims.extend(made)
        problems.extend(wrong)
    return Translation(claims=tuple(claims), problems=tuple(problems), good=good)


def _in_force(
    workload: Workload, before: Workload | None, settings: Settings
) -> tuple[tuple[Claim, ...], tuple[Problem, ...]]:
    """Return the claims of one workload: by its labels, or by those that it had `before`."""
    made, wrong = claims_of(workload, settings)
    if before and _refused(wrong):
        old = replace(workload, labels=before.labels, servers=before.servers)
        kept, still = claims_of(old, settings)
        if kept and not _refused(still):
            return kept, tuple(map(mistakes.kept, wrong))
    return made, wrong


def _refused(problems: Iterable[Problem]) -> bool:
    return any(p.severity is Severity.ERROR and p.id != "PX111" for p in problems)


def claims_of(
    workload: Workload, settings: Settings
) -> tuple[tuple[Claim, ...], tuple[Problem, ...]]:
    """Return the claims of one workload: all of them, or none and the reasons."""
    asked, wrong = native.read(workload)
    problems = list(wrong)
    claims: list[Claim] = []
    for one in asked:
        route, mistaken = understand(workload, one, settings)
        problems.extend(mistaken)
        if route:
            claim, mistaken = _claim(workload, one, route, settings)
            problems.extend(mistaken)
            claims.extend(claim)
    return () if _refused(problems) else tuple(claims), tuple(problems)


def understand(
    workload: Workload, asked: native.Asked, settings: Settings
) -> tuple[Route | None, tuple[Problem, ...]]:
    """Return the typed route of the texts that were asked for, or why there is none."""
    texts, problems = without_presets(workload, asked, settings)
    data: dict[str, object] = {}
    for key, value in sorted(texts.items()):
        label = asked.label(key)
        prefix = next((p for p in HEADER_PREFIXES if key.startswith(p)), None)
        if key.partition(".")[0] in LATER:
            problems.append(mistakes.later_label(workload, label, value))
        elif len(value) > MAX_LENGTH:
            why = f"expected at most {MAX_LENGTH} characters"
            problems.append(mistakes.bad_value(workload, label, key, value, why))
        elif prefix:
            pairs = data.setdefault(prefix[:-1], [])
            assert isinstance(pairs, list)
            pairs.append((key.removeprefix(prefix), value))
        elif key in {p[:-1] for p in HEADER_PREFIXES}:
            problems.append(mistakes.unknown_label(workload, label, key, value))
        else:
            data[key] = value
    try:
        route = ADAPTER.validate_python(data)
    except ValidationError as error:
        problems += [_explain(workload, asked, data, e) for e in error.errors()]
        return None, tuple(problems)
    return (None if problems else route), tuple(problems)


def _explain(
    workload: Workload, asked: native.Asked, data: Mapping[str, object], error: object
) -> Problem:
    assert isinstance(error, dict)
    key = str(error["loc"][0])
    value = data[key]
    if isinstance(value, list):  # headers: the second part of the location counts the pairs
        name, value = value[error["loc"][1]]
        key = f"{key}.{name}"
    if error["type"] == "unexpected_keyword_argument":
        return mistakes.unknown_label(workload, asked.label(key), key, str(value))
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] in {"literal_error", "enum"}:
        message = message.replace("Input should be", "expected")
    return mistakes.bad_value(workload, asked.label(key), key, str(value), message)


def _claim(
    workload: Workload, asked: native.Asked, route: Route, settings: Settings
) -> tuple[tuple[Claim, ...], tuple[Problem, ...]]:
    if route.mode != "tcp" and not route.host and not asked.name:
        return (), (mistakes.no_host(workload, map(asked.label, asked.own)),)
    problems = misfits(workload, asked, route, settings)
    port, candidates = _port(workload, asked.member, route)
    if port is None:
        problems.append(mistakes.no_port(workload, asked.label("port"), candidates))
    if problems:
        return (), tuple(problems)
    assert port is not None
    endpoints, unreachable = locate(workload, route, port)
    claim = Claim(
        workload=workload,
        name=asked.name,
        route=route,
        matches=_matches(route, settings),
        moved=_matches_of(route, route.redirect_from, settings),
        port=port,
        endpoints=endpoints,
        healthy=route.health != "podman" or _healthy(workload, asked.member),
    )
    return (claim,), unreachable


def _port(
    workload: Workload, member: Member | None, route: Route
) -> tuple[int | None, tuple[int, ...]]:
    """Return the port, or None and the ports among which a choice is missing."""
    if route.port or workload.servers:
        return route.port or 0, ()  # the servers of static routes bring their own
    members = (member,) if member else workload.members
    exposed = {port for one in members for port in one.exposed}
    published = {port.container_port for port in workload.published}
    for found in (exposed, published):
        if len(found) == 1:
            return next(iter(found)), ()
    return None, tuple(sorted(exposed | published))


def _matches(route: Route, settings: Settings) -> tuple[Match, ...]:
    if route.mode == "tcp":
        return tuple(Match(entrypoint=name) for name in sorted(route.entrypoint))
    return _matches_of(route, route.host, settings)


def _matches_of(route: Route, hosts: tuple[str, ...], settings: Settings) -> tuple[Match, ...]:
    return tuple(
        Match(entrypoint=entrypoint, host=host, path=route.path)
        for entrypoint in entrypoints_of(route, settings)
        for host in hosts
    )


def _healthy(workload: Workload, member: Member | None) -> bool:
    members = (member,) if member else workload.members
    return all(one.health != Health.UNHEALTHY for one in members)
