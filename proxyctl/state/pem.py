"""PEM files as values: which certificate, which key, and whether they belong together. Pure.

What a person keeps together (`x.crt` and `x.key`, a bundle `x.pem`, a folder of certbot's) is read
together: each key finds its certificate by its public key, and each certificate its issuers by
their signatures. The order in the files does not matter.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

KeyType = Literal["rsa", "ecdsa", "other"]

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)
_NAME = re.compile(r"(\*\.)?[a-z0-9_][a-z0-9_-]*(\.[a-z0-9_][a-z0-9_-]*)*", re.ASCII)
_LONGEST_CHAIN = 8
_LONGEST_NAMES = 60_000
"""Characters of all names together: they are on one line, of which HAProxy takes 65 535."""
_SMALLEST_RSA = 2048
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)


class Unusable(ValueError):  # noqa: N818 - said of files
    """Files that are no certificate with its key: `why`, as a predicate, and the `fix`."""

    def __init__(self, why: str, fix: str) -> None:
        super().__init__(why)
        self.why = why
        self.fix = fix


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A certificate with its key and its issuers."""

    names: tuple[str, ...]
    """The DNS names that it is for, lower case, `*.example.com` too, sorted."""
    fingerprint: str
    """SHA-1 in upper-case hexadecimal digits, as HAProxy tells it; see `serial`."""
    not_before: float
    not_after: float
    """Seconds since the epoch."""
    issuer: str
    """RFC 4514: `CN=R11,O=Let's Encrypt,C=US`."""
    key_type: KeyType
    chain: int
    """How many issuers come with it, as far as HAProxy tells that."""
    pem: str = field(repr=False)
    """Key, certificate, issuers in their order: what HAProxy reads."""

    def is_valid(self, now: float) -> bool:
        """Tell whether clients take it at a time, in seconds since the epoch."""
        return self.not_before <= now < self.not_after


def pairs(blobs: Mapping[str, bytes]) -> tuple[Pair, ...]:
    """Return the certificates in files by name: one for each type of key. Raises Unusable."""
    keys: dict[bytes, PrivateKeyTypes] = {}
    certificates: dict[bytes, x509.Certificate] = {}
    for name, blob in sorted(blobs.items()):
        for kind, block in _blocks(blob):
            if kind.endswith("PRIVATE KEY"):
                key = _key(name, kind, block)
                keys[_public(key.public_key())] = key
            elif kind in {"CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"}:
                one = _certificate(name, block)
                certificates[one.fingerprint(hashes.SHA256())] = one
    _check_there_are(keys, certificates, ", ".join(sorted(blobs)))
    found: dict[KeyType, Pair] = {}
    for public, key in keys.items():
        leaves = [c for c in certificates.values() if _public_of(c) == public]
        if not leaves:
            raise Unusable(
                "has a key that is not the certificate's",
                "put the key there that the certificate was asked for with",
            )
        leaf = max(leaves, key=lambda c: c.not_valid_after_utc)
        pair = _pair(key, leaf, certificates.values())
        found[pair.key_type] = pair
    return tuple(found.values())


def certificates(name: str, blob: bytes) -> str:
    """Return the certificates in a file and nothing else of it. Raises Unusable."""
    found = [
        _certificate(name, block)
        for kind, block in _blocks(blob)
        if kind in {"CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"}
    ]
    if not found:
        raise Unusable(f"has no certificate in PEM form ({name})", _FORM)
    return b"".join(one.public_bytes(Encoding.PEM) for one in found).decode("ascii")


def _check_there_are(
    keys: Mapping[bytes, object], certificates: Mapping[bytes, object], files: str
) -> None:
    if not keys and not certificates:
        raise Unusable(f"has neither a certificate nor a key in PEM form ({files})", _FORM)
    if not certificates:
        raise Unusable(f"has a key, and no certificate in PEM form ({files})", _TOGETHER)
    if not keys:
        raise Unusable(f"has a certificate, and no key in PEM form ({files})", _TOGETHER)


_FORM = "PEM begins with -----BEGIN CERTIFICATE-----      openssl x509 -inform der -in FILE"
_TOGETHER = "put them beside each other as NAME.crt and NAME.key, or both into NAME.pem"


def _blocks(blob: bytes) -> Iterator[tuple[str, bytes]]:
    for block in _BLOCK.finditer(blob):
        yield block[1].decode("ascii"), block[0] + b"\n"


def _key(name: str, kind: str, block: bytes) -> PrivateKeyTypes:
    if kind == "ENCRYPTED PRIVATE KEY" or b"ENCRYPTED" in block:
        raise Unusable(
            f"has a key with a passphrase, which nobody could enter ({name})",
            f"take it off: openssl pkey -in {name} -out NEW      and keep NEW for root only",
        )
    try:
        return load_pem_private_key(block, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # Not the library's own words: they may quote what they could not read.
        raise Unusable(
            f"has a key that cannot be read ({name})", f"openssl pkey -in {name} -check"
        ) from None


def _certificate(name: str, block: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(
            block.replace(b"TRUSTED ", b"").replace(b"X509 ", b"")
        )
    except ValueError as error:
        raise Unusable(
            f"has a certificate that cannot be read ({name}: {error})",
            f"openssl x509 -in {name} -noout -text",
        ) from None


def _public(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _public_of(certificate: x509.Certificate) -> bytes:
    try:
        return _public(certificate.public_key())
    except (ValueError, UnsupportedAlgorithm):
        return b""


def _pair(
    key: PrivateKeyTypes, leaf: x509.Certificate, others: Iterable[x509.Certificate]
) -> Pair:
    names = _names(leaf)
    if not names:
        raise Unusable(
            "is for no host name", "ask for a certificate with a DNS name (subjectAltName) in it"
        )
    _check_the_key(key)
    if sum(len(name) + 1 for name in names) > _LONGEST_NAMES:
        raise Unusable(
            f"is for more names than HAProxy takes ({len(names)})", "ask for several certificates"
        )
    chain = _chain(leaf, tuple(others))
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    blocks = [private, *(one.public_bytes(Encoding.PEM) for one in (leaf, *chain))]
    key_type = _type(key)
    return Pair(
        names=names,
        fingerprint=serial(leaf.serial_number)
        if key_type == "other"
        else leaf.fingerprint(hashes.SHA1()).hex().upper(),  # noqa: S303 - a name only
        not_before=leaf.not_valid_before_utc.timestamp(),
        not_after=leaf.not_valid_after_utc.timestamp(),
        issuer=leaf.issuer.rfc4514_string(),
        key_type=key_type,
        chain=0 if key_type == "other" else len(chain),
        pem=b"".join(blocks).decode("ascii"),
    )


def _check_the_key(key: PrivateKeyTypes) -> None:
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size < _SMALLEST_RSA:
        raise Unusable(f"has an RSA key of {key.key_size} bits", "use one of 2048 bits or more")
    if isinstance(key, ec.EllipticCurvePrivateKey) and not isinstance(key.curve, _CURVES):
        raise Unusable(
            f"has a key on the curve {key.curve.name}, which no client takes", "use P-256 or P-384"
        )


def serial(number: int) -> str:
    """Return what tells a certificate whose `show ssl cert` ends before its fingerprint.

    HAProxy (2.6 to 3.4) does not know the algorithm of a key that is neither RSA nor ECDSA, and
    tells no more after that: neither a fingerprint nor the issuers.
    """
    return f"serial {number:X}"


def _type(key: PrivateKeyTypes) -> KeyType:
    if isinstance(key, rsa.RSAPrivateKey):
        return "rsa"
    return "ecdsa" if isinstance(key, ec.EllipticCurvePrivateKey) else "other"


def _names(leaf: x509.Certificate) -> tuple[str, ...]:
    """Return the names of subjectAltName; the common name only where there are none."""
    try:
        extension = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        names = extension.value.get_values_for_type(x509.DNSName)
    except (x509.ExtensionNotFound, ValueError):
        common = leaf.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        names = [str(one.value) for one in common]
    plain = {name.lower().rstrip(".") for name in names}
    return tuple(sorted(name for name in plain if len(name) < 254 and _NAME.fullmatch(name)))


def _chain(
    leaf: x509.Certificate, others: tuple[x509.Certificate, ...]
) -> tuple[x509.Certificate, ...]:
    """Return the issuers from the leaf's on; a root is left out, since clients have it."""
    found: list[x509.Certificate] = []
    last = leaf
    while len(found) < _LONGEST_CHAIN:
        above = next((one for one in others if one not in found and _issued(one, last)), None)
        if above is None or above.subject == above.issuer:
            break
        found.append(above)
        last = above
    return tuple(found)


def _issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    if issuer == certificate or issuer.subject != certificate.issuer:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True
