"""Certificates made on the spot, for the tests."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)


def certificate(key, *hosts, serial=1, authority=b"", start=NOW - DAY, end=NOW + 89 * DAY):
    """Return a self-signed certificate as PEM."""
    name = x509.Name([])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(start)
        .not_valid_after(end)
    )
    if hosts:
        names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
        builder = builder.add_extension(names, critical=False)
    if authority:
        identifier = x509.AuthorityKeyIdentifier(authority, None, None)
        builder = builder.add_extension(identifier, critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
