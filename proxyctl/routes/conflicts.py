"""One winner per match: who gets the requests that several claims ask for.

    same match, same group                one backend with a server each
    same match, another group or none     the one already served keeps it, else the older one
    same host, TLS ended and not          likewise, for all paths of the host

The losers become problems. Never a silent merge, never both gone.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256

from proxyctl.problems import Problem, Severity
from proxyctl.routes.claims import Claim, Match
from proxyctl.routes.workload import Kind

PER_SERVER = frozenset(
    {"host", "path", "entrypoint", "port", "weight", "backup", "address", "network", "group"}
    | {"use", "priority", "redirect_from"}
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
    moved: tuple[Match, ...] = ()
    """What is answered with a redirect to the leader's first host."""

    @property
    def all_matches(self) -> tuple[Match, ...]:
        """Return everything that it has won."""
        return (*self.matches, *self.moved)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """Who serves what."""

    shares: tuple[Share, ...] = ()
    problems: tuple[Problem, ...] = ()
    owners: Mapping[Match, str]
    """Match -> uid of the claim that leads it: what `served` is the next time."""


def resolve(claims: Iterable[Claim], served: Mapping[Match, str]) -> Resolution:
    """Return the winners; `served` tells which claim had each match so far.

    Other names of a host go to who serves the host: who lost it does not ask for them either.
    """
    claims = tuple(claims)
    hostless: frozenset[str] = frozenset()
    while True:
        resolution, lost_theirs = _resolved(claims, served, hostless)
        if not lost_theirs:
            return resolution
        hostless |= lost_theirs


def _resolved(
    claims: tuple[Claim, ...], served: Mapping[Match, str], hostless: frozenset[str]
) -> tuple[Resolution, frozenset[str]]:
    """Return the winners, and the uids of claims that ask for other names and have no host.

    Whether they won these does not matter: it may depend on who was served before.
    """
    contested: dict[Match, list[Claim]] = defaultdict(list)
    for claim in claims:
        asked = (*claim.matches, *(() if claim.uid in hostless else claim.moved))
        for match in dict.fromkeys(asked):
            contested[match].append(claim)
    won: dict[tuple[Claim, ...], list[Match]] = defaultdict(list)
    moved: dict[str, list[Match]] = defaultdict(list)
    owners: dict[Match, str] = {}
    heirs: dict[str, tuple[Claim, ...]] = {}
    problems = _settle_modes(contested, served)
    for match, rivals in sorted(contested.items()):
        members, losers = _decide(match, rivals, served.get(match, ""))
        leader = members[0]
        if match in leader.moved:
            moved[leader.uid].append(match)
        else:
            won[members].append(match)
        owners[match] = leader.uid
        problems.update(_lost(match, leader, loser) for loser in losers if not loser.gone)
        heirs.update({loser.backend: members for loser in losers if loser.gone})
    for members in won:
        problems.update(_differences(members))
    shares = [_with_moved(share, moved) for share in _named(won)]
    taken = {share.name for share in shares}
    shares += [
        Share(name=name, claims=members, matches=())
        for name, members in heirs.items()
        if name not in taken
    ]
    shares.sort(key=lambda share: share.name)
    problems_told = tuple(sorted(problems))
    resolution = Resolution(shares=tuple(shares), problems=problems_told, owners=owners)
    return resolution, _without_host(claims, won) - hostless


def _without_host(claims: Iterable[Claim], won: Iterable[tuple[Claim, ...]]) -> frozenset[str]:
    """Return the uids of the claims that ask for other names of a host that they did not win."""
    serving = {claim.uid for members in won for claim in members}
    return frozenset(claim.uid for claim in claims if claim.moved and claim.uid not in serving)


def _settle_modes(
    contested: dict[Match, list[Claim]], served: Mapping[Match, str]
) -> set[Problem]:
    """Take out of *contested* who asks for a host in another mode than the one that has it.

    A client names a host before the handshake, and a path after it: TLS of a host ends in HAProxy
    for all its paths, or for none.
    """
    problems: set[Problem] = set()
    for matches in _hosts_in_two_modes(contested):
        rivals = {claim.uid: claim for match in matches for claim in contested[match]}
        keepers = {served.get(match, "") for match in matches}
        mode = _ranked(rivals.values(), keepers)[0].route.mode
        # Told of: who has the very match, else whoever would be first if nobody had been served.
        first = _ranked((c for c in rivals.values() if c.route.mode == mode), set())[0]
        for match in matches:
            losers = [c for c in contested[match] if c.route.mode != mode]
            left = [c for c in contested.pop(match) if c not in losers]
            has = _ranked(left, {served.get(match, "")})[0] if left else first
            problems.update(_lost(match, has, loser) for loser in losers if not loser.gone)
            contested.update({match: left} if left else {})
    return problems


def _hosts_in_two_modes(contested: Mapping[Match, list[Claim]]) -> list[list[Match]]:
    """Return the matches of each host that some ask for with passthrough, and others without."""
    passed = {
        (match.entrypoint, match.host)
        for match, rivals in contested.items()
        if any(claim.route.mode == "passthrough" for claim in rivals)
    }
    found: dict[tuple[str, str], list[Match]] = defaultdict(list)
    for match in sorted(contested) if passed else ():
        if (match.entrypoint, match.host) in passed:
            found[match.entrypoint, match.host].append(match)
    return [
        matches
        for matches in found.values()
        if len({claim.route.mode for match in matches for claim in contested[match]}) > 1
    ]


def _decide(
    match: Match, rivals: list[Claim], keeper: str
) -> tuple[tuple[Claim, ...], tuple[Claim, ...]]:
    if len(rivals) == 1:
        return tuple(rivals), ()
    ranked = _ranked(rivals, {keeper})
    leader = ranked[0]
    moves = match in leader.moved
    together = [
        c for c in ranked if c is leader or (_grouped(leader, c) and (match in c.moved) == moves)
    ]
    return tuple(together), tuple(c for c in ranked if c not in together)


def _ranked(rivals: Iterable[Claim], keepers: set[str]) -> list[Claim]:
    return sorted(
        rivals,
        key=lambda c: (
            c.gone,
            -c.route.priority,
            not c.running,
            c.uid not in keepers,
            c.workload.created,
            c.uid,
        ),
    )


def _with_moved(share: Share, moved: dict[str, list[Match]]) -> Share:
    """Return a share with the redirects that lead to it: those of its members, once."""
    found = [match for claim in share.claims for match in moved.pop(claim.uid, ())]
    return replace(share, moved=tuple(sorted(found)))


def _grouped(leader: Claim, other: Claim) -> bool:
    mine, its = leader.route, other.route
    return mine.group is not None and mine.group == its.group and mine.mode == its.mode


def _named(won: Mapping[tuple[Claim, ...], list[Match]]) -> Iterable[Share]:
    """Give every set of claims its backend's name: the group's, else the claim's own."""
    groups = {claims[0].route.group for claims in won}
    of_podman = {c[0].backend for c in won if c[0].workload.kind is not Kind.STATIC}
    taken: set[str] = set()
    for claims, matches in won.items():
        leader = claims[0]
        group = leader.route.group
        if group is None:
            # A group and a pod of one name: the pod's backend gives way. A static route's does to
            # that of a pod or container.
            second = leader.workload.kind is Kind.STATIC and leader.backend in of_podman
            name = f"{leader.backend}:{leader.workload.kind}"
            name = name if second or leader.backend in groups else leader.backend
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
        fix=_ways_out(label, winner, loser),
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


def _ways_out(label: str, winner: Claim, loser: Claim) -> str:
    if winner.route.mode != loser.route.mode:
        return f"give one another {label}, or both the same proxyctl.mode"
    return f"give one another {label}, or both the same proxyctl.group to share the traffic"


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
