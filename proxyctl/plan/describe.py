"""Steps in words, for `proxyctl diff`, the log and the history."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import assert_never

from proxyctl.plan.steps import (
    AddBackend,
    AddServer,
    CutSessions,
    Plan,
    PutCertificate,
    PutMapEntry,
    Reload,
    RemoveBackend,
    RemoveCertificate,
    RemoveMapEntry,
    RemoveServer,
    ReplaceMap,
    ServeCertificate,
    SetServerAddress,
    SetServerState,
    SetServerWeight,
    Start,
    Step,
    WriteFiles,
)
from proxyctl.state.model import Running
from proxyctl.state.spares import CLAIMS_MAP, route_names

_NONE: Mapping[str, str] = MappingProxyType({})


def describe(step: Step, names: Mapping[str, str] = _NONE) -> tuple[str, str, str]:
    """Return a sign (`+`, `~`, `-`, `!`), what is changed, and how.

    `names`: spare -> the backend that it stands for, whose name a person knows.
    """
    match step:
        case WriteFiles(files):
            return "~", "files", ", ".join(files)
        case AddBackend(backend):
            return "+", backend, "backend"
        case RemoveBackend(backend):
            return "-", backend, "empty backend"
        case (
            AddServer()
            | CutSessions()
            | RemoveServer()
            | SetServerAddress()
            | SetServerWeight()
            | SetServerState()
        ):
            return _of_server(step, names.get(step.backend, step.backend))
        case PutMapEntry(map=file, key=key, value=value) if file == CLAIMS_MAP:
            return "+", key, f"by spare {value.partition('|')[0]}"
        case RemoveMapEntry(map=file, key=key) if file == CLAIMS_MAP:
            return "-", key, "its spare"
        case PutMapEntry(_, key, value):
            return "+", key, f"to backend {names.get(value, value)}"
        case RemoveMapEntry(_, key):
            return "-", key, "route"
        case ReplaceMap(file, entries):
            return "~", file, f"{len(entries)} entries at once"
        case PutCertificate() | ServeCertificate() | RemoveCertificate():
            return _of_certificate(step)
        case Reload(reasons):
            return "!", "reload", "; ".join(reasons)
        case Start():
            return "!", "start", "HAProxy does not run"
        case _:
            assert_never(step)


def _of_certificate(
    step: PutCertificate | ServeCertificate | RemoveCertificate,
) -> tuple[str, str, str]:
    match step:
        case PutCertificate(certificate):
            return "+", certificate.file, f"certificate from {certificate.source}"
        case ServeCertificate(file, hosts):
            return "~", file, f"served for {', '.join(hosts) or 'names that nobody has'}"
        case RemoveCertificate(file):
            return "-", file, "certificate"
        case _:
            assert_never(step)


def _of_server(
    step: AddServer
    | CutSessions
    | RemoveServer
    | SetServerAddress
    | SetServerWeight
    | SetServerState,
    backend: str,
) -> tuple[str, str, str]:
    match step:
        case AddServer(_, server):
            return "+", f"{backend}/{server.name}", f"server {server.socket_address}"
        case CutSessions(_, name):
            return "-", f"{backend}/{name}", "what it left unanswered"
        case RemoveServer(_, name):
            return "-", f"{backend}/{name}", "server"
        case SetServerAddress(_, name, address, port):
            return "~", f"{backend}/{name}", f"address {address} port {port}"
        case SetServerWeight(_, name, weight):
            return "~", f"{backend}/{name}", f"weight {weight}"
        case SetServerState(_, name, state):
            return "~", f"{backend}/{name}", f"state {state}"
        case _:
            assert_never(step)


def names_for(steps: Iterable[Step], *seen: Running) -> dict[str, str]:
    """Return the backends by the spares that stand for them, or will after the steps."""
    names: dict[str, str] = {}
    for running in seen:
        names |= route_names(running)
    for step in steps:
        if isinstance(step, PutMapEntry) and step.map == CLAIMS_MAP:
            names[step.value.partition("|")[0]] = step.key
    return names


def words_of(plan: Plan, *seen: Running) -> str:
    """Return the steps of a plan on one line; `seen` tell whom the spares stand for."""
    names = names_for(plan.steps, *seen)
    return "; ".join(" ".join(describe(step, names)) for step in plan.steps)
