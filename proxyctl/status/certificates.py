"""What is told about certificates: names, dates and where they come from. Never a key. Pure."""

from proxyctl.state.certificates import DEFAULT, Offer, tls_entrypoints
from proxyctl.state.issuance import offer_name
from proxyctl.state.model import Certificate
from proxyctl.status.answers import Document, document
from proxyctl.status.issuance import as_document, in_words, of_hosts
from proxyctl.status.view import View

_DAY = 86_400.0


def certificates(view: View) -> Document:
    """Return a row for each certificate that there is, those that expire first before others.

    `wanted` of a row names the entry of `wanted` that tells how it stands with its renewal.
    """
    served = {one.name: one for one in view.desired.certificates} if view.desired else {}
    stands = {offer_name(one.name): one.name for one in view.issuances}
    rows = [
        _row(view, offer, served.get(offer.name)) | {"wanted": stands.get(offer.name, "")}
        for offer in view.stock.offers
        if offer.kind != "internal" or offer.name in served
    ]
    rows.sort(key=lambda row: (row["name"] == DEFAULT, row["not_after"], row["name"]))
    wanted = [as_document(one) for one in view.issuances]
    tls = bool(tls_entrypoints(view.settings))
    return document("CertificateList", tls=tls, items=rows, wanted=wanted)


def _row(view: View, offer: Offer, served: Certificate | None) -> Document:
    loaded = (view.running.certificates or {}).get(offer.name)
    pair = offer.pair
    return {
        "name": offer.name,
        "kind": offer.kind,
        "names": list(pair.names),
        "served_for": list(served.hosts) if served else [],
        "default": offer.name == DEFAULT,
        "loaded": loaded is not None and loaded.fingerprint == pair.fingerprint,
        "not_before": pair.not_before,
        "not_after": pair.not_after,
        "days": int((pair.not_after - view.time) // _DAY),
        "issuer": pair.issuer,
        "key_type": pair.key_type,
        "chain": pair.chain,
        "fingerprint": pair.fingerprint,
        "source": offer.source,
        "old_copy": offer.old,
        "state": _state(view, offer, served),
    }


def _state(view: View, offer: Offer, served: Certificate | None) -> str:
    if offer.pair.not_after <= view.time:
        return "EXPIRED"
    if offer.old:
        return "OLD COPY"
    return "ok" if served else "unused"


def certificate_of(view: View, entrypoint: str, host: str) -> str:
    """Return which certificate a client gets that asks for a host, in words; "" without TLS."""
    if entrypoint not in tls_entrypoints(view.settings) or not view.desired:
        return ""
    wildcard = f"*.{host.partition('.')[2]}"
    for name in (host, wildcard):
        for one in view.desired.certificates:
            if name in one.hosts:
                days = int((one.not_after - view.time) // _DAY)
                told = f"{one.name}      {one.source}, {_remaining(days)}"
                return "; ".join([told, *map(in_words, of_hosts(view, [host]))])
    return "none for this host: clients get the default one, and do not trust it"


def _remaining(days: int) -> str:
    return f"{days} days left" if days >= 0 else "EXPIRED"
