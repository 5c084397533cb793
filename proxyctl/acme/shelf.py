"""What the engine keeps on the disk: each file is replaced whole, and synced before we go on.

RUN/acme/wanted.json            which certificates are wanted: the service writes it
RUN/acme/challenges/TOKEN       answers to HTTP-01, which the service gives to HAProxy
STATE/certs/acme/NAME.pem       key, certificate and chain: the service reads them
STATE/acme/status.json          how each certificate is: the service shows it
STATE/acme/accounts/CA/         account key and URL, one folder for each CA
STATE/acme/records/NAME.json    what is remembered of a certificate
STATE/acme/orders/NAME.key      the key of a certificate that is being ordered
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from proxyctl.acme import troubles
from proxyctl.acme.troubles import Trouble
from proxyctl.durable import replace_file, sync_folder

_LARGEST = 8 * 2**20
"""Bytes: no file that we read is larger."""


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what the operating system says about a file into a Trouble."""
    try:
        yield
    except OSError as error:
        where = f"{error.filename or path}: {error.strerror or error}"
        raise Trouble(troubles.cannot_write(str(path), where)) from error


def file_name(name: str) -> str:
    """Return how a certificate is called on the disk: without a star."""
    return f"_wildcard.{name[2:]}" if name.startswith("*.") else name


def write(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace a file, whole or not at all, and on the disk before this returns."""
    with explained(path):
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        replace_file(path, data, mode)
        sync_folder(path.parent)


def remove(path: Path) -> None:
    """Remove a file, if it is there, for good."""
    with explained(path):
        if path.exists():
            path.unlink()
            sync_folder(path.parent)


def move(path: Path, to: Path) -> None:
    """Put a file in the place of another one, for good."""
    with explained(to):
        path.replace(to)
        sync_folder(to.parent)


def read(path: Path) -> bytes | None:
    """Return what a file holds, None if there is none."""
    with explained(path):
        try:
            with path.open("rb") as file:
                data = file.read(_LARGEST + 1)
        except FileNotFoundError:
            return None
        if len(data) > _LARGEST:
            raise OSError(f"larger than {_LARGEST} bytes")
        return data


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where each thing is."""

    run: Path
    state: Path

    @property
    def wanted(self) -> Path:
        """Which certificates are wanted."""
        return self.run / "acme/wanted.json"

    @property
    def challenges(self) -> Path:
        """The folder of answers to HTTP-01."""
        return self.run / "acme/challenges"

    @property
    def certificates(self) -> Path:
        """The folder of the results."""
        return self.state / "certs/acme"

    @property
    def home(self) -> Path:
        """The folder of what only the engine reads, and of status.json."""
        return self.state / "acme"

    @property
    def status(self) -> Path:
        """How each certificate is."""
        return self.home / "status.json"

    @property
    def presented(self) -> Path:
        """The DNS records that were set and not yet removed."""
        return self.home / "presented.json"

    def certificate(self, name: str) -> Path:
        """Key, certificate and chain."""
        return self.certificates / f"{file_name(name)}.pem"

    def record(self, name: str) -> Path:
        """What is remembered of a certificate."""
        return self.home / "records" / f"{file_name(name)}.json"

    def order_key(self, name: str) -> Path:
        """The key of a certificate that is being ordered."""
        return self.home / "orders" / f"{file_name(name)}.key"

    def account(self, directory: str) -> Path:
        """The folder of the account at a CA."""
        return self.home / "accounts" / hashlib.sha256(directory.encode()).hexdigest()[:16]

    def prepare(self) -> None:
        """Make the folders, and remove what a killed predecessor was in the middle of writing.

        The tokens go too: of those that an order still needs, the next try writes new ones.
        """
        for folder, mode in (
            (self.challenges, 0o755),
            (self.certificates, 0o700),
            (self.home / "records", 0o700),
            (self.home / "orders", 0o700),
            (self.home / "accounts", 0o700),
        ):
            with explained(folder):
                folder.mkdir(mode=mode, parents=True, exist_ok=True)
        for folder in (self.challenges, self.certificates, self.home):
            pattern = "*" if folder == self.challenges else ".*.new"
            for leftover in sorted(folder.rglob(pattern)):
                remove(leftover)
