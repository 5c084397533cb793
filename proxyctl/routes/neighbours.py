"""Whom a change can concern: those who ask for the same requests, or for the same name.

Whatever is decided about a workload depends on its neighbours only, however many others there are.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from proxyctl.routes.claims import Claim, Match

Ground = Match | str
"""What two claims can meet on: a match, or the name of a group or backend."""


class Neighbours:
    """An index of claims by what they can meet on. Belongs to one thread."""

    def __init__(self, claims: Iterable[Claim] = ()) -> None:
        """Begin with *claims*."""
        self._grounds: dict[str, set[Ground]] = defaultdict(set)
        self._uids: dict[Ground, set[str]] = defaultdict(set)
        self.add(claims)

    def add(self, claims: Iterable[Claim]) -> None:
        """Take *claims* in."""
        for claim in claims:
            uid = claim.workload.uid
            for ground in _grounds(claim):
                self._grounds[uid].add(ground)
                self._uids[ground].add(uid)

    def remove(self, uid: str) -> None:
        """Forget the claims of a workload."""
        for ground in self._grounds.pop(uid, ()):
            self._uids[ground].discard(uid)
            if not self._uids[ground]:
                del self._uids[ground]

    def around(self, uids: Iterable[str]) -> frozenset[str]:
        """Return *uids*, their neighbours, the neighbours of those, and so on."""
        found: set[str] = set()
        to_do = set(uids)
        while to_do:
            uid = to_do.pop()
            found.add(uid)
            grounds = self._grounds.get(uid, ())
            to_do.update(other for g in grounds for other in self._uids[g] if other not in found)
        return frozenset(found)


def _grounds(claim: Claim) -> Iterator[Ground]:
    yield from claim.matches
    yield from claim.moved
    yield claim.backend
    if claim.route.group:
        yield claim.route.group
