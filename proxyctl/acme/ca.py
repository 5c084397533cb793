"""The CA, as it is spoken to (RFC 8555, by the library `acme`). What goes wrong is a Trouble.

The library's own order handling keeps the order in memory only; here each step is one call, so
that a run that was killed goes on with the order that it had.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import josepy
import requests
from acme import errors, jws, messages
from acme.client import ClientNetwork, ClientV2
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

import proxyctl
from proxyctl.acme import keys, troubles
from proxyctl.acme.schedule import Cost, Window
from proxyctl.acme.troubles import Trouble

_TIMEOUT = 30
"""Seconds that one request may take."""
_NONCES = 8
"""Tries with a new nonce: the library makes two of each."""
_LONGEST_WAIT = timedelta(hours=6)

_ACCOUNT = frozenset(
    {"invalidContact", "invalidEmail", "unsupportedContact", "externalAccountRequired",
     "accountDoesNotExist", "badPublicKey", "badSignatureAlgorithm"}
)  # fmt: skip
_VALIDATION = frozenset(
    {"connection", "dns", "dnssec", "incorrectResponse", "tls", "unauthorized", "unknownHost"}
)
_THEIRS = frozenset({"serverInternal", "badNonce"})
_GARBLED = (ValueError, TypeError, AttributeError, KeyError)
"""What the library raises on JSON that is not what RFC 8555 says."""


class Network(ClientNetwork):
    """The library's network: more patient with nonces, and it remembers how it was answered."""

    def __init__(self, key: josepy.JWK, ca_file: str) -> None:
        alg = josepy.ES256 if isinstance(key, josepy.JWKEC) else josepy.RS256
        agent = f"proxyctl/{proxyctl.__version__}"
        super().__init__(key, alg=alg, user_agent=agent, timeout=_TIMEOUT)
        if ca_file:  # a path is as good: requests takes both
            self.verify_ssl = ca_file  # type: ignore[assignment]
        self.session.hooks["response"].append(self._note)
        self.date: datetime | None = None
        """The CA's clock, as of its last answer."""
        self.status = 0
        """The HTTP status of the last answer."""
        self.retry_after: datetime | None = None
        """When the last answer wants us to come again."""

    def _note(self, response: requests.Response, *_: Any, **__: Any) -> None:
        now = datetime.now(UTC)
        self.status = response.status_code
        self.date = _date(response.headers.get("Date", ""))
        text = response.headers.get("Retry-After", "")
        self.retry_after = (
            now + timedelta(seconds=int(text[:9])) if text.isdecimal() else _date(text)
        )

    def post(self, *args: Any, **kwargs: Any) -> requests.Response:
        """Post, with another nonce as often as the CA refuses one."""
        for _ in range(_NONCES - 1):
            try:
                return super().post(*args, **kwargs)
            except messages.Error as error:
                if error.code != "badNonce":
                    raise
        return super().post(*args, **kwargs)


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, IndexError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


class NewOrder(messages.NewOrder):
    """An order that says which certificate it renews (RFC 9773 5), which spares it rate limits."""

    replaces: str | None = josepy.field("replaces", omitempty=True)


class Ca:
    """A CA whose directory was read."""

    def __init__(self, directory: str, network: Network) -> None:
        self.directory = directory
        self.network = network
        with self.translated():
            found = network.get(directory).json()
            if not isinstance(found, dict) or not {
                "newNonce", "newAccount", "newOrder", "revokeCert"
            } <= found.keys():  # fmt: skip
                raise errors.ClientError("its answer is not the directory of an ACME CA")
            self.client = ClientV2(messages.Directory.from_json(found), network)

    @property
    def offers_windows(self) -> bool:
        """Whether the CA says when to renew (RFC 9773), and hears what an order replaces."""
        return "renewalInfo" in self.client.directory.to_partial_json()

    @property
    def terms(self) -> str:
        """Where the terms of service are."""
        return self.client.directory.meta.terms_of_service or ""

    @contextmanager
    def translated(
        self, name: str = "", *, account: bool = False, advice: bool = False
    ) -> Iterator[None]:
        """Turn what the library raises into a Trouble of a certificate, or of the account."""
        try:
            yield
        except messages.Error as error:
            raise self._refusal(error, name, account=account, advice=advice) from error
        except (requests.RequestException, errors.Error, josepy.errors.Error, OSError) as error:
            raise self._unreachable(_words(error)) from error
        except _GARBLED as error:
            raise self._unreachable(f"its answer is not understood: {error!r}") from error

    def _unreachable(self, detail: str) -> Trouble:
        problem = troubles.unreachable(self.directory, detail)
        return Trouble(problem, Cost.CA, retry_after=self.network.retry_after)

    def _refusal(
        self, error: messages.Error, name: str, *, account: bool, advice: bool
    ) -> Trouble:
        code = str(error.typ).rpartition(":")[2]
        detail = _words(error)
        until = self.network.retry_after
        if code == "rateLimited" or self.network.status == requests.codes.too_many_requests:
            problem = troubles.rate_limited(name or "(account)", detail, until)
            return Trouble(problem, Cost.COUNTED, retry_after=until, for_all=True)
        if code in _THEIRS or self.network.status >= requests.codes.server_error:
            return self._unreachable(detail)
        if code == "userActionRequired":
            return Trouble(troubles.terms_not_agreed(detail), Cost.CA)
        if account or code in _ACCOUNT:
            return Trouble(troubles.account_refused(detail), Cost.COUNTED)
        if code == "orderNotReady":
            return Trouble(troubles.not_yet(name, detail), Cost.CA)
        if code in _VALIDATION:
            return validation_failed(name, detail, advice=advice)
        return Trouble(troubles.refused(name, detail), Cost.COUNTED, begin_anew=True)

    def read(self, url: str) -> requests.Response:
        """Return a resource of the account (POST-as-GET)."""
        return self.network.post(url, None, new_nonce_url=self.client.directory["newNonce"])

    def new_order(self, hosts: tuple[str, ...], replaces: str) -> tuple[str, messages.Order]:
        """Order a certificate; return the order's URL and the order."""
        identifiers = [messages.Identifier(typ=messages.IDENTIFIER_FQDN, value=h) for h in hosts]
        wish = NewOrder(identifiers=identifiers, replaces=replaces or None)
        try:
            response = self._send(self.client.directory["newOrder"], wish)
        except (errors.ConflictError, messages.Error) as error:
            # RFC 9773 5: 409 alreadyReplaced; or the CA does not like the predecessor otherwise.
            code = error.code if isinstance(error, messages.Error) else None
            if not replaces or code == "rateLimited" or code in _THEIRS:
                raise
            response = self._send(
                self.client.directory["newOrder"], NewOrder(identifiers=identifiers)
            )
        url = response.headers.get("Location", "")
        if not url:
            raise errors.ClientError("the answer to newOrder has no Location")
        return url, messages.Order.from_json(response.json())

    def _send(self, url: str, body: josepy.JSONDeSerializable) -> requests.Response:
        return self.network.post(url, body, new_nonce_url=self.client.directory["newNonce"])

    def order(self, url: str) -> messages.Order:
        """Return an order as it is now."""
        found: messages.Order = messages.Order.from_json(self.read(url).json())
        return found

    def authorization(self, url: str) -> messages.AuthorizationResource:
        """Return an authorization as it is now."""
        body = messages.Authorization.from_json(self.read(url).json())
        return messages.AuthorizationResource(body=body, uri=url)

    def finalize(self, order: messages.Order, csr: x509.CertificateSigningRequest) -> None:
        """Send the request for the certificate of an order that is ready."""
        self._send(order.finalize, messages.CertificateRequest(csr=csr))

    def renewal_window(self, certificate: str) -> tuple[Window, datetime] | None:
        """Return when the CA would like a certificate renewed, and when to ask again.

        None where the CA does not offer it (RFC 9773) or does not know. *certificate* is what
        `keys.renewal_id` returns.
        """
        if not certificate or not self.offers_windows:
            return None
        url = f"{self.client.directory['renewalInfo']}/{certificate}"
        try:
            info = messages.RenewalInfo.from_json(self.network.get(url).json())
        except (ValueError, requests.RequestException, errors.Error, josepy.errors.Error):
            return None
        window = info.suggested_window
        if not window.start or not window.end or window.end < window.start:
            return None
        now = datetime.now(UTC)
        again = self.network.retry_after or now + _LONGEST_WAIT
        return Window(start=window.start, end=window.end), min(
            max(again, now + timedelta(minutes=1)), now + timedelta(days=1)
        )

    def change_key(self, new: josepy.JWK) -> None:
        """Replace the account's key (RFC 8555 7.3.5)."""
        url = self.client.directory["keyChange"]
        network = self.network
        assert network.account
        assert network.key
        body = json.dumps(
            {
                "account": network.account["uri"],
                "oldKey": network.key.public_key().to_json(),
            }
        ).encode()
        inner = jws.JWS.sign(body, key=new, alg=josepy.ES256, nonce=None, url=url)
        self._send(url, inner)
        network.key = new
        network.alg = josepy.ES256


def validation_failed(name: str, detail: str, *, advice: bool) -> Trouble:
    """Return the Trouble of an order whose challenge the CA did not find."""
    problem = troubles.validation_failed(name, detail, staging_advice=advice)
    return Trouble(problem, Cost.COUNTED, begin_anew=True)


def account_key(pem: bytes) -> josepy.JWK:
    """Return an account's key for the library. Raises ValueError."""
    key = keys.load_key(pem)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        if not isinstance(key.curve, ec.SECP256R1):
            raise ValueError("expected an EC key on P-256, or an RSA key")  # noqa: TRY004
        return josepy.JWKEC(key=key)
    return josepy.JWKRSA(key=key)


def _words(error: BaseException) -> str:
    """Return what the CA or the network said, in one line."""
    if isinstance(error, messages.Error):
        parts = [error.detail or error.title or error.description or "", f"({error.typ})"]
        parts += [_words(sub) for sub in error.subproblems or ()]
        return " ".join(part for part in parts if part)
    if isinstance(error, errors.ClientError) and error.args:
        first = error.args[0]
        if isinstance(first, tuple) and first:
            first = first[0]
        if isinstance(first, requests.Response):
            return f"it answers {first.status_code} {first.reason}"
    return str(error) or type(error).__name__
