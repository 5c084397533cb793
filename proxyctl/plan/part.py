"""A part of what runs: enough to plan a change that concerns few backends."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from proxyctl.plan.steps import (
    AddBackend,
    Plan,
    PutCertificate,
    PutMapEntry,
    RemoveMapEntry,
    ReplaceMap,
    ServeCertificate,
)
from proxyctl.state.model import Desired, Running, RunningCertificate, certificate_name
from proxyctl.state.spares import CLAIMS_MAP, is_spare, parse_claims

Entries = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What a change is about: some backends, and some keys of maps, before it or after it."""

    backends: frozenset[str]
    """Names of routes' backends, never those of spares."""
    keys: Mapping[str, frozenset[str]]
    """File of a map -> keys."""
    certificates: frozenset[str]
    """Names of those that are for hosts of the part alone."""

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
            certificates=frozenset(c.name for each in some for c in each.certificates),
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
        loaded = running.certificates
        if loaded is not None:
            loaded = {name: one for name, one in loaded.items() if name in self.certificates}
        return replace(running, servers=servers, maps=maps, certificates=loaded)


def backends_of(plan: Plan) -> frozenset[str]:
    """Return the loaded backends whose servers a plan changes."""
    return frozenset(step.backend for step in plan.steps if hasattr(step, "backend"))


def with_steps(running: Running, plan: Plan) -> Running:
    """Return *running* as it is after the steps of *plan*, but for servers: these are asked."""
    changed = dict(running.maps)
    sections, servers = dict(running.sections), dict(running.servers)
    loaded = dict(running.certificates or {})
    for step in plan.steps:
        match step:
            case AddBackend(name, _, text):
                sections[f"backend/{name}"], servers[name] = text, ()
            case PutMapEntry(file, key, value):
                changed[file] = _without(changed[file], {key}, (key, value))
            case RemoveMapEntry(file, key):
                changed[file] = _without(changed[file], {key})
            case ReplaceMap(file, entries):
                changed[file] = entries
            case PutCertificate(one):
                before = loaded.get(one.name)
                loaded[one.name] = RunningCertificate(
                    fingerprint=one.fingerprint,
                    hosts=before.hosts if before else None,
                    chain=one.chain,
                )
            case ServeCertificate(file, hosts):
                name = certificate_name(file)
                loaded[name] = replace(loaded[name], hosts=hosts)
            case _:
                pass
    certificates = None if running.certificates is None else loaded
    return replace(
        running, sections=sections, servers=servers, maps=changed, certificates=certificates
    )


def _without(rows: Entries, keys: Collection[str], *more: tuple[str, str]) -> Entries:
    return (*(row for row in rows if row[0] not in keys), *more)
