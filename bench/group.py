"""Everything that a program starts, and what it costs: a cgroup.

A cgroup counts what processes that have ended cost too, and finds those that left their parent:
an embedded HAProxy has a session of its own. cgroup v1 and v2.
"""

import contextlib
import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from subprocess import DEVNULL, STDOUT, Popen

_TOP = Path("/sys/fs/cgroup")
_ENTER = 'echo $$ >"$0" && exec "$@"'


class Group:
    """A new cgroup of the lab."""

    def __init__(self, name: str) -> None:
        self._v2 = (_TOP / "cgroup.controllers").exists()
        self._folder = (_TOP if self._v2 else _TOP / "cpuacct") / f"bench-{name}"
        self._folder.mkdir(exist_ok=True)

    def start(
        self, command: Sequence[str], *, folder: Path, log: Path, env: Mapping[str, str]
    ) -> Popen[bytes]:
        """Start a program in the group and in a session of its own, printing to `log`."""
        with log.open("ab") as output:
            return Popen(
                ["/bin/sh", "-c", _ENTER, str(self._folder / "cgroup.procs"), *command],
                cwd=folder,
                env={**os.environ, **env},
                stdin=DEVNULL,
                stdout=output,
                stderr=STDOUT,
                start_new_session=True,
            )

    @property
    def cpu(self) -> float:
        """CPU seconds used by all processes that are or were in it."""
        if not self._v2:
            return int((self._folder / "cpuacct.usage").read_text()) / 1e9
        return int((self._folder / "cpu.stat").read_text().split()[1]) / 1e6

    def pids(self, program: str = "") -> list[int]:
        """Return the processes, or those whose name (`comm`) is `program`."""
        found = map(int, (self._folder / "cgroup.procs").read_text().split())
        return [pid for pid in found if not program or name_of(pid) == program]

    def end(self) -> None:
        """Kill what is in it, and remove it."""
        for _ in range(100):
            for pid in self.pids():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(OSError):
                self._folder.rmdir()
                return
            time.sleep(0.05)
        raise RuntimeError(f"{self._folder} cannot be emptied: {self.pids()}")


def name_of(pid: int) -> str:
    """Return the name of a process; "" if it is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def cpu_of(pid: int) -> float:
    """Return the CPU seconds of a living process, without its children; 0 if it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_of(pid: int) -> float:
    """Return the resident memory of a process in MB (1e6 bytes), shared pages counted in full."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) * 1024 / 1e6
