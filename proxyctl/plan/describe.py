"""Steps in words, for `proxyctl diff`, the log and the history."""

from typing import assert_never

from proxyctl.plan.steps import (
    AddServer,
    PutCertificate,
    PutMapEntry,
    Reload,
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
from proxyctl.state.spares import CLAIMS_MAP


def describe(step: Step) -> tuple[str, str, str]:
    """Return a sign (`+`, `~`, `-`, `!`), what is changed, and how."""
    match step:
        case WriteFiles(names):
            return "~", "files", ", ".join(names)
        case AddServer(backend, server):
            return "+", f"{backend}/{server.name}", f"server {server.socket_address}"
        case RemoveServer(backend, name):
            return "-", f"{backend}/{name}", "server"
        case SetServerAddress(backend, name, address, port):
            return "~", f"{backend}/{name}", f"address {address} port {port}"
        case SetServerWeight(backend, name, weight):
            return "~", f"{backend}/{name}", f"weight {weight}"
        case SetServerState(backend, name, state):
            return "~", f"{backend}/{name}", f"state {state}"
        case PutMapEntry(map=file, key=key, value=value) if file == CLAIMS_MAP:
            return "+", key, f"by spare {value.partition('|')[0]}"
        case RemoveMapEntry(map=file, key=key) if file == CLAIMS_MAP:
            return "-", key, "its spare"
        case PutMapEntry(_, key, value):
            return "+", key, f"to backend {value}"
        case RemoveMapEntry(_, key):
            return "-", key, "route"
        case ReplaceMap(file, entries):
            return "~", file, f"{len(entries)} entries at once"
        case PutCertificate(certificate):
            return "+", certificate.file, f"certificate from {certificate.source}"
        case ServeCertificate(file, hosts):
            return "~", file, f"served for {', '.join(hosts) or 'names that nobody has'}"
        case RemoveCertificate(file):
            return "-", file, "certificate"
        case Reload(reasons):
            return "!", "reload", "; ".join(reasons)
        case Start():
            return "!", "start", "HAProxy does not run"
        case _:
            assert_never(step)
