"""What HAProxy tells, as values. Pure; tables are read by their header, never by position.

Versions add columns: `show stat` has some 100 of them in 2.6 and 190 in 3.x.
"""

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter

from proxyctl.plan.steps import AddServer
from proxyctl.state.model import OldWorker, RunningServer, ServerState
from proxyctl.state.pem import serial

Row = Mapping[str, str]
Alert = tuple[int | None, str]

_ADMIN_MAINT = 0x63
"""srv_admin_state: forced, inherited, by DNS, by name (management.txt, "show servers state");
0x04 only tells that the file says `disabled`."""
_ADMIN_DRAIN = 0x18
_CHECK_UNKNOWN = "1"
_CHECK_ENABLED = "6"
"""srv_check_state: configured and enabled."""

_NAME_OF = attrgetter("name")
_STAT = ("pxname", "svname", "status", "bck", "scur")

_MESSAGE = re.compile(r"^\[(ALERT|WARNING|NOTICE)\]\s+\(\d+\) : (?:config : )?(.*)$")
_LOCATION = re.compile(r"(?:[Pp]arsing )?\[([^\]:]+):(\d+)\]\s*:?\s*")
_WORKER = re.compile(
    r"^(\d+)\s+worker\s+(\d+)\s+(?:\[.*?\]\s+)?(\d+)d(\d+)h(\d+)m(\d+)s", re.MULTILINE
)
_SUMMARIES = ("Error(s) found in configuration file", "Fatal errors found in configuration")


@dataclass(frozen=True, slots=True, kw_only=True)
class Processes:
    """The master and its worker, from `show proc` on the master's socket."""

    master: int
    reloads: int
    """Attempts to reload since the master was started."""
    failed: int
    """Those that failed since the last one that did not."""
    worker: int
    """Pid of the current worker, 0 if there is none."""
    old: tuple[OldWorker, ...] = ()


def parse_info(text: str) -> dict[str, str]:
    """Return the lines `Name: value` of `show info`."""
    pairs = (line.partition(":") for line in text.splitlines())
    return {name.strip(): value.strip() for name, colon, value in pairs if colon}


def parse_version(text: str) -> tuple[int, int, int]:
    """Return the numbers of a version, zeros where it has none: `2.6.12-1+deb12u4`, `3.4-dev1`."""
    found = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else (0, 0, 0)


def parse_servers_state(text: str) -> tuple[Row, ...]:
    """Return the rows of `show servers state`: one per server."""
    lines = text.splitlines()
    header = next((line for line in lines if line.startswith("# ")), "# ")[2:].split()
    rows = (line.split() for line in lines if line and not line.startswith("#"))
    return tuple(dict(zip(header, row, strict=False)) for row in rows if len(row) > 1)


def parse_stat(text: str) -> tuple[Row, ...]:
    """Return the rows of `show stat`: of its hundred columns those that are read here.

    They stand in front: the rest of a line, which is most of it, is not looked into.
    """
    lines = text.removeprefix("# ").splitlines()
    header = lines[0].split(",") if lines else []
    columns = [(name, header.index(name)) for name in _STAT if name in header]
    end = max((at for _, at in columns), default=0) + 1
    rows = (_first_columns(line, end) for line in lines[1:])
    return tuple({name: row[at] for name, at in columns} for row in rows if len(row) > 1)


def _first_columns(line: str, number: int) -> list[str]:
    return next(csv.reader([line])) if '"' in line else line.split(",", number)


def parse_map(text: str) -> tuple[tuple[str, str], ...]:
    """Return the entries of `show map FILE`, sorted; a key may be there more than once."""
    rows = (line.split(" ", 2) for line in text.splitlines() if line.startswith("0x"))
    return tuple(sorted((row[1], row[2] if len(row) > 2 else "") for row in rows if len(row) > 1))


def parse_map_file(text: str) -> dict[str, str]:
    """Return the entries of a map's file; the first of a key wins, as in HAProxy."""
    entries: dict[str, str] = {}
    for line in text.splitlines():
        key, _, value = line.strip().partition(" ")
        if key and not key.startswith("#"):
            entries.setdefault(key, value.strip())
    return entries


def parse_maps(text: str) -> tuple[str, ...]:
    """Return the names of the maps that are loaded, from `show map`, sorted."""
    return tuple(sorted(set(re.findall(r"^-?\d+ \(([^)]+)\)", text, re.MULTILINE))))


def parse_map_version(text: str) -> int:
    """Return the number that `prepare map` answers, 0 if it does not."""
    found = re.search(r"New version created: (\d+)", text)
    return int(found[1]) if found else 0


def parse_certificate_names(text: str) -> tuple[tuple[str, ...], str]:
    """Return the names of `show ssl cert`, and the one that a transaction is open for, or ""."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    names = [line for line in lines if not line.startswith(("#", "*"))]
    return tuple(names), next((line[1:] for line in lines if line.startswith("*")), "")


def parse_certificate(text: str) -> tuple[str, int]:
    """Return fingerprint and number of issuers of `show ssl cert FILE`; "" if it is empty.

    Of a certificate that HAProxy does not tell to its end, the serial number (`state.pem`).
    """
    found = re.search(r"^SHA1 FingerPrint: ([0-9A-F]+)$", text, re.MULTILINE)
    number = re.search(r"^Serial: ([0-9A-F]+)$", text, re.MULTILINE)
    if not found and number:
        return serial(int(number[1], 16)), 0
    return (found[1] if found else ""), len(re.findall(r"^Chain Subject:", text, re.MULTILINE))


def parse_crt_list(text: str) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    """Return the lines of `show ssl crt-list -n LIST`: file, its number, names, sorted.

    Names are "" and nothing more where options make a line another than ours.
    """
    found = []
    for line in text.splitlines():
        words = line.split()
        file, colon, number = words[0].rpartition(":") if words else ("", "", "")
        if colon and number.isdigit() and not line.startswith("#"):
            options = any(word.startswith("[") for word in words[1:])
            names = tuple(sorted(word for word in words[1:] if word != "!*"))
            found.append((file, number, ("",) if options else names))
    return tuple(found)


def parse_proc(text: str) -> Processes:
    """Return the processes of `show proc`."""
    master = re.search(r"^(\d+)\s+master\s+(\d+)(?:\s+\[failed:\s*(\d+)\])?", text, re.MULTILINE)
    current, _, old = text.partition("\n# old workers\n")
    workers = re.findall(r"^(\d+)\s+worker\b", current.partition("\n# programs")[0], re.MULTILINE)
    finishing = _WORKER.findall(old.partition("\n# programs")[0])
    return Processes(
        master=int(master[1]) if master else 0,
        reloads=int(master[2]) if master else 0,
        failed=int(master[3] or 0) if master else 0,
        worker=int(workers[0]) if workers else 0,
        old=tuple(_old_worker(*map(int, numbers)) for numbers in finishing),
    )


def _old_worker(*numbers: int) -> OldWorker:
    pid, reloads, days, hours, minutes, seconds = numbers
    uptime = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    return OldWorker(pid=pid, reloads=reloads, uptime=uptime)


def parse_alerts(text: str, *, file: str = "") -> tuple[Alert, ...]:
    """Return the alerts of HAProxy's standard error, with the line where it is one of *file*.

    A line of another file is told in the text: it is not ours to explain.
    """
    messages = (_MESSAGE.match(line) for line in text.splitlines())
    found = [one[2] for one in messages if one and one[1] == "ALERT"]
    telling = [one for one in found if not one.startswith(_SUMMARIES)] or found
    return tuple(dict.fromkeys(_alert(one, file) for one in telling))


def _alert(message: str, file: str) -> Alert:
    where = _LOCATION.search(message)
    if not where or where[1] != file:
        return None, message
    return int(where[2]), (message[: where.start()] + message[where.end() :]).strip()


def parse_features(text: str) -> frozenset[str]:
    """Return what `haproxy -vv` says that it was built with, and without: `+QUIC`, `-QUIC`."""
    lists = re.findall(r"^Feature list :(.*)$", text, re.MULTILINE)
    return frozenset(word for one in lists for word in one.split())


def succeeded(answer: str) -> bool:
    """Tell whether `reload` says `Success=1` (>= 2.7)."""
    return answer.lstrip().startswith("Success=1")


def servers(state: Iterable[Row], stat: Iterable[Row]) -> dict[str, tuple[RunningServer, ...]]:
    """Return the servers by backend, in the order of their names."""
    told = {(row["pxname"], row["svname"]): row for row in stat}
    found: dict[str, list[RunningServer]] = {}
    for row in state:
        backend, name = row["be_name"], row["srv_name"]
        server = _server(row, told.get((backend, name), {}))
        found.setdefault(backend, []).append(server)
    return {name: tuple(sorted(some, key=_NAME_OF)) for name, some in found.items()}


def _server(row: Row, stat: Row) -> RunningServer:
    return RunningServer(
        name=row["srv_name"],
        address=row["srv_addr"],
        port=int(row["srv_port"]),
        weight=int(row["srv_uweight"]),
        backup=stat.get("bck") == "1",
        state=_state_of(row["srv_admin_state"]),
        up=not stat.get("status", "").startswith("DOWN"),
        id=int(row["srv_id"]),
        sessions=int(stat.get("scur") or 0),
    )


@lru_cache(maxsize=64)
def _state_of(flags: str) -> ServerState:
    """Return the state by srv_admin_state: a few values, in thousands of rows."""
    admin = int(flags)
    if admin & _ADMIN_MAINT:
        return ServerState.MAINT
    return ServerState.DRAIN if admin & _ADMIN_DRAIN else ServerState.READY


def in_maint(row: Row) -> bool:
    """Tell whether a row of `show servers state` is of a server in maintenance."""
    return _state_of(row["srv_admin_state"]) is ServerState.MAINT


def unused_id(state: Iterable[Row]) -> int:
    """Return the least id from 1 that no server of a backend has."""
    used = {int(row["srv_id"]) for row in state}
    return next(number for number in range(1, len(used) + 2) if number not in used)


def connections(stat: Iterable[Row], name: str) -> int:
    """Return how many sessions a server has now; 0 if it is not there."""
    return sum(int(row.get("scur") or 0) for row in stat if row["svname"] == name)


NO_STATE = (
    "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight "
    "srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health "
    "srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord "
    "srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port\n"
)
"""The answer of `show servers state` (version 1, management.txt 9.3) where there are none."""


def state_to_keep(text: str) -> str:
    """Return the answer of `show servers state` for the file that the next worker reads.

    Without the servers in maintenance: whether one is to be there after the reload is said by
    `disabled` in haproxy.cfg, and HAProxy would believe the old state more than the file.
    """
    lines = text.splitlines()
    header = next((line for line in lines if line.startswith("# ")), "# ")[2:].split()
    kept = [line for line in lines if line and _is_kept(header, line)]
    return "".join(f"{line}\n" for line in kept)


def with_down(state: str, servers: Iterable[AddServer]) -> str:
    """Return a state to keep in which *servers* are down until their next check passes."""
    rows = {(row["be_name"], row["srv_name"]): line for line, row in _rows_of(state)}
    lines = state.splitlines()
    old = {rows.get((step.backend, step.server.name)) for step in servers}
    kept = [line for line in lines if line not in old]
    header = next((line for line in lines if line.startswith("# ")), "# ")[2:].split()
    kept += [_down(header, step) for step in servers]
    return "".join(f"{line}\n" for line in kept)


def _rows_of(state: str) -> Iterable[tuple[str, Row]]:
    header = next((line for line in state.splitlines() if line.startswith("# ")), "# ")[2:].split()
    for line in state.splitlines():
        words = line.split()
        if len(words) > 1 and not line.startswith("#"):
            yield line, dict(zip(header, words, strict=False))


def _down(header: Iterable[str], step: AddServer) -> str:
    """Return a row of `show servers state` (management.txt 9.3) of a server that is down."""
    server = step.server
    words = [word for option in step.options for word in option.split()]
    checked = words[words.index("port") + 1] if "port" in words else "0"
    told = {
        "be_name": step.backend,
        "srv_name": server.name,
        "srv_addr": server.address,
        "srv_port": str(server.port),
        "srv_uweight": str(server.weight),
        "srv_iweight": str(server.weight),
        "srv_check_status": _CHECK_UNKNOWN,
        "srv_check_state": _CHECK_ENABLED,
        "srv_use_ssl": str(int("ssl" in words)),
        "srv_check_port": checked,
        **dict.fromkeys(("srv_fqdn", "srvrecord", "srv_check_addr", "srv_agent_addr"), "-"),
    }
    return " ".join(told.get(name, "0") for name in header)


def _is_kept(header: list[str], line: str) -> bool:
    words = line.split()
    if line.startswith("#") or len(words) == 1:
        return True
    return not in_maint(dict(zip(header, words, strict=False)))
