"""One certificate, from wish to file. Killed anywhere, the next run goes on, or begins anew.

    key on the disk -> order -> its URL on the disk -> proofs -> finalize -> download -> file

Nothing is asked of the CA that could not be kept: the key is written first. An order whose URL was
not written yet is forgotten; the CA gives the same one again, or lets it expire.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from acme import messages

from proxyctl.acme import keys, records, troubles
from proxyctl.acme.ca import Ca, validation_failed
from proxyctl.acme.proofs import Proof, Prover, answer, choose
from proxyctl.acme.records import Order, Record
from proxyctl.acme.schedule import Cost, wants_staging_advice
from proxyctl.acme.shelf import Shelf, read, write
from proxyctl.acme.troubles import Trouble
from proxyctl.acme.wishes import Wish
from proxyctl.settings import LETS_ENCRYPT, Acme

_Found = TypeVar("_Found")
PATIENCE = timedelta(minutes=3)
"""How long one run waits for the CA to validate, and again to issue."""
_POLL = (0.5, 10.0)
"""Seconds between two looks at what the CA does, at least and at most."""

_GONE = frozenset({messages.STATUS_INVALID, messages.STATUS_DEACTIVATED, messages.STATUS_REVOKED})


class Issuing:
    """Orders the certificate of one wish."""

    def __init__(self, ca: Ca, settings: Acme, shelf: Shelf, wish: Wish, record: Record) -> None:
        self._ca = ca
        self._settings = settings
        self._shelf = shelf
        self._wish = wish
        self.record = record
        """What is to be remembered, if it fails."""
        self._prover = Prover(settings, shelf)
        self._advice = wants_staging_advice(
            record.failures + 1, production=settings.url == LETS_ENCRYPT
        )

    def obtain(self, replaces: str) -> str:
        """Get the certificate and write its file; return what the hook complained about.

        `replaces` is the renewal id of its predecessor, if the CA cares. Raises Trouble.
        """
        name = self._wish.name
        if self._settings.challenge == "http-01" and not self._settings.hook:
            self._refuse_wildcards()
        url, order, key = self._resume() or self._begin(replaces)
        complaint = ""
        with self._ca.translated(name, advice=self._advice):
            if order.status == messages.STATUS_PENDING:
                complaint = self._prove(order)
                order = self._wait(url, messages.STATUS_PENDING)
            if order.status == messages.STATUS_READY:
                self._ca.finalize(order, keys.request(key, self._wish.hosts))
            # A CA that has just been told may still call it ready.
            order = self._wait(url, messages.STATUS_PROCESSING, messages.STATUS_READY)
            if order.status != messages.STATUS_VALID or not order.certificate:
                raise self._dead(order)
            chain = self._ca.read(order.certificate).content
        flaw = keys.flaw(chain, key, self._wish.hosts, datetime.now(UTC))
        if flaw:
            problem = troubles.useless(name, flaw)
            raise Trouble(problem, Cost.COUNTED, begin_anew=True)
        write(self._shelf.certificate(name), keys.key_pem(key) + chain)
        return complaint

    def _refuse_wildcards(self) -> None:
        if any(host.startswith("*.") for host in self._wish.hosts):
            raise Trouble(troubles.wildcard_needs_dns(self._wish.name))

    def _resume(self) -> tuple[str, messages.Order, keys.PrivateKey] | None:
        """Return the order that a killed or impatient run left, if it can still lead somewhere."""
        begun = self.record.order
        pem = read(self._shelf.order_key(self._wish.name))
        wanted = (self._ca.directory, self._wish.hosts)
        if begun is None or pem is None or (begun.directory, begun.hosts) != wanted:
            return None
        try:
            key = keys.load_key(pem)
            with self._ca.translated(self._wish.name):
                order = self._ca.order(begun.url)
        except ValueError:
            return None
        except Trouble as trouble:
            if not trouble.begin_anew:
                raise
            return None  # the CA does not know it any more
        return None if order.status in _GONE else (begun.url, order, key)

    def _begin(self, replaces: str) -> tuple[str, messages.Order, keys.PrivateKey]:
        name = self._wish.name
        self._prover.rehearse(name, self._wish.hosts)
        key = keys.new_key(self._settings.key)
        write(self._shelf.order_key(name), keys.key_pem(key))
        with self._ca.translated(name, advice=self._advice):
            url, order = self._ca.new_order(self._wish.hosts, replaces)
        begun = Order(url=url, directory=self._ca.directory, hosts=self._wish.hosts)
        self.record = replace(self.record, order=begun)
        records.save(self._shelf.record(name), self.record)
        return url, order, key

    def _prove(self, order: messages.Order) -> str:
        proofs: list[Proof] = []
        for url in order.authorizations or ():
            found = self._ca.authorization(url)
            if found.body.status == messages.STATUS_PENDING:
                account = self._ca.network.key
                assert account
                proofs.append(choose(self._wish.name, found.body, account, self._settings))
        try:
            self._prover.show(self._wish.name, proofs)
            answer(self._ca, proofs)
            for url in order.authorizations or ():
                self._validated(url)
        finally:
            complaint = self._prover.hide(proofs)
        return complaint

    def _validated(self, url: str) -> None:
        """Wait until the CA has looked at a host. Raises Trouble if it did not like it."""
        found = self._patiently(
            lambda: self._ca.authorization(url).body,
            lambda authorization: authorization.status == messages.STATUS_PENDING,
            f"it has not validated yet: {url}",
        )
        if found.status != messages.STATUS_VALID:
            words = [str(item.error) for item in found.challenges or () if item.error]
            detail = f"{found.identifier.value}: {'; '.join(words) or found.status}"
            raise validation_failed(self._wish.name, detail, advice=self._advice)

    def _wait(self, url: str, *unfinished: messages.Status) -> messages.Order:
        return self._patiently(
            lambda: self._ca.order(url),
            lambda order: order.status in unfinished,
            f"its order is not finished yet: {url}",
        )

    def _patiently(
        self, look: Callable[[], _Found], busy: Callable[[_Found], bool], detail: str
    ) -> _Found:
        """Look again and again, as often as the CA likes it, until it is no longer busy."""
        end = datetime.now(UTC) + PATIENCE
        pause = _POLL[0]
        while busy(found := look()):
            now = datetime.now(UTC)
            if now >= end:
                raise Trouble(troubles.not_yet(self._wish.name, detail), Cost.CA)
            wanted = self._ca.network.retry_after
            seconds = max(pause, (wanted - now).total_seconds() if wanted else 0)
            time.sleep(min(seconds, max(0.1, (end - now).total_seconds())))
            pause = min(pause * 1.5, _POLL[1])
        return found

    def _dead(self, order: messages.Order) -> Trouble:
        detail = str(order.error or f"its order is {order.status}")
        return validation_failed(self._wish.name, detail, advice=self._advice)
