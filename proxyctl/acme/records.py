"""What is remembered of a certificate between two runs. Losing it costs no certificate."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from proxyctl.acme.schedule import Window, next_try
from proxyctl.acme.shelf import read, write
from proxyctl.acme.troubles import Trouble
from proxyctl.problems import Problem


@dataclass(frozen=True, slots=True, kw_only=True, config=ConfigDict(extra="ignore"))
class Order:
    """An order that was begun; its key is in the folder `orders`."""

    url: str
    directory: str
    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, config=ConfigDict(extra="ignore"))
class Record:
    """Remembered state; the empty one is as good as any."""

    directory: str = ""
    """The CA that issued what is held; empty: not known."""
    tried: str = ""
    """The CA that was asked last; `failures`, `next_try` and `last_error` are about it."""
    failures: int = 0
    """Tries that failed, in a row."""
    next_try: datetime | None = None
    last_error: Problem | None = None
    revoked: str = ""
    """The serial number of a certificate that was taken back."""
    order: Order | None = None
    window: Window | None = None
    """When the CA would like the certificate with `window_serial` to be renewed."""
    window_serial: str = ""
    ask_window: datetime | None = None
    """When to ask for the window again."""


_ADAPTER: TypeAdapter[Any] = TypeAdapter(Record)


def load(path: Path) -> Record:
    """Return what is remembered; unreadable is forgotten."""
    try:
        record = _ADAPTER.validate_json(read(path) or b"{}")
    except (Trouble, ValidationError):
        return Record()
    return record if isinstance(record, Record) else Record()


def save(path: Path, record: Record) -> None:
    """Remember."""
    write(path, _ADAPTER.dump_json(record))


def about(record: Record, directory: str) -> Record:
    """Return the record without the failures at another CA than the one in the settings now."""
    if record.tried in {"", directory}:
        return record
    return replace(record, tried=directory, failures=0, next_try=None, last_error=None)


def failed(record: Record, trouble: Trouble, directory: str, now: datetime) -> Record:
    """Return the record after a try that failed."""
    failures = record.failures + 1
    return replace(
        record,
        tried=directory,
        failures=failures,
        next_try=next_try(failures, trouble.cost, now, trouble.retry_after),
        last_error=trouble.problem,
        order=None if trouble.begin_anew else record.order,
    )


def issued(directory: str) -> Record:
    """Return the record after a try that succeeded: a new page."""
    return Record(directory=directory, tried=directory)
