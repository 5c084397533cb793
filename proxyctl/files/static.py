"""Static routes: `routes.d/*.toml`, for what is not a pod. Same keys as labels.

[nas]                                   # a table is a workload
host = "nas.example.com"
servers = ["192.0.2.5:5000"]            # IP addresses; the port may come from `port`
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

from proxyctl.addresses import parse_address
from proxyctl.problems import Problem
from proxyctl.routes.dialects.native import PREFIX, labels_of_table
from proxyctl.routes.workload import Kind, Workload
from proxyctl.textfile import Unreadable, listed, read_text

_SERVER_KEYS = ("server", "servers")


class StaticSource:
    """The workloads of a folder of TOML files. A file that cannot be read keeps its last ones."""

    key = "files"
    unsure: frozenset[str] = frozenset()
    """A file tells all of its routes' labels, or none."""

    def __init__(self, folder: Path) -> None:
        self.where = str(folder)
        self.problems: tuple[Problem, ...] = ()
        self._folder = folder
        self._last: dict[Path, tuple[Workload, ...]] = {}

    def read(self, changed: frozenset[str] | None = None) -> tuple[Workload, ...]:
        """Return the entries of all files; `changed` makes no difference."""
        del changed
        problems: list[Problem] = []
        try:
            files = listed(self._folder, ".toml")
        except Unreadable as error:
            self.problems = (_folder_unreadable(error, kept=bool(self._last)),)
            return _unique(self._last.values())
        last, self._last = self._last, {}
        for file in files:
            try:
                tables = tomllib.loads(read_text(file))
            except (Unreadable, ValueError, RecursionError) as error:
                why = error.why if isinstance(error, Unreadable) else str(error)
                problems.append(_unreadable(file, why, kept=bool(last.get(file))))
                self._last[file] = last.get(file, ())
                continue
            workloads, wrong = entries(tables, str(file))
            problems += wrong
            self._last[file] = workloads
        self.problems = tuple(problems)
        return _unique(self._last.values())


def _unique(files: Iterable[tuple[Workload, ...]]) -> tuple[Workload, ...]:
    found: dict[str, Workload] = {}
    for workloads in files:
        for workload in workloads:
            found.setdefault(workload.uid, workload)
    return tuple(found.values())


def entries(
    tables: Mapping[str, object], origin: str
) -> tuple[tuple[Workload, ...], tuple[Problem, ...]]:
    """Return the workloads of a parsed file, and what is wrong with the other tables."""
    workloads: list[Workload] = []
    problems: list[Problem] = []
    for name, table in tables.items():
        try:
            workloads.append(_entry(name, table, origin))
        except ValueError as error:
            problems.append(_malformed(origin, name, str(error)))
    return tuple(workloads), tuple(problems)


def _entry(name: str, table: object, origin: str) -> Workload:
    if not isinstance(table, Mapping):
        raise ValueError("expected a table: [name] with keys below it")  # noqa: TRY004
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}", name, re.ASCII):
        raise ValueError("expected a name of letters, digits, '-' and '_'")
    rest = {key: value for key, value in table.items() if key not in _SERVER_KEYS}
    given = next((table[key] for key in reversed(_SERVER_KEYS) if key in table), ())
    texts = (given,) if isinstance(given, str) else given
    if not isinstance(texts, list | tuple) or not texts:
        raise ValueError('expected servers = ["192.0.2.5:8080"]')
    default = str(rest.get("port", ""))
    servers = tuple(_server(str(text), default) for text in texts)
    if "port" not in rest:
        rest["port"] = servers[0].rpartition(":")[2]
    labels = tuple((PREFIX + key, value) for key, value in labels_of_table(rest))
    return Workload(
        kind=Kind.STATIC, id=name, name=name, labels=labels, servers=servers, origin=origin
    )


def _server(text: str, default_port: str) -> str:
    address, colon, port = text.rpartition(":")
    if not colon or (":" in address and not address.startswith("[")):
        address, port = text, default_port
    if address == "localhost":
        address = "127.0.0.1"
    try:
        ip = parse_address(address.strip("[]"))
        if not 1 <= int(port) <= 65535:
            raise ValueError(port)
    except ValueError:
        raise ValueError(
            f"expected an IP address and a port, such as 192.0.2.5:8080, got {text!r}"
        ) from None
    return f"[{ip}]:{int(port)}" if ip.version == 6 else f"{ip}:{int(port)}"


def _folder_unreadable(error: Unreadable, *, kept: bool) -> Problem:
    effect = "the static routes stay as they were" if kept else "no static route is published"
    return Problem(
        id="PX402",
        subject=f'folder "{error.path}"',
        summary="cannot be read",
        where=error.why,
        effect=effect,
        fix=f"mend it, or remove it: ls -la {error.path.parent}",
    )


def _unreadable(file: Path, error: str, *, kept: bool) -> Problem:
    effect = "the routes that it had before stay" if kept else "none of its routes is published"
    return Problem(
        id="PX402",
        subject=f'file "{file}"',
        summary="cannot be read",
        where=error,
        effect=effect,
        fix=f"mend the file: proxyctl check {file}",
    )


def _malformed(origin: str, name: str, error: str) -> Problem:
    return Problem(
        id="PX403",
        subject=f'static route "{name}"',
        summary="is not understood",
        where=origin,
        effect="the static route is not published",
        fix=error,
    )
