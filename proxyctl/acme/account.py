"""The account at the CA: found, made, and given another key.

The key is written before the CA hears of it, and the next key beside the present one until the CA
has taken it: whenever we are killed, the next run has the key that the CA knows.
"""

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import josepy
from acme import errors, messages

from proxyctl.acme import keys, troubles
from proxyctl.acme.ca import Ca, Network, account_key
from proxyctl.acme.schedule import Cost
from proxyctl.acme.shelf import Shelf, move, read, remove, write
from proxyctl.acme.troubles import Trouble
from proxyctl.settings import Acme

_KEY, _NEXT_KEY, _ACCOUNT = "key.pem", "next.pem", "account.json"
_SKEW = timedelta(hours=1)
"""Let's Encrypt lets a certificate begin an hour before it is issued."""


def connect(settings: Acme, shelf: Shelf) -> Ca:
    """Return the CA, with an account at it. Raises Trouble."""
    folder = shelf.account(settings.url)
    key = _present_key(folder / _KEY)
    ca = Ca(settings.url, Network(key, settings.ca_file))
    _check_clock(ca)
    if not settings.terms_agreed:  # also where there is an account from before
        raise Trouble(troubles.terms_not_agreed(ca.terms))
    following = read(folder / _NEXT_KEY)
    if following is not None:
        _end_rollover(ca, folder, following)
    saved = _saved(folder / _ACCOUNT)
    url = _find(ca)
    if url is None:
        url = _register(ca, settings)
    elif saved.get("email", settings.email) != settings.email:
        _change_email(ca, settings.email)
    document = {"directory": settings.url, "url": url, "email": settings.email}
    if document != saved:
        write(folder / _ACCOUNT, json.dumps(document, indent=1).encode())
    return ca


def rollover(ca: Ca, shelf: Shelf) -> None:
    """Give the account a new key. Raises Trouble: `connect` finds out which key is good then."""
    folder = shelf.account(ca.directory)
    pem = keys.key_pem(keys.new_key("ec256"))
    write(folder / _NEXT_KEY, pem)
    with ca.translated(account=True):
        try:
            ca.change_key(account_key(pem))
        except messages.Error:
            remove(folder / _NEXT_KEY)  # a clear no: the old key stays
            raise
    move(folder / _NEXT_KEY, folder / _KEY)


def _present_key(path: Path) -> josepy.JWK:
    pem = read(path)
    if pem is None:
        pem = keys.key_pem(keys.new_key("ec256"))
        write(path, pem)
    return _usable(pem, path)


def _usable(pem: bytes, path: Path) -> josepy.JWK:
    try:
        return account_key(pem)
    except ValueError as error:
        raise Trouble(troubles.bad_account_key(str(path), str(error))) from error


def _end_rollover(ca: Ca, folder: Path, following: bytes) -> None:
    """Find out whether the CA took the next key before we were killed."""
    present = ca.network.key
    ca.network.key = _usable(following, folder / _NEXT_KEY)
    ca.network.alg = josepy.ES256
    if _find(ca) is not None:
        move(folder / _NEXT_KEY, folder / _KEY)
        return
    remove(folder / _NEXT_KEY)
    ca.network.key = present
    ca.network.alg = josepy.ES256 if isinstance(present, josepy.JWKEC) else josepy.RS256


def _check_clock(ca: Ca) -> None:
    ours, theirs = datetime.now(UTC), ca.network.date
    if theirs and abs(ours - theirs) > _SKEW:
        raise Trouble(troubles.wrong_clock(ours, theirs))


def _saved(path: Path) -> dict[str, str]:
    with suppress(ValueError):
        found = json.loads(read(path) or b"{}")
        if isinstance(found, dict):
            return found
    return {}


def _find(ca: Ca) -> str | None:
    """Return the URL of the account that the key has, None if it has none."""
    ca.network.account = None
    question = messages.NewRegistration(only_return_existing=True)
    with ca.translated(account=True):
        try:
            account = ca.client.new_account(question)
        except errors.ConflictError as error:  # so the library calls: it is there
            account = messages.RegistrationResource(
                uri=error.location, body=messages.Registration()
            )
        except messages.Error as error:
            if error.code == "accountDoesNotExist":
                return None
            raise
        ca.network.account = account
        return str(account.uri)


def _register(ca: Ca, settings: Acme) -> str:
    wish = messages.NewRegistration.from_data(
        email=settings.email or None,
        terms_of_service_agreed=True,
        external_account_binding=_binding(ca, settings),
    )
    with ca.translated(account=True):
        try:
            return str(ca.client.new_account(wish).uri)
        except errors.ConflictError as error:
            ca.network.account = messages.RegistrationResource(
                uri=error.location, body=messages.Registration()
            )
            return error.location


def _binding(ca: Ca, settings: Acme) -> dict[str, object] | None:
    if not settings.eab_kid:
        if ca.client.external_account_required():
            problem = troubles.account_refused("it wants an external account binding")
            raise Trouble(problem, Cost.CA)
        return None
    assert ca.network.key
    try:
        return messages.ExternalAccountBinding.from_data(
            ca.network.key.public_key(), settings.eab_kid, settings.eab_hmac, ca.client.directory
        )
    except (ValueError, TypeError) as error:
        problem = troubles.account_refused(f"eab-hmac is not base64url: {error}")
        raise Trouble(problem, Cost.CA) from error


def _change_email(ca: Ca, email: str) -> None:
    assert ca.network.account
    contact = (f"mailto:{email}",) if email else ()
    with ca.translated(account=True):
        ca.client.update_registration(
            messages.RegistrationResource(
                uri=ca.network.account["uri"], body=messages.Registration(contact=contact)
            )
        )
