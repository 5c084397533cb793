"""One winner per match: who gets the requests that several claims ask for.

    same match, same group                one backend with a server each
    same match, another group or none     the one already served keeps it, else the older one

The losers become problems. Never a silent merge, never both gone.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256

from proxyctl.problems import Problem, Severity
from proxyctl.routes.claims import Claim, Match

PER_SERVER = frozenset(
    {"host", "path", "entrypoint", "port", "weight", "backup", "address", "network", "group"}
    | {"use", "priority"}
)
"""Fields in which the members of a group may differ: the leader's other ones hold for all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Claims that are served together by one backend."""

    name: str
    """Of the backend."""
    claims: tuple[Claim, ...]
    """The leader first: its route is the backend's."""
    matches: tuple[Match, ...]
    """None: nothing leads here but requests that waited for a workload that is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """Who serves what."""

    shares: tuple[Share, ...] = ()
    problems: tuple[Problem, ...] = ()
    owners: Mapping[Match, str]
    """Match -> uid of the claim that leads it: what `served` is the next time."""


def resolve(claims: Iterable[Claim], served: Mapping[Match, str]) -> Resolution:
    """Return the winners; `served` tells which claim had each match so far."""
    contested: dict[Match, list[Claim]] = defaultdict(list)
    for claim in claims:
        for match in dict.fromkeys(claim.matches):
            contested[match].append(claim)
    won: dict[tuple[Claim, ...], list[Match]] = defaultdict(list)
    problems: set[Problem] = set()
    owners: dict[Match, str] = {}
    heirs: dict[str, tuple[Claim, ...]] = {}
    for match, rivals in sorted(contested.items()):
        members, losers = _decide(rivals, served.get(match, ""))
        won[members].append(match)
        owners[match] = members[0].uid
        problems.update(_lost(match, members[0], loser) for loser in losers if not loser.gone)
        heirs.update({loser.backend: members for loser in losers if loser.gone})
    for members in won:
        problems.update(_differences(members))
    shares = [*_named(won)]
    taken = {share.name for share in shares}
    shares += [
        Share(name=name, claims=members, matches=())
        for name, members in heirs.items()
        if name not in taken
    ]
    shares.sort(key=lambda share: share.name)
    return Resolution(shares=tuple(shares), problems=tuple(sorted(problems)), owners=owners)


def _decide(rivals: list[Claim], keeper: str) -> tuple[tuple[Claim, ...], tuple[Claim, ...]]:
    if len(rivals) == 1:
        return tuple(rivals), ()
    ranked = sorted(
        rivals,
        key=lambda c: (
            c.gone,
            -c.route.priority,
            not c.running,
            c.uid != keeper,
            c.workload.created,
            c.uid,
        ),
    )
    leader = ranked[0]
    together = [c for c in ranked if c is leader or _grouped(leader, c)]
    return tuple(together), tuple(c for c in ranked if c not in together)


def _grouped(leader: Claim, other: Claim) -> bool:
    mine, its = leader.route, other.route
    return mine.group is not None and mine.group == its.group and mine.mode == its.mode


def _named(won: Mapping[tuple[Claim, ...], list[Match]]) -> Iterable[Share]:
    """Give every set of claims its backend's name: the group's, else the claim's own."""
    groups = {claims[0].route.group for claims in won}
    taken: set[str] = set()
    for claims, matches in won.items():
        leader = claims[0]
        group = leader.route.group
        if group is None:
            # A group and a pod of one name: the pod's backend gives way.
            name = f"{leader.backend}:{leader.workload.kind}"
            name = name if leader.backend in groups else leader.backend
        else:
            name = group if group not in taken else f"{group}:{_digest(matches[0])}"
        taken.add(name)
        yield Share(name=name, claims=claims, matches=tuple(matches))


def _digest(match: Match) -> str:
    return sha256(f"{match.entrypoint} {match}".encode()).hexdigest()[:8]


def _lost(match: Match, winner: Claim, loser: Claim) -> Problem:
    if winner.workload.uid == loser.workload.uid:
        return _asked_twice(match, winner, loser)
    other, label = winner.workload, "proxyctl.host" if match.host else "proxyctl.entrypoint"
    effect = f"{other.subject} keeps it; {loser.workload.subject} does not get these requests"
    return Problem(
        id="PX204",
        subject=loser.workload.subject,
        summary=f"asks for {match}, which {other.subject} has",
        where=f"{label} of both",
        effect=effect,
        fix=f"give one another {label}, or both the same proxyctl.group to share the traffic",
        workload=loser.workload.uid,
    )


def _asked_twice(match: Match, winner: Claim, loser: Claim) -> Problem:
    first, second = _called(winner), _called(loser)
    other = "host or path" if match.host else "entrypoint"
    return Problem(
        id="PX206",
        subject=loser.workload.subject,
        summary=f"has two routes that ask for {match}",
        where=f"{first} (port {winner.port}) and {second} (port {loser.port})",
        effect=f"{first} gets these requests, {second} does not",
        fix=f"give one of them another {other}, or both the same group",
        workload=loser.workload.uid,
    )


def _called(claim: Claim) -> str:
    return f"its route {claim.name}" if claim.name else "its unnamed route"


def _differences(members: tuple[Claim, ...]) -> Iterable[Problem]:
    leader, *others = members
    for other in others:
        differing = [
            name
            for name in type(leader.route).__dataclass_fields__
            if name not in PER_SERVER and getattr(leader.route, name) != getattr(other.route, name)
        ]
        if differing:
            yield Problem(
                id="PX205",
                subject=other.workload.subject,
                summary=f"differs from {leader.workload.subject}, with which it shares group "
                f"{leader.route.group}",
                where=", ".join(name.replace("_", "-") for name in differing),
                effect=f"the labels of {leader.workload.subject} hold for both",
                fix="give all members of a group the same labels",
                severity=Severity.WARNING,
                workload=other.workload.uid,
            )
