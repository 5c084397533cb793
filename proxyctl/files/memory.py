"""What outlives the process within one boot: who served what, and what was last seen.

It is kept in the folder for run-time data (tmpfs) and thrown away after a boot, since addresses
seen before it may be other pods' by now. Losing it costs nothing but patience: contested routes
go to the older workload, and without Podman's answer HAProxy is left as it is.
"""

import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from proxyctl.routes.claims import Match
from proxyctl.routes.workload import Workload
from proxyctl.state.model import ServerState

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True, kw_only=True, config=ConfigDict(extra="ignore"))
class Memory:
    """Remembered state; the empty one is as good as any."""

    boot: str = ""
    served: tuple[tuple[Match, str], ...] = ()
    """Match -> uid of the claim that has it."""
    workloads: tuple[tuple[str, tuple[Workload, ...]], ...] = ()
    """Name of a source -> what it told last."""
    good: tuple[Workload, ...] = ()
    """Workloads with labels that are in force although they have newer, bad ones."""
    overrides: tuple[tuple[str, ServerState], ...] = ()
    """uid of a workload -> the state that somebody put it into by hand."""
    templates: tuple[tuple[str, str], ...] = ()
    """The administrator's templates that were accepted last."""


_ADAPTER: TypeAdapter[Any] = TypeAdapter(Memory)


def boot_id() -> str:
    """Return what identifies this boot of the host."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def load(path: Path) -> Memory:
    """Return what was remembered in this boot; unreadable is forgotten."""
    with suppress(OSError, ValidationError, ValueError):
        memory = _ADAPTER.validate_json(path.read_bytes())
        if isinstance(memory, Memory) and memory.boot == boot_id():
            return memory
    return Memory(boot=boot_id())


def save(path: Path, memory: Memory) -> None:
    """Write *memory* in place of what was there, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(_ADAPTER.dump_json(replace(memory, boot=boot_id())))
    beside.replace(path)
