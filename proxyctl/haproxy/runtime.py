"""The steps that need no reload, done in a conversation with the worker."""

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import assert_never

from proxyctl.haproxy import answers, certificates, observing, protocol
from proxyctl.haproxy.files import Layout
from proxyctl.haproxy.observing import names_of_maps
from proxyctl.haproxy.protocol import RuntimeStep
from proxyctl.haproxy.socket import Conversation
from proxyctl.plan.capabilities import Capabilities, capabilities_of
from proxyctl.plan.steps import (
    AddBackend,
    AddServer,
    CutSessions,
    PutCertificate,
    PutMapEntry,
    RemoveBackend,
    RemoveCertificate,
    RemoveMapEntry,
    RemoveServer,
    ReplaceMap,
    ServeCertificate,
    SetServerAddress,
    SetServerState,
    SetServerWeight,
)
from proxyctl.problems import CommandRejected
from proxyctl.state.render import SECTIONS_MAP

_CUT = 0.1
"""Seconds that sessions may take to end when they are cut; under 10 ms on 2.6 and 3.x."""
_POLL = 0.02
_IN_THE_WAY = "-"
"""The digest of no section: a backend that is not ours, or that cannot be removed. The planner
then sees a name that is taken, and does without."""


def do(
    talk: Conversation,
    step: RuntimeStep,
    layout: Layout,
    *,
    texts: Mapping[str, str],
    removal_until: float,
) -> None:
    """Make HAProxy do *step*; raises CommandRejected.

    `texts`: the plan's, which has the contents of certificates. `removal_until`: when, by the
    monotonic clock, a removal stops waiting for connections.
    """
    capabilities = capabilities_of(observing.version(talk))
    match step:
        case AddBackend():
            _add_backend(talk, step, layout, capabilities)
        case RemoveBackend():
            _remove_backend(talk, step, layout, capabilities)
        case AddServer():
            _add_server(talk, step, capabilities)
        case RemoveServer():
            _remove_server(talk, step, capabilities, removal_until)
        case PutMapEntry() | RemoveMapEntry() | ReplaceMap():
            _change_map(talk, step, layout, capabilities)
        case CutSessions() | SetServerAddress() | SetServerWeight() | SetServerState():
            for command in protocol.commands(step, capabilities):
                talk.ask(command)
        case PutCertificate(certificate):
            certificates.do(talk, step, layout, texts[certificate.file])
        case ServeCertificate() | RemoveCertificate():
            certificates.do(talk, step, layout, "")
        case _:
            assert_never(step)


def _change_map(
    talk: Conversation,
    step: PutMapEntry | RemoveMapEntry | ReplaceMap,
    layout: Layout,
    capabilities: Capabilities,
) -> None:
    there = replace(step, map=_loaded(talk, step.map, layout))
    match there:
        case PutMapEntry():
            _put(talk, there, capabilities)
        case RemoveMapEntry():
            _remove_entry(talk, there, capabilities)
        case ReplaceMap():
            _replace_map(talk, there, capabilities)
        case _:
            assert_never(there)


def _loaded(talk: Conversation, file: str, layout: Layout) -> str:
    """Return HAProxy's name of a map."""
    name = names_of_maps(talk, layout).get(file)
    if name is None:
        raise CommandRejected(f"map {file} is not loaded")
    return name


def _add_backend(
    talk: Conversation, step: AddBackend, layout: Layout, capabilities: Capabilities
) -> None:
    """Add it, and note it last: what is noted is whole."""
    add, *more = protocol.add_backend(step)
    reason = protocol.refusal(add, talk.tell(add))
    if reason and protocol.NAME_TAKEN in reason:  # half made, or left over: nobody noted it
        for command in protocol.remove_backend(step.backend):
            talk.tell(command)
        if protocol.refusal(add, talk.tell(add)):
            _note_backend(talk, step.backend, _IN_THE_WAY, layout, capabilities)
            raise CommandRejected(f"{add}: {reason}")
    elif reason:
        raise CommandRejected(f"{add}: {reason}")
    for command in more:
        talk.ask(command)
    _note_backend(talk, step.backend, step.digest, layout, capabilities)


def _note_backend(
    talk: Conversation, backend: str, text: str, layout: Layout, capabilities: Capabilities
) -> None:
    note = PutMapEntry(SECTIONS_MAP, f"backend/{backend}", text)
    _change_map(talk, note, layout, capabilities)


def _remove_backend(
    talk: Conversation, step: RemoveBackend, layout: Layout, capabilities: Capabilities
) -> None:
    """Strike it out first: what is noted is whole."""
    note = RemoveMapEntry(SECTIONS_MAP, f"backend/{step.backend}")
    _change_map(talk, note, layout, capabilities)
    for command in protocol.remove_backend(step.backend):
        talk.tell(command)  # a request may wait in it still: then it stays, and does no harm


def _add_server(talk: Conversation, step: AddServer, capabilities: Capabilities) -> None:
    number = 0
    if capabilities.needs_server_id:
        state = answers.parse_servers_state(talk.ask(protocol.servers_of(step.backend)))
        number = answers.unused_id(state)
    add, *more = protocol.commands(step, capabilities, server_id=number)
    reason = protocol.refusal(add, talk.tell(add))
    if reason and protocol.ALREADY_THERE in reason and step.checked_first:
        # Its last connections keep it from being deleted. It becomes the new one, which is not up
        # before a check has passed either.
        more = [*protocol.become(step), *more]
    elif reason:
        raise CommandRejected(f"{protocol.shortened(add)}: {reason}")
    for command in more:
        talk.ask(command)


def _remove_server(
    talk: Conversation, step: RemoveServer, capabilities: Capabilities, until: float
) -> None:
    """Drain, put into maintenance, delete; what has connections then is deleted another time."""
    if _is_deleted(talk, step):  # it was left in maintenance
        return
    drain, maint, _ = protocol.commands(step, capabilities)
    if not _is_in_maint(talk, step):
        talk.ask(drain)
        while _connections(talk, step) and time.monotonic() < until:
            time.sleep(_POLL)
        talk.ask(maint)
    if step.gone and _connections(talk, step):
        talk.ask(protocol.shut_sessions(step))  # nobody is there to answer them
        until = max(until, time.monotonic() + _CUT)
    while not _is_deleted(talk, step) and time.monotonic() < until:
        time.sleep(_POLL)


def _is_deleted(talk: Conversation, step: RemoveServer) -> bool:
    command = protocol.delete(step)
    reason = protocol.refusal(command, talk.tell(command))
    if reason is None or reason == protocol.NO_SUCH_SERVER:
        return True
    if reason == protocol.NOT_IN_MAINT or protocol.STILL_CONNECTED in reason:
        return False
    raise CommandRejected(f"{command}: {reason}")


def _is_in_maint(talk: Conversation, step: RemoveServer) -> bool:
    rows = answers.parse_servers_state(talk.ask(protocol.servers_of(step.backend)))
    return any(row["srv_name"] == step.name and answers.in_maint(row) for row in rows)


def _connections(talk: Conversation, step: RemoveServer) -> int:
    stat = answers.parse_stat(talk.ask(protocol.statistics_of(step.backend)))
    return answers.connections(stat, step.name)


def _put(talk: Conversation, step: PutMapEntry, capabilities: Capabilities) -> None:
    """Set the value, or add the key: at no time is it missing, or there twice."""
    (command,) = protocol.commands(step, capabilities)
    reason = protocol.refusal(command, talk.tell(command))
    if reason in protocol.NOT_IN_MAP:
        talk.ask(protocol.add_entry(step))
    elif reason:
        raise CommandRejected(f"{protocol.shortened(command)}: {reason}")


def _remove_entry(talk: Conversation, step: RemoveMapEntry, capabilities: Capabilities) -> None:
    (command,) = protocol.commands(step, capabilities)
    reason = protocol.refusal(command, talk.tell(command))
    if reason and reason not in protocol.NOT_IN_MAP:
        raise CommandRejected(f"{protocol.shortened(command)}: {reason}")


def _replace_map(talk: Conversation, step: ReplaceMap, capabilities: Capabilities) -> None:
    """Fill a new version, count it, commit it; the old one answers until then.

    Counted, because 2.6 answers nothing when it loses a payload that is too big for its buffer.
    """
    version = answers.parse_map_version(talk.ask(protocol.prepare_map(step.map)))
    try:
        *batches, commit = protocol.commands(step, capabilities, version=version)
        for batch in batches:
            talk.ask(batch)
        arrived = len(answers.parse_map(talk.ask(protocol.show_map(step.map, version))))
        if arrived != len(step.entries):
            raise CommandRejected(f"map {step.map}: {arrived} of {len(step.entries)} entries")
        talk.ask(commit)
    except CommandRejected:
        talk.tell(protocol.abort_map(step.map, version))
        raise
