"""One run: reads what is wanted, gets what is due, writes how it is. What fails costs itself."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from proxyctl.acme import account, keys, records, troubles, wishes
from proxyctl.acme.ca import Ca
from proxyctl.acme.issuing import Issuing
from proxyctl.acme.proofs import Prover
from proxyctl.acme.records import Record
from proxyctl.acme.report import Outlook, document
from proxyctl.acme.schedule import Held, Judgement, State, allowed, in_order, judge, may_try
from proxyctl.acme.shelf import Shelf, read, remove, write
from proxyctl.acme.troubles import Trouble
from proxyctl.acme.wishes import Wish
from proxyctl.problems import Problem
from proxyctl.settings import Acme

_ROUNDS = 5
"""Rounds of one run, while what is wanted goes on changing."""
_ASK_AGAIN = timedelta(hours=6)
"""When to ask for a renewal window again that was not got (RFC 9773 4.3.3)."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it is after a run."""

    issued: tuple[str, ...]
    problems: tuple[Problem, ...]
    """What is wrong now; the troubles of earlier runs that still wait are among them."""


class Engine:
    """The certificates of one host, at one CA. For one run."""

    def __init__(
        self,
        settings: Acme,
        shelf: Shelf,
        *,
        tell: Callable[[str], None],
        now: bool = False,
        renew: Iterable[str] = (),
    ) -> None:
        """Get what is due; `now`: without waiting out pauses. `renew`: these only, due or not."""
        self._settings = settings
        self._shelf = shelf
        self._tell = tell
        self._renew = frozenset(renew)
        self._impatient = now or bool(self._renew)
        self._ca: Ca | Trouble | None = None
        """The CA once it was needed, or why there is none in this run."""
        self._records: dict[str, Record] = {}
        """As on the disk, if that is not full."""
        self._tried: set[str] = set()
        self._halted = False
        """Whether the CA limits us, so that in this run nothing more is asked."""
        self._issued: list[str] = []
        self._problems: dict[Problem, None] = {}
        """What is wrong with no certificate in particular."""

    def run(self) -> Outcome:
        """Get what is wanted and due. Raises Trouble only where nothing at all can be done."""
        self._shelf.prepare()
        self._clean()
        outlooks: tuple[Outlook, ...] = ()
        seen: bytes | None = None
        for _ in range(_ROUNDS):
            data = read(self._shelf.wanted)
            if data is None:
                self._tell(f"{self._shelf.wanted} is not there: proxyctl.service writes it")
            if data is None or data == seen:
                break  # what changes while we run does not ring systemd's bell again
            seen = data
            outlooks = self._round(data)
        unknown = self._renew - {item.wish.name for item in outlooks}
        self._problems.update(dict.fromkeys(map(troubles.not_wanted, sorted(unknown))))
        errors = [item.record.last_error for item in outlooks if item.record.last_error]
        return Outcome(tuple(self._issued), tuple(dict.fromkeys((*self._problems, *errors))))

    def _clean(self) -> None:
        """Take back the DNS records that a killed run left."""
        complaint = Prover(self._settings, self._shelf).clean()
        if complaint:
            self._tell(complaint)

    def _round(self, data: bytes) -> tuple[Outlook, ...]:
        wanted, wrong = wishes.parse(data, str(self._shelf.wanted))
        self._problems.update(dict.fromkeys(wrong))
        outlooks = {wish.name: self._settled(self._look(wish)) for wish in wanted}
        outlooks = {name: self._asked_for_window(item) for name, item in outlooks.items()}
        self._publish(outlooks.values())
        due = [
            (name, item.held.not_after if item.held else None)
            for name, item in outlooks.items()
            if item.judgement.due and self._may_try(item)
        ]
        for name in in_order(due):
            if self._halted:
                break  # the others come first in the next run, since this one has its pause then
            self._obtain(outlooks[name])
            outlooks[name] = self._look(outlooks[name].wish)
            self._publish(outlooks.values())
        return tuple(outlooks.values())

    def _may_try(self, item: Outlook) -> bool:
        if item.wish.name in self._tried or (self._renew and item.wish.name not in self._renew):
            return False
        return self._impatient or may_try(item.record.next_try, datetime.now(UTC))

    # ---- how a certificate is ------------------------------------------------------------------

    def _look(self, wish: Wish) -> Outlook:
        loaded = self._records.get(wish.name) or records.load(self._shelf.record(wish.name))
        record = records.about(loaded, self._settings.url)
        if not allowed(wish.hosts, self._settings.hosts):
            silent = replace(record, last_error=None, next_try=None)
            return Outlook(wish, None, silent, Judgement(state=State.EXCLUDED))
        try:
            held = keys.held(read(self._shelf.certificate(wish.name)))
        except Trouble as trouble:  # what cannot be read could not be replaced either
            told = replace(record, last_error=trouble.problem)
            return Outlook(wish, None, told, Judgement(state=State.FAILED))
        return Outlook(wish, held, record, self._judge(wish, held, record))

    def _judge(self, wish: Wish, held: Held | None, record: Record) -> Judgement:
        serial = held.serial if held else ""
        return judge(
            wish.hosts,
            held,
            now=datetime.now(UTC),
            failed=record.last_error is not None,
            window=record.window if record.window_serial == serial else None,
            other_ca=record.directory not in {"", self._settings.url},
            revoked=bool(serial) and record.revoked == serial,
            asked_for=wish.name in self._renew and wish.name not in self._tried,
        )

    def _settled(self, item: Outlook) -> Outlook:
        """Forget the order and the failures of a certificate that is good as it is.

        The order is left by a run that was killed after its last step, and would bring the same
        certificate once more when that is to be renewed; the failures are about other hosts.
        """
        past = item.record
        if item.held is None or item.judgement.due or not (past.order or past.last_error):
            return item
        record = replace(past, order=None, failures=0, next_try=None, last_error=None)
        self._remember(item.wish.name, record)
        with self._noted():
            remove(self._shelf.order_key(item.wish.name))
        return replace(item, record=record)

    def _asked_for_window(self, item: Outlook) -> Outlook:
        """Ask the CA when it would like a good certificate renewed, if it is time to ask."""
        held, record, name = item.held, item.record, item.wish.name
        if held is None or item.judgement.due:
            return item
        known = record.window_serial == held.serial
        if known and record.ask_window and not may_try(record.ask_window, datetime.now(UTC)):
            return item
        try:
            answer = self._connected().renewal_window(self._renewal_id(name))
        except Trouble:
            return item  # two thirds of its life is as good
        past = record.window if known else None
        window, again = answer or (past, datetime.now(UTC) + _ASK_AGAIN)
        record = replace(record, window=window, window_serial=held.serial, ask_window=again)
        self._remember(name, record)
        return Outlook(item.wish, held, record, self._judge(item.wish, held, record))

    def _renewal_id(self, name: str) -> str:
        return keys.renewal_id(read(self._shelf.certificate(name)) or b"")

    def _publish(self, outlooks: Iterable[Outlook]) -> None:
        """Write status.json, if it says anything new: who watches it would wake for nothing."""
        data = document(self._settings.url, tuple(self._problems), outlooks)
        with self._noted():
            if read(self._shelf.status) != data:
                write(self._shelf.status, data, 0o644)

    # ---- getting one ---------------------------------------------------------------------------

    def _connected(self) -> Ca:
        if self._ca is None:
            try:
                self._ca = account.connect(self._settings, self._shelf)
            except Trouble as trouble:
                self._ca = trouble  # one answer is enough for all certificates of this run
        if isinstance(self._ca, Trouble):
            raise self._ca
        return self._ca

    def _obtain(self, item: Outlook) -> None:
        """Get one certificate, or remember why not."""
        name, record = item.wish.name, item.record
        self._tried.add(name)
        self._tell(f"{name}: {item.judgement.reason}, asking the CA")
        issuing: Issuing | None = None
        try:
            ca = self._connected()
            known = item.held and ca.offers_windows and record.directory == self._settings.url
            replaces = self._renewal_id(name) if known else ""
            issuing = Issuing(ca, self._settings, self._shelf, item.wish, record)
            complaint = issuing.obtain(replaces)
        except Trouble as trouble:
            self._halted = trouble.for_all
            past = issuing.record if issuing else record
            now = datetime.now(UTC)
            self._remember(name, records.failed(past, trouble, self._settings.url, now))
            return
        self._issued.append(name)
        self._tell(f"{name}: issued" + (f" ({complaint})" if complaint else ""))
        self._remember(name, records.issued(self._settings.url))
        with self._noted():
            remove(self._shelf.order_key(name))

    def _remember(self, name: str, record: Record) -> None:
        self._records[name] = record
        with self._noted():
            records.save(self._shelf.record(name), record)

    @contextmanager
    def _noted(self) -> Iterator[None]:
        """Go on when the disk is full: what was got is on it, the rest is found out anew."""
        try:
            yield
        except Trouble as trouble:
            self._problems[trouble.problem] = None
