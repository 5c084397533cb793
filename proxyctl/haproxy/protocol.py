r"""The runtime API as text: what we say, and whether the answer is a no. Opens no socket.

Whatever stands in a command has passed one of the alphabets below: `;` starts another command, a
newline ends one, `<<` starts a payload, `\` escapes. What HAProxy tells is read in `answers`.
Sources: management.txt 9.3 and measurements on 2.6.12 and 3.0.11.
"""

import re
from collections.abc import Iterable, Iterator
from typing import assert_never

from proxyctl.addresses import parse_address
from proxyctl.plan.capabilities import Capabilities
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
from proxyctl.state.model import Server, ServerState
from proxyctl.state.render import HOLD_SERVER, filters
from proxyctl.state.spares import DEFAULTS

CertificateStep = PutCertificate | ServeCertificate | RemoveCertificate
MapOrServerStep = (
    AddServer
    | RemoveServer
    | CutSessions
    | SetServerAddress
    | SetServerWeight
    | SetServerState
    | PutMapEntry
    | RemoveMapEntry
    | ReplaceMap
)
BackendStep = AddBackend | RemoveBackend
RuntimeStep = MapOrServerStep | CertificateStep | BackendStep

_FILE = re.compile(r"/[A-Za-z0-9_.:/@+~-]{1,900}")
_HOST = re.compile(r"(\*\.)?[a-z0-9_][a-z0-9_.-]{0,252}")
_PEM = re.compile(r"(-----(BEGIN|END) [A-Z0-9 ]+-----\n|[A-Za-z0-9+/=]+\n)+")
_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,255}")
_MAP_FILE = re.compile(r"[A-Za-z0-9_.:/@+~-]{1,4000}")
_MAP_WORD = re.compile(r"(?!<<)[A-Za-z0-9_.:/,*@=+~|!$%&()?^{}\[\]-]{1,8000}")
_OPTION = re.compile(r"[A-Za-z0-9_.:/,()@=+%~-]{1,1000}")

_SILENT = ""
_EXPECTED = (
    ("add backend ", "New backend registered."),
    ("publish backend ", "Backend published."),
    ("unpublish backend ", "Backend unpublished."),
    ("del backend ", "Backend deleted."),
    ("add server ", "New server registered."),
    ("del server ", "Server deleted."),
    ("prepare map ", "New version created: "),
    ("new ssl cert ", "New empty certificate store"),
    ("set ssl cert ", "Transaction created for certificate"),
    ("commit ssl cert ", "Success!"),
    ("abort ssl cert ", "Transaction aborted for certificate"),
    ("add ssl crt-list ", "Success!"),
    ("del ssl crt-list ", "Entry '"),
    ("del ssl cert ", "Certificate '"),
)
_ADDRESS_SET = ("IP changed ", "port changed ", "no need to change ", "nothing changed")
_REFUSED_SHOW = (
    "Unknown ", "No such ", "Permission denied", "Can't find ", "Missing ", "Require", "Invalid ",
    "Version number ", "The command line is too big", "Error",
)  # fmt: skip
_NOTICE = re.compile(
    r"(Backup )?[Ss]erver \S+/\S+ (is|was) |[Bb]ackend \S+ has no server |Health "
)

NAME_TAKEN = "name is already used"
NOT_IN_MAP = ("entry not found.", "Key not found.")
ALREADY_THERE = "Already exists a server with the same name"
NO_SUCH_SERVER = "No such server."
NOT_IN_MAINT = "Only servers in maintenance mode can be deleted."
STILL_CONNECTED = "still has connections"


def commands(
    step: MapOrServerStep, capabilities: Capabilities, *, server_id: int = 0, version: int = 0
) -> tuple[str, ...]:
    """Return the commands that make HAProxy do *step*, one answer each.

    `server_id`, for AddServer, is an id that no server of the backend has; `version`, for
    ReplaceMap, is what `prepare_map` brought. The `map` of a step is HAProxy's name of it.
    Raises CommandRejected for a value that must not reach the wire.
    """
    match step:
        case AddServer():
            return tuple(_add_server(step, capabilities, server_id))
        case RemoveServer(backend, name):
            # From maint alone, 2.6 puts idle connections back for seconds: drain comes first.
            at = _server(backend, name)
            return *(f"set server {at} state {to}" for to in ("drain", "maint")), delete(step)
        case CutSessions():
            return (shut_sessions(step),)
        case SetServerAddress(backend, name, address, port):
            host, number = _address(address), _number(port, 1, 65535)
            return (f"set server {_server(backend, name)} addr {host} port {number}",)
        case SetServerWeight(backend, name, weight):
            return (f"set server {_server(backend, name)} weight {_number(weight, 0, 256)}",)
        case SetServerState(backend, name, state):
            return (f"set server {_server(backend, name)} state {ServerState(state)}",)
        case PutMapEntry(file, key, value):
            return (f"set map {_map(file)} {_map_word(key)} {_map_word(value)}",)
        case RemoveMapEntry(file, key):
            return (f"del map {_map(file)} {_map_word(key)}",)
        case ReplaceMap(file, entries):
            return *_batches(file, entries, version, capabilities), _commit(file, version)
        case _:
            assert_never(step)


def add_backend(step: AddBackend) -> tuple[str, ...]:
    """Return the commands that make a backend, with the server that lets requests wait."""
    name, hold = _name(step.backend), _server(step.backend, HOLD_SERVER)
    return (
        f"add backend {name} from {_name(DEFAULTS + step.kind)}",
        f"add server {hold} 127.0.0.1:1 backup",
        f"enable server {hold}",
        f"publish backend {name}",
    )


def remove_backend(backend: str) -> tuple[str, ...]:
    """Return the commands that delete a backend without servers of workloads (3.4).

    One that was never published, or half made, refuses some of them: the last one tells.
    """
    name, hold = _name(backend), _server(backend, HOLD_SERVER)
    return (
        f"unpublish backend {name}",
        f"set server {hold} state maint",
        f"del server {hold}",
        f"del backend {name}",
    )


def become(step: AddServer) -> tuple[str, ...]:
    """Return the commands that make of a server that is there the one that is to be added."""
    at = _server(step.backend, step.server.name)
    address, port = _address(step.server.address), _number(step.server.port, 1, 65535)
    return (
        f"set server {at} state maint",
        f"set server {at} addr {address} port {port}",
        f"set server {at} weight {_number(step.server.weight, 0, 256)}",
    )


def delete(step: RemoveServer) -> str:
    """Return the last of the commands of *step*, which works on a server in maintenance only."""
    return f"del server {_server(step.backend, step.name)}"


def shut_sessions(step: RemoveServer | CutSessions) -> str:
    """Return the command that ends all sessions of a server (management.txt 9.3)."""
    return f"shutdown sessions server {_server(step.backend, step.name)}"


def add_entry(step: PutMapEntry) -> str:
    """Return the command for a key that `set map` does not find: `add` alone piles them up."""
    row = f"{_map_word(step.key)} {_map_word(step.value)}"
    return f"add map {_map(step.map)} <<\n{row}\n"


def statistics_of(backend: str) -> str:
    """Return the command that shows the statistics of the servers of a backend (type 4)."""
    return f"show stat {_name(backend)} 4 -1"


def servers_of(backend: str) -> str:
    """Return the command that shows the state of the servers of a backend."""
    return f"show servers state {_name(backend)}"


def prepare_map(file: str) -> str:
    """Return the command that starts a new version of a map."""
    return f"prepare map {_map(file)}"


def show_map(file: str, version: int = 0) -> str:
    """Return the command that lists a map, or a version of it that is not committed yet."""
    return f"show map @{version} {_map(file)}" if version else f"show map {_map(file)}"


def abort_map(file: str, version: int) -> str:
    """Return the command that throws a version away that was prepared."""
    return f"clear map @{version} {_map(file)}"


def put_certificate(file: str, pem: str) -> tuple[str, str]:
    """Return the commands of a transaction; `abort_certificate` ends one that was refused."""
    if not _PEM.fullmatch(pem):
        raise CommandRejected(f"not sent: the contents of {file} are not PEM")
    return f"set ssl cert {_file(file)} <<\n{pem}", f"commit ssl cert {_file(file)}"


def new_certificate(file: str) -> str:
    """Return the command that makes room for a certificate that is not loaded."""
    return f"new ssl cert {_file(file)}"


def abort_certificate(file: str) -> str:
    """Return the command that throws a transaction away."""
    return f"abort ssl cert {_file(file)}"


def delete_certificate(file: str) -> str:
    """Return the command that forgets a certificate that no list has."""
    return f"del ssl cert {_file(file)}"


def list_certificate(crt_list: str, file: str, hosts: tuple[str, ...]) -> str:
    """Return the command that adds a line to a crt-list."""
    names = filters(_checked(_HOST, host, "the name of a host") for host in hosts)
    return f"add ssl crt-list {_file(crt_list)} <<\n{_file(file)} {names}\n"


def unlist_certificate(crt_list: str, file: str, number: str) -> str:
    """Return the command that takes the line with a number out of a crt-list."""
    return f"del ssl crt-list {_file(crt_list)} {_file(file)}:{_number(int(number), 1, 2**31)}"


def show_certificate(file: str) -> str:
    """Return the command that tells a certificate's fingerprint."""
    return f"show ssl cert {_file(file)}"


def show_crt_list(crt_list: str) -> str:
    """Return the command that tells the lines of a crt-list with their numbers."""
    return f"show ssl crt-list -n {_file(crt_list)}"


def refusal(command: str, answer: str) -> str | None:
    """Return why HAProxy refused *command*, None if it did not.

    There is no code to look at: `set severity-output` does not reach the next command through the
    master's socket (2.6, 3.0). So only the answers that are known to mean yes are a yes.
    """
    lines = [line for line in answer.splitlines() if not _NOTICE.match(line)]
    first = lines[0].strip() if lines else ""
    if "<<\n" in command:
        # One "+ " for each line of the payload; 2.6 may add the help text after the answer.
        first = re.sub(r"^(\+ ?)+", "", first).strip()
        lines[:1] = [first]
    return None if _is_yes(command, first, lines) else first or "no answer"


def _is_yes(command: str, first: str, lines: Iterable[str]) -> bool:
    if command.startswith("show "):
        return not first.startswith(_REFUSED_SHOW)
    if command.startswith("set server ") and " addr " in command:
        return first.startswith(_ADDRESS_SET)
    for start, yes in _EXPECTED:
        if command.startswith(start):
            return any(line.startswith(yes) for line in lines)
    return first == _SILENT


def shortened(command: str) -> str:
    """Return a command for a message: one line, without its payload, at most 120 characters."""
    first = command.split("\n", 1)[0]
    return first if len(first) <= 120 else f"{first[:119]}…"


def _add_server(step: AddServer, capabilities: Capabilities, number: int) -> Iterator[str]:
    backend, server = step.backend, step.server
    at = _server(backend, server.name)
    words = [_option(word) for option in step.options for word in option.split()]
    line = [
        f"add server {at} {_socket_address(server)}",
        f"weight {_number(server.weight, 0, 256)}",
    ]
    line += [f"id {_number(number, 1, 2**31 - 1)}"] if number else []
    line += ["backup"] if server.backup else []
    if capabilities.needs_pool_options and "pool-max-conn" not in words:
        line.append("pool-max-conn -1 pool-purge-delay 5s")
    yield " ".join([*line, *words])
    if capabilities.needs_dynamic_cookie_enabled:
        yield f"enable dynamic-cookie backend {_name(backend)}"
    if "check" in words:
        yield f"enable health {at}"  # a dynamic server is born without checks, and in maint
    match server.state:
        case ServerState.READY if step.checked_first:
            # Whoever leaves maintenance is up: out of it in drain, where nobody notices.
            yield f"set server {at} state drain"
            yield f"set server {at} health down"
            yield f"set server {at} state ready"
        case ServerState.READY:
            yield f"enable server {at}"
        case ServerState.DRAIN:
            yield f"set server {at} state drain"
        case ServerState.MAINT:
            return
        case _:
            assert_never(server.state)


def _batches(
    file: str, entries: Iterable[tuple[str, str]], version: int, capabilities: Capabilities
) -> Iterator[str]:
    head = f"add map @{_number(version, 1, 2**32)} {_map(file)} <<\n"
    room = capabilities.payload_bytes - len(head)
    batch: list[str] = []
    size = 0
    for key, value in entries:
        row = f"{_map_word(key)} {_map_word(value)}\n"
        if len(row) > room:
            raise CommandRejected(f"not sent: an entry of {len(row)} bytes for map {file}")
        if size + len(row) > room:
            yield head + "".join(batch)
            batch, size = [], 0
        batch.append(row)
        size += len(row)
    if batch:
        yield head + "".join(batch)


def _commit(file: str, version: int) -> str:
    return f"commit map @{version} {_map(file)}"


def _server(backend: str, name: str) -> str:
    return f"{_name(backend)}/{_name(name)}"


def _name(text: str) -> str:
    return _checked(_NAME, text, "a name")


def _map(text: str) -> str:
    return _checked(_MAP_FILE, text, "the name of a map")


def _map_word(text: str) -> str:
    return _checked(_MAP_WORD, text, "a key or a value of a map")


def _file(text: str) -> str:
    return _checked(_FILE, text, "the path of a certificate")


def _option(text: str) -> str:
    return _checked(_OPTION, text, "an option of a server")


def _checked(alphabet: re.Pattern[str], text: str, what: str) -> str:
    if not alphabet.fullmatch(text):
        raise CommandRejected(f"not sent: {text[:80]!r} cannot be {what}")
    return text


def _number(number: int, least: int, most: int) -> int:
    if not least <= number <= most:
        raise CommandRejected(f"not sent: {number} is not from {least} to {most}")
    return int(number)


def _address(text: str) -> str:
    try:
        return parse_address(text).compressed
    except ValueError:
        raise CommandRejected(f"not sent: {text[:80]!r} is not an IP address") from None


def _socket_address(server: Server) -> str:
    address, port = _address(server.address), _number(server.port, 1, 65535)
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
