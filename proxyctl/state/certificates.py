"""Which certificate is served for which host. Pure.

    tls=NAME           the certificate of that name; there is none: a problem, and as `auto`
    tls=internal       one that proxyctl made
    tls=auto           one that covers the host: a valid one before others, its own name before a
                       wildcard, then the one that lasts longest; else one that proxyctl makes

A client that asks for no name, or for one that nobody has, gets the default certificate, and an
answer (404) instead of a broken handshake.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from proxyctl.addresses import is_address
from proxyctl.problems import Problem
from proxyctl.routes.conflicts import Share
from proxyctl.settings import Settings
from proxyctl.state.mistrust import names_nobody, not_covered, running_out
from proxyctl.state.model import Certificate
from proxyctl.state.pem import KeyType, Pair

Kind = Literal["folder", "acme", "internal"]

ACME, INTERNAL = "acme@", "internal@"
"""How the names of certificates begin that proxyctl keeps itself; no other has an @. Not a colon:
HAProxy takes what follows it for the number of a line."""
DEFAULT = "internal@DEFAULT"
"""Name of the certificate for clients that ask for no name that we have."""
_KEY_TYPES = ("rsa", "ecdsa", "other")


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A certificate that there is."""

    name: str
    """Unique: of its file, with `acme@` or `internal@` before it where proxyctl keeps it."""
    kind: Kind
    source: str
    pair: Pair
    old: bool = False
    """Whether it is a copy, of before its file was broken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """Everything about certificates that was read at one moment."""

    time: float = 0.0
    """Seconds since the epoch."""
    offers: tuple[Offer, ...] = ()
    problems: tuple[Problem, ...] = ()
    challenges: tuple[tuple[str, str], ...] = ()
    """Token -> key authorization: what a CA is answered now (RFC 8555, 8.3)."""
    authorities: tuple[tuple[str, str], ...] = ()
    """Name -> PEM: the CAs of clients."""

    def is_like(self, other: "Stock") -> bool:
        """Tell whether there is the same in *other*, whenever it was read."""
        return self == replace(other, time=self.time)

    @property
    def pems(self) -> dict[str, str]:
        """Return the contents of the certificates' files by name."""
        return {offer.name: offer.pair.pem for offer in self.offers}


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Ask:
    """A host that is to be served with TLS."""

    host: str
    wish: str
    """`auto`, `internal`, or the name of a certificate."""
    subject: str
    """Whose it is, for people: `pod "gitea"`."""
    workload: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What is served, and what there is to say about it."""

    certificates: tuple[Certificate, ...] = ()
    lacking: tuple[str, ...] = ()
    """Hosts for which one has to be made; "" is the default one."""
    secured: frozenset[str] = frozenset()
    """Hosts that are to be asked for by TLS, if no label says otherwise: those with a valid
    certificate that proxyctl has not made itself, and those for which a label wants one that is
    there."""
    challenges: tuple[tuple[str, str], ...] = ()
    """Token -> key authorization: what a CA is answered now."""
    authorities: tuple[tuple[str, str], ...] = ()
    """Name -> PEM: the CAs of clients."""
    mistaken: tuple[Problem, ...] = ()
    """What is wrong with the labels that ask."""
    problems: tuple[Problem, ...] = ()
    """What is wrong with the certificates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A certificate that is to be had from a CA."""

    name: str
    hosts: tuple[str, ...]
    route: str
    """Whose, for people: `pod "gitea"`."""


def internal_name(host: str) -> str:
    """Return the name of the certificate that proxyctl makes for a host."""
    return INTERNAL + file_name(host)


def file_name(host: str) -> str:
    """Return a host as the name of a file: `_.example.com` for `*.example.com`."""
    return host.replace("*", "_")


def tls_entrypoints(settings: Settings) -> frozenset[str]:
    """Return the names of the entrypoints that speak TLS."""
    return frozenset(name for name, e in settings.entrypoints.items() if e.tls)


def asks(shares: Iterable[Share], settings: Settings) -> tuple[Ask, ...]:
    """Return the hosts that need a certificate, sorted; what a label says comes before `auto`."""
    entrypoints = tls_entrypoints(settings)
    found: dict[str, Ask] = {}
    for share in shares:
        for host in _hosts(share, entrypoints):
            leader = share.claims[0]
            workload = leader.workload
            ask = Ask(
                host=host, wish=_wish(share), subject=workload.subject, workload=workload.uid
            )
            before = found.get(host)
            if before is None or _precedence(ask) < _precedence(before):
                found[host] = ask
    return tuple(sorted(found.values()))


def _hosts(share: Share, entrypoints: frozenset[str]) -> list[str]:
    """Return the hosts of a share whose TLS ends in HAProxy, those of its redirects too.

    Not IP addresses: a client asks for none by name (RFC 6066, 3), and gets the default one.
    """
    if share.claims[0].route.mode != "http":
        return []
    here = (match.host for match in share.all_matches if match.entrypoint in entrypoints)
    return sorted({host for host in here if not is_address(host)})


def _wish(share: Share) -> str:
    """Return what the label `tls` asks for."""
    return share.claims[0].route.tls


def _precedence(ask: Ask) -> tuple[bool, bool, Ask]:
    return ask.wish == "auto", ask.wish == "internal", ask


def choose(wanted: Iterable[Ask], stock: Stock) -> Choice:
    """Return what is served for the hosts that are asked for, and for all names in the folder."""
    chooser = _Chooser(stock)
    mistaken: list[Problem] = []
    lacking: list[str] = [] if DEFAULT in chooser.named else [""]
    served: dict[str, tuple[Offer, ...]] = {
        name: chooser.best(name) for offer in chooser.public for name in offer.pair.names
    }
    asked: dict[str, Offer] = {}
    secured: set[str] = set()
    for ask in wanted:
        if ask.host == "*":
            continue  # any name: the default certificate
        offers, wrong = chooser.answer(ask)
        mistaken += wrong
        served[ask.host] = offers
        asked.update((offer.name, offer) for offer in offers)
        if not offers:
            lacking.append(ask.host)
        elif chooser.is_wished(ask) or chooser.are_trusted(offers):
            secured.add(ask.host)
    shown = {o.name: o for o in chooser.public if o.kind == "folder"} | asked
    certificates = tuple(_certificates(served, chooser))
    used = {one.name for one in certificates}
    ageing = (_ageing(o, stock.time, used=name in used) for name, o in sorted(shown.items()))
    return Choice(
        certificates=certificates,
        lacking=tuple(lacking),
        secured=frozenset(secured),
        challenges=stock.challenges,
        authorities=stock.authorities,
        mistaken=tuple(mistaken),
        problems=tuple(filter(None, ageing)),
    )


def alone(certificates: Iterable[Certificate], stock: Stock) -> tuple[Certificate, ...] | None:
    """Return those that concern nobody but the hosts that were asked for: made for one each.

    None if one of the others is served otherwise because of who asks, which only everybody
    together can decide.
    """
    nobody = {one.name: one.hosts for one in choose((), stock).certificates}
    own = tuple(one for one in certificates if one.name not in nobody)
    others = {one.name: one.hosts for one in certificates if one.name in nobody}
    alone_ = all(one.name.startswith(INTERNAL) for one in own) and others in ({}, nobody)
    return own if alone_ else None


def _ageing(offer: Offer, now: float, *, used: bool) -> Problem | None:
    if offer.kind == "internal":
        return None  # is made anew in time
    return running_out(offer.name, offer.source, offer.pair, now=now, used=used)


def _certificates(
    served: Mapping[str, tuple[Offer, ...]], chooser: "_Chooser"
) -> Iterator[Certificate]:
    """Yield the certificates with the names that each is served for, the default one first."""
    hosts: dict[str, list[str]] = defaultdict(list)
    for host, offers in sorted(served.items()):
        if offers and offers == served.get(_wildcard(host)):
            continue  # the wildcard's own name is enough: a new host then changes nothing
        for offer in offers:
            hosts[offer.name].append(host)
    first = [DEFAULT] if DEFAULT in chooser.named else []
    for name in (*first, *sorted(hosts)):
        offer = chooser.named[name]
        yield Certificate(
            name=name,
            hosts=tuple(hosts.get(name, ())),
            fingerprint=offer.pair.fingerprint,
            not_after=offer.pair.not_after,
            source=offer.source,
            chain=offer.pair.chain,
        )


def wanted(shares: Iterable[Share], settings: Settings, stock: Stock) -> tuple[Wanted, ...]:
    """Return what is to be had from a CA: the hosts of each route that the folder has not got.

    Wildcards are a certificate of their own: where they cannot be proven, the others have theirs.
    """
    entrypoints = tls_entrypoints(settings)
    chooser = _Chooser(stock)
    found: dict[str, Wanted] = {}
    for share in shares:
        if _wish(share) != "auto":
            continue
        matched = _hosts(share, entrypoints)
        routes = (claim.route for claim in share.claims)
        named = (host for route in routes for host in (*route.host, *route.redirect_from))
        lacking = [
            h for h in named if h in matched and _is_issued(h) and not chooser.is_covered(h)
        ]
        subject = share.claims[0].workload.subject
        for hosts in _apart(lacking):
            # Another path of the same host may bring more names.
            before = found.get(hosts[0], Wanted(name=hosts[0], hosts=(), route=subject))
            together = tuple(dict.fromkeys((*before.hosts, *hosts)))
            found[hosts[0]] = replace(before, hosts=together)
    return tuple(one for _, one in sorted(found.items()))


def _is_issued(host: str) -> bool:
    """Tell whether a CA may have certificates for a host: a name below another, by RFC 1123."""
    return "." in host and "_" not in host


def _apart(hosts: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """Yield the hosts that are no wildcards, and those that are; neither if there is none."""
    every = tuple(hosts)
    for wild in (False, True):
        if alike := tuple(host for host in every if host.startswith("*.") is wild):
            yield alike


@dataclass(slots=True)
class _Chooser:
    """The offers of a stock, by name and by the names that they are for."""

    stock: Stock
    named: dict[str, Offer] = field(init=False)
    public: tuple[Offer, ...] = field(init=False)
    """Those that somebody else issued."""
    _covering: dict[str, list[Offer]] = field(init=False)

    def __post_init__(self) -> None:
        self.named = {offer.name: offer for offer in self.stock.offers}
        self.public = tuple(o for o in self.stock.offers if o.kind != "internal")
        self._covering = defaultdict(list)
        for offer in self.public:
            for name in offer.pair.names:
                self._covering[name].append(offer)

    def answer(self, ask: Ask) -> tuple[tuple[Offer, ...], list[Problem]]:
        """Return what is served for a host: none, if one has to be made for it."""
        problems: list[Problem] = []
        if ask.wish == "internal":
            return self._internal(ask.host), problems
        if ask.wish != "auto":
            called = self._called(ask.wish)
            if called:
                covers = any({ask.host, _wildcard(ask.host)} & {*o.pair.names} for o in called)
                if not covers:
                    problems.append(not_covered(ask.subject, ask.workload, ask.wish, ask.host))
                return called, problems
            names = sorted(offer.name.removeprefix(ACME) for offer in self.public)
            problems.append(names_nobody(ask.subject, ask.workload, ask.wish, names))
        return self.best(ask.host) or self._internal(ask.host), problems

    def is_wished(self, ask: Ask) -> bool:
        """Tell whether a label wants a certain certificate, and it is there."""
        return ask.wish == "internal" or (ask.wish != "auto" and bool(self._called(ask.wish)))

    def are_trusted(self, offers: Iterable[Offer]) -> bool:
        """Tell whether somebody else issued them, and they are valid now."""
        return all(o.kind != "internal" and o.pair.is_valid(self.stock.time) for o in offers)

    def best(self, host: str) -> tuple[Offer, ...]:
        """Return the best that cover a host, one for each type of key; none if none does."""
        exact, wild = self._covering.get(host, ()), self._covering.get(_wildcard(host), ())
        ranked = sorted([*exact, *wild], key=lambda offer: self._rank(offer, host))
        if not ranked:
            return ()
        quality = self._rank(ranked[0], host)[:2]
        equal = [offer for offer in ranked if self._rank(offer, host)[:2] == quality]
        types: dict[KeyType, Offer] = {}
        for offer in equal:
            types.setdefault(offer.pair.key_type, offer)
        return tuple(sorted(types.values(), key=lambda offer: offer.name))

    def is_covered(self, host: str) -> bool:
        """Tell whether the folder has a certificate for a host that is valid."""
        found = (*self._covering.get(host, ()), *self._covering.get(_wildcard(host), ()))
        return any(o.kind == "folder" and o.pair.is_valid(self.stock.time) for o in found)

    def _rank(self, offer: Offer, host: str) -> tuple[bool, bool, float, str]:
        pair = offer.pair
        return (
            not pair.is_valid(self.stock.time),
            host not in pair.names,
            -pair.not_after,
            offer.name,
        )

    def _called(self, name: str) -> tuple[Offer, ...]:
        """Return the certificates of a name: `name`, or `name.rsa` and `name.ecdsa`."""
        for start in (name, ACME + name):
            names = (start, *(f"{start}.{key_type}" for key_type in _KEY_TYPES))
            if found := tuple(self.named[one] for one in names if one in self.named):
                return found
        return ()

    def _internal(self, host: str) -> tuple[Offer, ...]:
        offer = self.named.get(internal_name(host))
        return (offer,) if offer else ()


def _wildcard(host: str) -> str:
    """Return the wildcard that covers a host, "" if none can."""
    _, dot, parent = host.partition(".")
    return f"*.{parent}" if dot and not host.startswith("*.") else ""
