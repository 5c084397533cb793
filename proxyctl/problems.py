"""What can go wrong, by consequence.

A user's mistake is a `Problem`: a value that is carried along, shown and counted, and that costs
only the workload which made it. What stops a cycle is a `ProxyctlError`:

    ProxyctlError
    ├── SettingsError         config.toml is wrong: nothing is started            exit 78
    ├── SourceUnavailable     Podman does not answer: HAProxy keeps what it has   exit 69
    ├── ConfigRejected        `haproxy -c` refused: the last good one stays       exit 1
    │   └── Stumbled          proxyctl itself could not make one: a bug           exit 1
    ├── HAProxyUnavailable    HAProxy does not answer: try again                  exit 69
    │   ├── HAProxyAbsent     it does not run, and its unit is to start it        exit 69
    │   └── CommandRejected   HAProxy answered, and said no                       exit 1
    └── NotPermitted          this user may not do that                           exit 77
"""

import traceback
from dataclasses import asdict, dataclass
from enum import StrEnum


def printable(text: str) -> str:
    """Return a stranger's text as it may be printed: control characters escaped."""
    return "".join(ch if ch.isprintable() else ascii(ch)[1:-1] for ch in text)


class Severity(StrEnum):
    """How much a problem costs: an error costs traffic, a warning does not (yet)."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Problem:
    """A mistake, explained to the person who made it."""

    id: str
    """Stable, `PX` and three digits: docs/problems.md has an entry for each."""
    subject: str
    """The object that the user wrote: `pod "gitea"`, `file "/etc/proxyctl/routes.d/nas.toml"`."""
    summary: str
    """What is wrong, as the predicate of a sentence that starts with the subject."""
    where: str
    """The label, line or file, as the user wrote it (shortened, printable)."""
    effect: str
    """What it does to the traffic."""
    fix: str
    """What to do about it."""
    severity: Severity = Severity.ERROR
    workload: str = ""
    """The uid of the workload that it is about; empty for problems of the host."""

    def text(self) -> str:
        """Return the problem as the four lines that every verb prints."""
        return (
            f"{self.severity} {self.id}: {self.subject} {self.summary}\n"
            f"   where   {self.where}\n"
            f"   effect  {self.effect}\n"
            f"   fix     {self.fix}"
        )

    def as_json(self) -> dict[str, str]:
        """Return the problem as a JSON object."""
        return {name: str(value) for name, value in asdict(self).items()}


class ProxyctlError(Exception):
    """Anything that ends a cycle or a command; `exit_code` is from sysexits.h where one fits."""

    exit_code = 1


class SettingsError(ProxyctlError):
    """The settings are wrong; the message lists every mistake."""

    exit_code = 78


class SourceUnavailable(ProxyctlError):  # noqa: N818 - a state of the world, not a mistake
    """A source of workloads does not answer. Unreachable is not empty: keep what there is."""

    exit_code = 69


class ConfigRejected(ProxyctlError):  # noqa: N818
    """`haproxy -c` refused a configuration; `alerts` are its words, with the line of each."""

    def __init__(self, alerts: tuple[tuple[int | None, str], ...]) -> None:
        super().__init__("; ".join(text for _, text in alerts) or "haproxy -c failed silently")
        self.alerts = alerts


class Stumbled(ConfigRejected):
    """Something that should not happen has, while it was decided: a mistake of proxyctl's own.

    It costs the workload that brings it about, as anything else that HAProxy cannot be given.
    """

    def __init__(self, error: Exception) -> None:
        *_, frame = traceback.extract_tb(error.__traceback__)
        file = frame.filename.rpartition("/")[2]
        said = printable(f"{type(error).__name__}: {error}"[:200])
        super().__init__(((None, f"{said} ({file}:{frame.lineno})"),))


class HAProxyUnavailable(ProxyctlError):  # noqa: N818
    """HAProxy does not answer on its socket."""

    exit_code = 69


class HAProxyAbsent(HAProxyUnavailable):
    """Nobody listens on HAProxy's socket, and it is not ours to start (modes own and attach)."""


class CommandRejected(HAProxyUnavailable):
    """HAProxy answered a command of the runtime API with a refusal."""

    exit_code = 1


class NotPermitted(ProxyctlError):  # noqa: N818
    """The operating system forbids it; the message says what and for whom."""

    exit_code = 77
