"""A part of what runs: enough to plan a change that concerns few backends."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from proxyctl.plan.steps import Plan, PutMapEntry, RemoveMapEntry, ReplaceMap
from proxyctl.state.model import Desired, Running
from proxyctl.state.spares import CLAIMS_MAP, is_spare, parse_claims

Entries = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What a change is about: some backends, and some keys of maps, before it or after it."""

    backends: frozenset[str]
    """Names of routes' backends, never those of spares."""
    keys: Mapping[str, frozenset[str]]
    """File of a map -> keys."""

    @classmethod
    def of(cls, some: Iterable[Desired]) -> "Part":
        """Return what is spoken of in any of *some*."""
        some = tuple(some)
        files = {one.file for each in some for one in each.maps}
        return cls(
            backends=frozenset(b.name for each in some for b in each.backends),
            keys={
                file: frozenset(
                    key
                    for each in some
                    for one in each.maps
                    if one.file == file
                    for key, _ in one.entries
                )
                for file in files
            },
        )

    def loaded(self, running: Running) -> frozenset[str]:
        """Return the loaded backends that serve the part: its own sections, and its spares."""
        claims = parse_claims(running.maps.get(CLAIMS_MAP, ()))
        spares = {claims[name].spare for name in self.backends if name in claims}
        return frozenset(spares | (self.backends & running.servers.keys()))

    def within(self, running: Running) -> Running:
        """Return *running* as if there were nothing but the part, and the spares that are free."""
        taken = {row.spare for row in parse_claims(running.maps.get(CLAIMS_MAP, ())).values()}
        seen = self.loaded(running)
        servers = {
            name: servers
            for name, servers in running.servers.items()
            if name in seen or (name[:1] == ":" and is_spare(name) and name not in taken)
        }
        keys = {**self.keys, CLAIMS_MAP: self.backends}
        maps = {
            file: tuple(row for row in rows if row[0] in keys.get(file, ()))
            for file, rows in running.maps.items()
        }
        return replace(running, servers=servers, maps=maps)


def backends_of(plan: Plan) -> frozenset[str]:
    """Return the loaded backends whose servers a plan changes."""
    return frozenset(step.backend for step in plan.steps if hasattr(step, "backend"))


def with_steps(maps: Mapping[str, Entries], plan: Plan) -> dict[str, Entries]:
    """Return what the maps are after the steps of *plan*."""
    changed = dict(maps)
    for step in plan.steps:
        match step:
            case PutMapEntry(file, key, value):
                changed[file] = _without(changed[file], {key}, (key, value))
            case RemoveMapEntry(file, key):
                changed[file] = _without(changed[file], {key})
            case ReplaceMap(file, entries):
                changed[file] = entries
            case _:
                pass
    return changed


def _without(rows: Entries, keys: Collection[str], *more: tuple[str, str]) -> Entries:
    return (*(row for row in rows if row[0] not in keys), *more)
