"""Takes a certificate back, at the CA first and then here."""

from dataclasses import replace

from acme import errors, messages

from proxyctl.acme import account, keys, records, troubles, wishes
from proxyctl.acme.shelf import Shelf, read, remove
from proxyctl.acme.troubles import Trouble
from proxyctl.settings import Acme

REASONS = {"unspecified": 0, "key-compromise": 1, "superseded": 4, "cessation-of-operation": 5}
"""Why a certificate is revoked -> its number in RFC 5280 5.3.1."""


def revoke(settings: Acme, shelf: Shelf, name: str, reason: str) -> bool:
    """Revoke the certificate *name* at the CA; *reason* is one of REASONS.

    While it is wanted its file stays until the next run has replaced it, since a revoked
    certificate is better than none; else the file goes. Returns whether it stays. Raises Trouble.
    """
    path = shelf.certificate(name)
    pem = read(path)
    held = keys.held(pem)
    if pem is None or held is None:
        raise Trouble(troubles.unknown_certificate(name, str(shelf.certificates)))
    ca = account.connect(settings, shelf)
    with ca.translated(name):
        try:
            ca.client.revoke(keys.leaf(pem), REASONS[reason])
        except messages.Error as error:
            if error.code != "alreadyRevoked":
                raise
        except errors.ConflictError:
            pass  # some CAs say so with 409
    wanted, _ = wishes.parse(read(shelf.wanted) or b"{}", str(shelf.wanted))
    if any(wish.name == name for wish in wanted):
        record = records.load(shelf.record(name))
        records.save(shelf.record(name), replace(record, revoked=held.serial, next_try=None))
        return True
    remove(path)
    remove(shelf.record(name))
    return False
