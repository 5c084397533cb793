"""Keys and certificates as bytes: made, read and compared. Nothing is written, nobody is asked."""

import base64
from collections.abc import Iterable
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from proxyctl.acme.schedule import Held

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def new_key(kind: str) -> PrivateKey:
    """Return a new key of a kind of the settings: ec256 or rsa2048."""
    if kind == "rsa2048":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: PrivateKey) -> bytes:
    """Return a key as PEM, which no password protects."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def load_key(pem: bytes) -> PrivateKey:
    """Return the key of a PEM text. Raises ValueError."""
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (TypeError, UnsupportedAlgorithm) as error:  # it has a password; unknown curve
        raise ValueError(str(error)) from None
    if not isinstance(key, PrivateKey):
        raise ValueError("expected an EC or RSA key")  # noqa: TRY004 - of the file, not the caller
    return key


def request(key: PrivateKey, hosts: Iterable[str]) -> x509.CertificateSigningRequest:
    """Return a request for a certificate with *hosts* and nothing else in it."""
    names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.add_extension(names, critical=False).sign(key, hashes.SHA256())


def leaf(pem: bytes) -> x509.Certificate:
    """Return the first certificate of a PEM text. Raises ValueError."""
    return x509.load_pem_x509_certificates(pem)[0]


def held(pem: bytes | None) -> Held | None:
    """Return what there is to know about the certificate in a file; None if it is not usable."""
    if pem is None:
        return None
    try:
        certificate = leaf(pem)
        hosts = frozenset(_hosts(certificate))
    except ValueError:
        return None
    return Held(
        serial=f"{certificate.serial_number:x}",
        hosts=hosts,
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
    )


def _hosts(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return names.value.get_values_for_type(x509.DNSName)


def flaw(chain: bytes, key: PrivateKey, hosts: Iterable[str], now: datetime) -> str:
    """Return why a new certificate cannot be used; "" if it can."""
    try:
        certificate = leaf(chain)
        missing = set(hosts).difference(_hosts(certificate))
        fits = certificate.public_key() == key.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        return f"it is not a certificate: {error}"
    if not fits:
        return "it has another key than the one that it was ordered for"
    if missing:
        return f"it lacks {', '.join(sorted(missing))}"
    if now >= certificate.not_valid_after_utc:
        return f"it ended on {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
    return ""


def renewal_id(pem: bytes) -> str:
    """Return what renewalInfo calls a certificate (RFC 9773 4.1); "" if it cannot be called."""
    certificate = leaf(pem)
    try:
        authority = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    except x509.ExtensionNotFound:
        return ""
    if authority.value.key_identifier is None:
        return ""
    serial = certificate.serial_number
    # The bytes of the DER integer: one more where the highest bit is set.
    number = serial.to_bytes(serial.bit_length() // 8 + 1)
    return f"{_base64url(authority.value.key_identifier)}.{_base64url(number)}"


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
