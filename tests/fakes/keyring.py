"""Certificates without a disk, and without waiting for keys: the same for the same name."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from proxyctl.state.certificates import DEFAULT, Kind, Offer, Stock, internal_name
from proxyctl.state.pem import pairs

NOW = 1_700_000_000.0
"""What every test thinks the time is: 2023-11-14."""
DAY = 86_400.0


@cache
def pem(*names: str, days: float = 90, seed: str = "", now: float = NOW) -> bytes:
    """Return a key and its certificate; the same for the same arguments."""
    digest = hashes.Hash(hashes.SHA256())
    digest.update(f"{names} {seed}".encode())
    seed_of_it = digest.finalize()
    key = ed25519.Ed25519PrivateKey.from_private_bytes(seed_of_it)
    begin = datetime.fromtimestamp(now, UTC) - timedelta(days=1)
    own = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    one = (
        x509.CertificateBuilder()
        .subject_name(own)
        .issuer_name(own)
        .public_key(key.public_key())
        .serial_number(int.from_bytes(seed_of_it[:8]) + 1)
        .not_valid_before(begin)
        .not_valid_after(datetime.fromtimestamp(now, UTC) + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(list(map(x509.DNSName, names))), critical=False)
        .sign(key, None)
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private + one.public_bytes(Encoding.PEM)


@cache
def offer(
    name: str, *names: str, days: float = 90, kind: Kind = "folder", seed: str = ""
) -> Offer:
    """Return a certificate of the folder for some DNS names: its own, if none are given."""
    life = max(0, days)
    (pair,) = pairs({name: pem(*(names or (name,)), days=life, seed=seed)})
    pair = replace(pair, not_before=NOW - 60 * DAY, not_after=NOW + days * DAY)
    return Offer(name=name, kind=kind, source=f"/etc/proxyctl/certs/{name}.pem", pair=pair)


@dataclass
class FakeKeyring:
    """Implements the admission's Keyring."""

    stock: Stock = field(default_factory=lambda: Stock(time=NOW))
    disk: Stock | None = None
    """What is read the next time, if it is something else."""
    good: set[str] = field(default_factory=set)
    reads: int = 0

    @staticmethod
    def of(*offers: Offer) -> "FakeKeyring":
        return FakeKeyring(Stock(time=NOW, offers=offers))

    def read(self) -> Stock:
        self.reads += 1
        self.stock, self.disk = self.disk or self.stock, None
        return self.stock

    def provide(self, hosts: Iterable[str]) -> Stock:
        made = [
            replace(
                offer(host or "default.proxyctl.invalid", days=365, kind="internal"),
                name=internal_name(host) if host else DEFAULT,
                source="made by proxyctl",
            )
            for host in hosts
        ]
        self.stock = replace(self.stock, offers=(*self.stock.offers, *made))
        return self.stock

    def accepted(self, names: Iterable[str]) -> None:
        self.good |= set(names)

    def refused(self, name: str, why: str) -> Stock | None:
        left = tuple(one for one in self.stock.offers if one.name != name)
        if len(left) == len(self.stock.offers):
            return None
        self.stock = replace(self.stock, offers=left)
        return self.stock
