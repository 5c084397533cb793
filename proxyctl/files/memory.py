"""What outlives the process within one boot: who served what, and what was last seen.

It is kept in the folder for run-time data (tmpfs) and thrown away after a boot, since addresses
seen before it may be other pods' by now. Losing it costs nothing but patience: contested routes
go to the older workload, and without Podman's answer HAProxy is left as it is.
"""

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from proxyctl.durable import replace_file
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
    """Workloads with labels that are in force, although some have newer, bad ones."""
    as_told: tuple[str, ...] = ()
    """Of the file only: uids of those of `good` that are what the sources told last."""
    overrides: tuple[tuple[str, ServerState], ...] = ()
    """uid of a workload -> the state that somebody put it into by hand."""
    templates: tuple[tuple[str, str], ...] = ()
    """The administrator's templates that were accepted last."""


_ADAPTER: TypeAdapter[Any] = TypeAdapter(Memory)
_WORKLOAD = TypeAdapter(Workload)


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
            return _whole(memory)
    return Memory(boot=boot_id())


def _whole(memory: Memory) -> Memory:
    told = {one.uid: one for _, workloads in memory.workloads for one in workloads}
    good = (told[uid] for uid in memory.as_told if uid in told)
    return replace(memory, good=(*memory.good, *good), as_told=())


class Keeper:
    """Writes a memory that changes a little at a time: what is as it was is not encoded again."""

    def __init__(self, path: Path) -> None:
        """Keep it in *path*; nothing is written before `save`."""
        self._path = path
        self._saved: Memory | None = None
        self._known: dict[int, tuple[Workload, bytes]] = {}
        """id() of a workload -> itself, so that the id stays its own, and its JSON."""

    def save(self, memory: Memory) -> None:
        """Write *memory* in place of what was there, whole or not at all, if it is another.

        Raises OSError.
        """
        if memory == self._saved:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(self._path, b"".join(self._json(memory)), durable=False)
        self._saved = memory

    def _json(self, memory: Memory) -> list[bytes]:
        told = [one for _, workloads in memory.workloads for one in workloads]
        self._learn(chain(told, memory.good))
        ids = set(map(id, told))
        as_told = tuple(one.uid for one in memory.good if id(one) in ids)
        rest = replace(memory, boot=boot_id(), as_told=as_told)
        parts = [_ADAPTER.dump_json(rest, exclude={"good", "workloads"}).removesuffix(b"}")]
        parts += [b',"good":[', self._list(one for one in memory.good if id(one) not in ids)]
        parts.append(b'],"workloads":[')
        for number, (source, workloads) in enumerate(memory.workloads):
            parts += [b"," * bool(number), b"[", json.dumps(source).encode(), b",["]
            parts += [self._list(workloads), b"]]"]
        return [*parts, b"]}"]

    def _learn(self, workloads: Iterable[Workload]) -> None:
        """Know the JSON of *workloads*, and of no others."""
        before = self._known
        self._known = {
            id(one): before.get(id(one)) or (one, _WORKLOAD.dump_json(one)) for one in workloads
        }

    def _list(self, workloads: Iterable[Workload]) -> bytes:
        known = self._known
        return b",".join([known[id(one)][1] for one in workloads])
