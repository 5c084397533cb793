"""(desired, running) -> Plan. The one place that decides what HAProxy is told.

    running             desired                  steps
    ─────────────────   ──────────────────────   ───────────────────────────────────────────────
    does not answer     anything                 files, start
    backend, servers    same section             the differences of its servers, at run time
    backend             not wanted               its map entries and servers removed at run time;
                                                 the empty section goes with the next reload
    nothing             new or changed section   reload, with that as its reason
    map entries         other entries            one by one, or all at once where they are many

What takes traffic away goes first: an address may belong to another pod a second later.
"""

from collections.abc import Iterable, Mapping

from proxyctl.plan.steps import (
    AddServer,
    Plan,
    PutMapEntry,
    Reload,
    RemoveMapEntry,
    RemoveServer,
    ReplaceMap,
    SetServerAddress,
    SetServerState,
    SetServerWeight,
    Start,
    Step,
    WriteFiles,
)
from proxyctl.state.digest import digest
from proxyctl.state.model import (
    Backend,
    Desired,
    Map,
    Running,
    RunningServer,
    Server,
    ServerState,
)
from proxyctl.state.render import Rendered

MANY = 50
"""From so many changed entries on, a map is replaced as one transaction."""


def make_plan(desired: Desired, rendered: Rendered, running: Running) -> Plan:
    """Return the steps that make HAProxy what it should be: none if it is."""
    files = _changed_files(rendered, running)
    steps: list[Step] = [WriteFiles(files)] if files else []
    if not running.alive:
        return Plan((*steps, Start()), rendered.texts)
    reasons = _reload_reasons(rendered, running)
    away, towards = _server_steps(desired, running)
    gone, new = _map_steps(desired, running)
    steps += [*gone, *away]
    if reasons:
        steps.append(Reload(reasons))
    else:
        steps += [*towards, *new]
    return Plan(tuple(steps), rendered.texts)


def _changed_files(rendered: Rendered, running: Running) -> tuple[str, ...]:
    """Return what to write, and (without a text) what to remove."""
    wanted = {name: digest(text) for name, text in rendered.texts.items()}
    names = sorted(wanted.keys() | running.files.keys())
    return tuple(name for name in names if wanted.get(name) != running.files.get(name))


def _reload_reasons(rendered: Rendered, running: Running) -> tuple[str, ...]:
    reasons = []
    for section in rendered.sections:
        loaded = running.sections.get(section.name)
        label = section.name.replace("/", " ", 1)
        if loaded is None:
            reasons.append(f"{label} is new")
        elif loaded != section.digest:
            reasons.append(f"{label} changed")
    return tuple(reasons)


def _server_steps(desired: Desired, running: Running) -> tuple[list[Step], list[Step]]:
    """Return the steps that take traffic away from servers, and those that bring it."""
    wanted = {backend.name: backend for backend in desired.backends}
    away: list[Step] = []
    towards: list[Step] = []
    for name, servers in sorted(running.servers.items()):
        there = {server.name: server for server in servers if not server.name.startswith(":")}
        backend = wanted.get(name)
        away += [RemoveServer(name, server) for server in _unwanted(backend, there)]
        if backend:
            for server in backend.servers:
                less, more = _one_server(backend, server, there.get(server.name))
                away += less
                towards += more
    return away, towards


def _unwanted(backend: Backend | None, there: Mapping[str, RunningServer]) -> Iterable[str]:
    wanted = {server.name for server in backend.servers} if backend else set()
    return sorted(there.keys() - wanted)


def _one_server(
    backend: Backend, wanted: Server, there: RunningServer | None
) -> tuple[list[Step], list[Step]]:
    add = AddServer(backend.name, wanted, backend.server_options)
    if there is None:
        return [], [add]
    if there.backup != wanted.backup:  # the one thing that cannot be changed
        return [RemoveServer(backend.name, wanted.name)], [add]
    move: list[Step] = []
    if (there.address, there.port) != (wanted.address, wanted.port):
        move.append(SetServerAddress(backend.name, wanted.name, wanted.address, wanted.port))
    state: list[Step] = []
    if there.state != wanted.state:
        state.append(SetServerState(backend.name, wanted.name, wanted.state))
    weight: list[Step] = []
    if there.weight != wanted.weight:
        weight.append(SetServerWeight(backend.name, wanted.name, wanted.weight))
    if wanted.state is ServerState.READY:
        # The address first, also where a reload follows: the old one may be another pod's.
        return move, [*weight, *state]
    return [*state, *move], weight


def _map_steps(desired: Desired, running: Running) -> tuple[list[Step], list[Step]]:
    """Return the steps that remove entries of maps, and those that add or change some."""
    gone: list[Step] = []
    new: list[Step] = []
    for wanted in desired.maps:
        there = running.maps.get(wanted.file)
        if there is None:
            continue  # not loaded: its section is new, which is a reason to reload
        less, more = _one_map(wanted, there)
        if len(less) + len(more) > MANY:
            new.append(ReplaceMap(wanted.file, wanted.entries))
        else:
            gone += less
            new += more
    return gone, new


def _one_map(wanted: Map, there: tuple[tuple[str, str], ...]) -> tuple[list[Step], list[Step]]:
    entries = dict(wanted.entries)
    now = dict(there)
    twice = {key for key, _ in there} if len(now) != len(there) else set()
    less: list[Step] = [
        RemoveMapEntry(wanted.file, key) for key in sorted(now.keys() - entries.keys())
    ]
    more: list[Step] = [
        PutMapEntry(wanted.file, key, value)
        for key, value in sorted(entries.items())
        if now.get(key) != value or key in twice
    ]
    return less, more
