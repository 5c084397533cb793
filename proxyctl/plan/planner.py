"""(desired, running) -> Plan. The one place that decides what HAProxy is told.

    running             desired                  steps
    ─────────────────   ──────────────────────   ───────────────────────────────────────────────
    does not answer     anything                 files (without HTTP/3), start
    backend, servers    same section             the differences of its servers, at run time
    backend             not wanted               its map entries and servers removed at run time;
                                                 the empty section goes with the next reload
    server              moved, HTTP check        replaced: it begins down, and is checked first
    backend, empty      not wanted               removed when it is quiet, if HAProxy can (3.4)
    nothing             a section like a spare   added at run time, if HAProxy can (3.4)
    a free spare        a section like it        claimed, at run time (see `placement`)
    nothing             new or changed section   reload, with that as its reason
    map entries         other entries            one by one, or all at once where they are many
    certificates        others                   new ones before the entries of their hosts, old
                                                 ones last; a reload only where one is too big

What takes traffic away goes first: an address may belong to another pod a second later.
"""

from collections.abc import Iterable, Mapping

from proxyctl.plan.capabilities import capabilities_of
from proxyctl.plan.certificates import certificate_steps
from proxyctl.plan.placement import Placement, is_real, place
from proxyctl.plan.steps import (
    AddServer,
    CutSessions,
    Plan,
    PutMapEntry,
    Reload,
    RemoveBackend,
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
from proxyctl.state.desired import NOWHERE
from proxyctl.state.digest import digest
from proxyctl.state.frontends import backend_of, leading_to
from proxyctl.state.model import (
    Backend,
    Desired,
    Running,
    RunningServer,
    Server,
    ServerState,
)
from proxyctl.state.render import Rendered, starting
from proxyctl.state.spares import CLAIMS_MAP

MANY = 50
"""From so many changed entries on, a map is replaced as one transaction."""


def make_plan(
    desired: Desired,
    rendered: Rendered,
    running: Running,
    *,
    quiet: bool = False,
    reload: bool = True,
) -> Plan:
    """Return the steps that make HAProxy what it should be: none if it is.

    `quiet`: nothing has happened for a while, so that a reload for good housekeeping may be
    among them. Without `reload`: only what can be done at run time, since the reload was refused,
    and with it the files.
    """
    if not running.alive:
        rendered = starting(rendered)
    files = _changed_files(rendered, running) if reload else ()
    steps: list[Step] = [WriteFiles(files)] if files else []
    if not running.alive:
        return Plan((*steps, Start(_unproven(desired, running))), rendered.texts)
    placement = place(desired, rendered, running, quiet=quiet)
    away, towards, tidy = _server_steps(desired, running, placement)
    gone, new = _map_steps(desired, running, placement.loaded)
    steps += [*gone, *away]
    certificates = certificate_steps(desired, rendered, running)
    reasons = (*placement.reasons, *certificates.reasons, *_late_backups(desired, towards))
    if reasons and reload:
        steps.append(Reload(reasons, _unproven(desired, running)))
    else:
        steps += [*certificates.new, *_claim_steps(placement), *placement.added]
        steps += [*towards, *new, *tidy]
        steps += [RemoveMapEntry(CLAIMS_MAP, name) for name in placement.stale]
        steps += [*certificates.gone, *(_left_over(desired, running) if quiet else ())]
    return Plan(tuple(steps), rendered.texts)


def _late_backups(desired: Desired, towards: Iterable[Step]) -> tuple[str, ...]:
    """Return why there has to be a reload for backup servers that come.

    HAProxy uses the first backup only, and what is added at run time comes after `::hold`.
    """
    holds = {server for one in desired.backends if one.hold for server in one.servers}
    late = (step.server for step in towards if isinstance(step, AddServer) and step.server.backup)
    return tuple(f"backup server {server.name} is new" for server in late if server in holds)


def _claim_steps(placement: Placement) -> list[Step]:
    """Say in HAProxy what a spare is used for before it is used."""
    return [
        PutMapEntry(CLAIMS_MAP, name, claimed.value)
        for name, claimed in sorted(placement.claims.items())
    ]


def _left_over(desired: Desired, running: Running) -> list[Step]:
    """Return the removal of the backends that are loaded, not wanted, and empty by now."""
    if not capabilities_of(running.version).dynamic_backends:
        return []
    wanted = {backend.name for backend in desired.backends}
    return [
        RemoveBackend(name)
        for name, servers in sorted(running.servers.items())
        if name not in wanted and not name.startswith(":") and not any(map(is_real, servers))
    ]


def _changed_files(rendered: Rendered, running: Running) -> tuple[str, ...]:
    """Return what to write, and (without a text) what to remove."""
    wanted = {name: digest(text) for name, text in rendered.texts.items()}
    names = sorted(wanted.keys() | running.files.keys())
    return tuple(name for name in names if wanted.get(name) != running.files.get(name))


def _server_steps(
    desired: Desired, running: Running, placement: Placement
) -> tuple[list[Step], list[Step], list[Step]]:
    """Return the steps that take servers away, those that bring some, and those that tidy up.

    A server whose pod is served by another backend from now on goes last: until the maps lead
    there, requests still come to it.
    """
    # One that waits for a reload is served by its old section until then.
    wanted = {placement.loaded.get(b.name, b.name): b for b in desired.backends}
    present = {step.backend: () for step in placement.added} | dict(running.servers)
    alive = {(s.name, s.address, s.port) for b in desired.backends for s in b.servers}
    away: list[Step] = []
    towards: list[Step] = []
    tidy: list[Step] = []
    for name, servers in sorted(present.items()):
        there = {server.name: server for server in servers if is_real(server)}
        backend = wanted.get(name)
        for server in _unwanted(backend, there):
            moved = (server.name, server.address, server.port) in alive
            if server.state is ServerState.MAINT and server.sessions:
                continue  # it gets nothing new; what it has is to end first
            step = RemoveServer(name, server.name, gone=not moved)
            (tidy if moved else away).append(step)
        if backend:
            for goal in backend.servers:
                less, more = _one_server(name, backend, goal, there.get(goal.name))
                away += less
                towards += more
    return away, towards, tidy


def _unwanted(
    backend: Backend | None, there: Mapping[str, RunningServer]
) -> Iterable[RunningServer]:
    wanted = {server.name for server in backend.servers} if backend else set()
    return (server for name, server in sorted(there.items()) if name not in wanted)


def _one_server(
    name: str, backend: Backend, wanted: Server, there: RunningServer | None
) -> tuple[list[Step], list[Step]]:
    add = _add(name, backend, wanted)
    if there is None:
        return [], [add]
    if there.backup != wanted.backup:  # the one thing that cannot be changed
        return [RemoveServer(name, wanted.name)], [add]
    if add.checked_first and _is_another(wanted, there):
        # Who is in maintenance has lost its requests before: what is left is on its way elsewhere.
        gone = there.state is not ServerState.MAINT
        return [RemoveServer(name, wanted.name, gone=gone)], [add]
    move: list[Step] = []
    here = (wanted.address, wanted.port)
    if here == NOWHERE == (there.address, there.port) and there.sessions:
        move.append(CutSessions(name, wanted.name))
    if (there.address, there.port) != (wanted.address, wanted.port):
        move.append(SetServerAddress(name, wanted.name, wanted.address, wanted.port))
    state: list[Step] = []
    if there.state != wanted.state:
        state.append(SetServerState(name, wanted.name, wanted.state))
    weight: list[Step] = []
    if there.weight != wanted.weight:
        weight.append(SetServerWeight(name, wanted.name, wanted.weight))
    if wanted.state is ServerState.READY:
        # The address first, also where a reload follows: the old one may be another pod's.
        return move, [*weight, *state]
    return [*state, *move], weight


def _add(name: str, backend: Backend, server: Server) -> AddServer:
    """Return how a server is added. What an HTTP check is for, no open port can tell."""
    first = backend.check is not None and server.state is ServerState.READY
    return AddServer(name, server, backend.server_options, checked_first=first)


def _is_another(wanted: Server, there: RunningServer) -> bool:
    """Tell whether what answers now may not be what was checked: it was stopped, or moved.

    One that is left in maintenance with requests in flight is the same, taken out by hand.
    """
    moved = (there.address, there.port) != (wanted.address, wanted.port)
    return moved or (there.state is ServerState.MAINT and not there.sessions)


def _unproven(desired: Desired, running: Running) -> tuple[AddServer, ...]:
    """Return the servers that a new worker must not take for up before their first check."""
    found = []
    for backend in desired.backends:
        there = {server.name: server for server in running.servers.get(backend.name, ())}
        for server in backend.servers:
            add = _add(backend.name, backend, server)
            before = there.get(server.name)
            if add.checked_first and (before is None or _is_another(server, before)):
                found.append(add)
    return tuple(found)


def _map_steps(
    desired: Desired, running: Running, loaded: Mapping[str, str]
) -> tuple[list[Step], list[Step]]:
    """Return the steps that remove entries of maps, and those that add or change some."""
    gone: list[Step] = []
    new: list[Step] = []
    for wanted in desired.maps:
        there = running.maps.get(wanted.file)
        if there is None:
            continue  # not loaded: its section is new, which is a reason to reload
        entries = dict(_reachable(wanted.entries, loaded) if wanted.leads else wanted.entries)
        keys = frozenset(key for key, _ in wanted.entries)
        less, more = _one_map(wanted.file, entries, keys, there)
        if len(less) + len(more) > MANY:
            new.append(ReplaceMap(wanted.file, tuple(sorted(entries.items()))))
        else:
            gone += less
            new += more
    return gone, new


def _reachable(
    entries: Iterable[tuple[str, str]], loaded: Mapping[str, str]
) -> Iterable[tuple[str, str]]:
    """Return the entries that lead to what is loaded, by the names that it has there."""
    for key, value in entries:
        backend = backend_of(value)
        if backend in loaded:
            yield key, leading_to(value, loaded[backend])
        elif not backend or backend.startswith(":"):  # a redirect, or a section of our own
            yield key, value


def _one_map(
    file: str,
    entries: Mapping[str, str],
    keys: frozenset[str],
    there: tuple[tuple[str, str], ...],
) -> tuple[list[Step], list[Step]]:
    """Return what to remove, and what to add or change; a key of `keys` is never removed."""
    now = dict(there)
    twice = {key for key, _ in there} if len(now) != len(there) else set()
    less: list[Step] = [RemoveMapEntry(file, key) for key in sorted(now.keys() - keys)]
    more: list[Step] = [
        PutMapEntry(file, key, value)
        for key, value in sorted(entries.items())
        if now.get(key) != value or key in twice
    ]
    return less, more
