"""A certificate authority of a test's own: a root, an issuer below it, and what it signs."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat


def private(key) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def new_key(key_type: str = "ecdsa", bits: int = 2048):
    if key_type == "rsa":
        return rsa.generate_private_key(65537, bits)
    if key_type == "other":
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key(ec.SECP256R1())


@dataclass
class Authority:
    """Signs certificates that are valid for `days` from yesterday on."""

    root_key: object = field(default_factory=new_key)
    key: object = field(default_factory=new_key)

    def __post_init__(self) -> None:
        self.root = _signed("test root", "test root", self.root_key, self.root_key, authority=True)
        self.issuer = _signed("test issuer", "test root", self.key, self.root_key, authority=True)

    @property
    def root_pem(self) -> bytes:
        return self.root.public_bytes(Encoding.PEM)

    def leaf(self, *hosts: str, key, days: float = 90) -> x509.Certificate:
        return _signed(hosts[0], "test issuer", key, self.key, hosts=hosts, days=days)

    def issue(
        self, *hosts: str, key_type: str = "ecdsa", bits: int = 2048, days: float = 90, chain=True
    ) -> bytes:
        """Return key, certificate and (with `chain`) the issuer's as one PEM."""
        key = new_key(key_type, bits)
        parts = [private(key), self.leaf(*hosts, key=key, days=days).public_bytes(Encoding.PEM)]
        if chain:
            parts.append(self.issuer.public_bytes(Encoding.PEM))
        return b"".join(parts)


def _signed(name, by, key, signer, *, hosts=(), authority=False, days=90):
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_called(name))
        .issuer_name(_called(by))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=max(1, 1 - days)))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    # Python 3.13 verifies by all of RFC 5280.
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    its = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    builder = builder.add_extension(own, critical=False).add_extension(its, critical=False)
    if authority:
        builder = builder.add_extension(_SIGNS, critical=True)
    if hosts:
        names = x509.SubjectAlternativeName(list(map(x509.DNSName, hosts)))
        builder = builder.add_extension(names, critical=False)
    return builder.sign(signer, hashes.SHA256())


_SIGNS = x509.KeyUsage(
    key_cert_sign=True, crl_sign=True, digital_signature=True, content_commitment=False,
    key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
    decipher_only=False,
)  # fmt: skip


def _called(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name[:64])])
