"""What was decided last, kept so that a change is decided among its neighbours only.

It is a convenience: `settle` decides about everything soon after, and finds what this got wrong.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from proxyctl.decision import Decision
from proxyctl.files.memory import Memory
from proxyctl.problems import Problem
from proxyctl.routes.claims import Claim, Match
from proxyctl.routes.conflicts import Share
from proxyctl.routes.neighbours import Neighbours
from proxyctl.routes.workload import Workload

MANY = 200
"""With so many neighbours a change is decided as a whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The difference between two readings of the sources."""

    fresh: tuple[Workload, ...] = ()
    """New, or different from what they were."""
    lost: tuple[str, ...] = ()
    """The uids of those that are not there any more."""
    touched: frozenset[str] = frozenset()
    """The uids of those that are to be treated otherwise, by hand."""

    @property
    def uids(self) -> frozenset[str]:
        """Return whom it is about."""
        return self.touched.union(self.lost, (workload.uid for workload in self.fresh))


@dataclass(slots=True)
class Standing:
    """Everything about the last decision, by what it is about. Belongs to one thread."""

    seen: dict[int, Workload] = field(default_factory=dict)
    """The very objects that were decided about, by their id(): unchanged ones are the same."""
    workloads: dict[str, Workload] = field(default_factory=dict)
    claims: dict[str, tuple[Claim, ...]] = field(default_factory=dict)
    good: dict[str, Workload] = field(default_factory=dict)
    owners: dict[Match, str] = field(default_factory=dict)
    shares: dict[str, Share] = field(default_factory=dict)
    names: dict[str, set[str]] = field(default_factory=dict)
    """uid -> the names of the shares that it is part of."""
    problems: dict[str, tuple[Problem, ...]] = field(default_factory=dict)
    of_the_host: tuple[Problem, ...] = ()
    """Problems that are about no workload, as they were when everything was decided."""
    neighbours: Neighbours = field(default_factory=Neighbours)
    passes_on: bool = False
    """Whether there is TLS that is passed on: then paths of a host concern each other, and
    frontends look otherwise, so that every change is decided as a whole."""

    def change(self, workloads: Iterable[Workload]) -> Change:
        """Return how *workloads* differ from what was decided about."""
        now = {id(workload): workload for workload in workloads}
        fresh = tuple(one for number, one in now.items() if number not in self.seen)
        if len(now) - len(fresh) == len(self.seen):
            return Change(fresh=fresh)
        there = {workload.uid for workload in fresh}
        gone = (one.uid for number, one in self.seen.items() if number not in now)
        return Change(fresh=fresh, lost=tuple(uid for uid in gone if uid not in there))

    def around(self, change: Change, claims: Iterable[Claim]) -> frozenset[str]:
        """Return whom the change concerns, which brings *claims*."""
        self.neighbours.add(claims)
        return self.neighbours.around(change.uids)

    def members(self, change: Change, uids: Iterable[str]) -> tuple[Workload, ...]:
        """Return the workloads *uids* as they are after the change."""
        now = {uid: self.workloads[uid] for uid in uids if uid in self.workloads}
        now |= {workload.uid: workload for workload in change.fresh}
        return tuple(workload for uid, workload in now.items() if uid not in change.lost)

    def shares_of(self, uids: Iterable[str]) -> tuple[Share, ...]:
        """Return the shares that *uids* are part of."""
        names = sorted({name for uid in uids for name in self.names.get(uid, ())})
        return tuple(self.shares[name] for name in names)

    def remembered(self, memory: Memory) -> Memory:
        """Return a memory with what stands."""
        return replace(
            memory,
            served=tuple(sorted(self.owners.items())),
            good=tuple(self.good[uid] for uid in sorted(self.good)),
        )

    def remembered_of(self, memory: Memory, uids: frozenset[str]) -> Memory:
        """Return a memory with what is to be known of *uids* only."""
        shares = self.shares_of(uids)
        served = tuple((m, self.owners[m]) for share in shares for m in share.all_matches)
        good = tuple(self.good[uid] for uid in sorted(uids) if uid in self.good)
        return replace(memory, served=served, good=good)

    def take(self, workloads: Iterable[Workload], decision: Decision, uids: Iterable[str]) -> None:
        """Put a decision about *uids* in the place of what stood of them."""
        uids = frozenset(uids)
        for share in self.shares_of(uids):
            del self.shares[share.name]
            for match in share.all_matches:
                self.owners.pop(match, None)
        tables: tuple[dict[str, Any], ...] = (
            self.workloads, self.claims, self.good, self.names, self.problems,
        )  # fmt: skip
        for uid in uids:
            for table in tables:
                table.pop(uid, None)
            self.neighbours.remove(uid)
        self._add(decision)
        self.seen = {id(workload): workload for workload in workloads}

    def all_claims(self) -> tuple[Claim, ...]:
        """Return everybody's claims."""
        return tuple(chain.from_iterable(self.claims.values()))

    def all_shares(self) -> tuple[Share, ...]:
        """Return the shares in the order of their names."""
        return tuple(self.shares[name] for name in sorted(self.shares))

    def all_problems(self) -> tuple[Problem, ...]:
        """Return what is wrong with the workloads, and with the host."""
        return (*sorted(chain.from_iterable(self.problems.values())), *self.of_the_host)

    @classmethod
    def whole(cls, workloads: Iterable[Workload], decision: Decision) -> "Standing":
        """Return what stands after a decision about everything."""
        seen = {id(workload): workload for workload in workloads}
        made = cls(
            seen=seen,
            of_the_host=decision.of_the_host,
            passes_on=any(map(passes, decision.translation.claims)),
        )
        made._add(decision)
        return made

    def _add(self, decision: Decision) -> None:
        for claim in decision.translation.claims:
            uid = claim.workload.uid
            self.claims[uid] = (*self.claims.get(uid, ()), claim)
        self.workloads |= {workload.uid: workload for workload in decision.workloads}
        self.good |= decision.translation.good
        self.owners |= decision.resolution.owners
        self.shares |= {share.name: share for share in decision.resolution.shares}
        for share in decision.resolution.shares:
            for claim in share.claims:
                self.names.setdefault(claim.workload.uid, set()).add(share.name)
        for problem in (*decision.translation.problems, *decision.resolution.problems):
            self.problems[problem.workload] = (*self.problems.get(problem.workload, ()), problem)
        self.neighbours.add(decision.translation.claims)


def passes(claim: Claim) -> bool:
    """Tell whether a claim asks for TLS to be passed on."""
    return claim.route.mode == "passthrough"
