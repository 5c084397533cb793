"""Certificates that we make ourselves: one for each host, signed by its own key."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

LIFE = timedelta(days=365)
RENEWED_BEFORE = timedelta(days=30)
_LONGEST_COMMON_NAME = 64


def make(host: str, now: float) -> bytes:
    """Return key and certificate for a DNS name, as PEM; valid from an hour before `now` on.

    `now` is in seconds since the epoch. For "" it is for a name that nobody can have
    (RFC 6761, 6.4): what clients get that ask for no name.
    """
    name = host or "default.proxyctl.invalid"
    begin = datetime.fromtimestamp(now, UTC).replace(microsecond=0) - timedelta(hours=1)
    key = ec.generate_private_key(ec.SECP256R1())
    own = x509.Name(
        [
            x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "proxyctl (self-signed)"),
            x509.NameAttribute(x509.NameOID.COMMON_NAME, name[:_LONGEST_COMMON_NAME]),
        ]
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(own)
        .issuer_name(own)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + LIFE)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private + certificate.public_bytes(Encoding.PEM)
