"""HTTP/3: which entrypoints speak it, and where they listen for it. Pure.

It is an offer beside TCP and never instead of it: whatever is wrong with it, it is left out, and
clients go on by HTTP/2. That is why HAProxy is never started with it (`state.render.starting`): a
start that fails serves nobody, a reload that fails changes nothing.
"""

from collections.abc import Iterable

from proxyctl.problems import Problem, Severity
from proxyctl.settings import Entrypoint, Settings
from proxyctl.state.model import Global, Quic

_LISTENER = "bind quic"
LASTS = 3600
"""Seconds for which clients remember that there is HTTP/3."""


def is_wanted(entrypoint: Entrypoint, settings: Settings) -> bool:
    """Tell whether an entrypoint speaks HTTP/3 where HAProxy can.

    Not by itself in mode attach: `limited-quic`, which some need, belongs into a file that is
    not ours. Nor behind another proxy: none hands QUIC on.
    """
    if not settings.haproxy.frontends or not (entrypoint.tls and entrypoint.mode == "http"):
        return False
    if entrypoint.http3 != "auto":
        return entrypoint.http3
    is_ours = settings.haproxy.mode != "attach"
    return is_ours and not entrypoint.proxy_protocol and entrypoint.has_addresses


def is_wanted_anywhere(settings: Settings) -> bool:
    """Tell whether any entrypoint speaks HTTP/3 where HAProxy can."""
    return any(is_wanted(entrypoint, settings) for entrypoint in settings.entrypoints.values())


def binds(entrypoint: Entrypoint) -> tuple[str, ...]:
    """Return the arguments of `bind`, but those of TLS: the same addresses and ports, of UDP."""
    return tuple(map(_bind, entrypoint.bind))


def _bind(address: str) -> str:
    if address.startswith("["):
        return f"quic6@{address}" + (" v6only" if address.startswith("[::]:") else "")
    return f"quic4@{address}"


def alt_svc(entrypoint: Entrypoint) -> str:
    """Return the header that tells of it: the port of the first bind, as redirects do."""
    return f'h3=":{entrypoint.port}"; ma={LASTS}'


def is_listener(line: str) -> bool:
    """Tell whether a line of haproxy.cfg listens for HTTP/3."""
    return line.lstrip().startswith(_LISTENER)


def blamed(config: str, alerts: Iterable[tuple[int | None, str]]) -> str:
    """Return what HAProxy says about a line that listens for HTTP/3; "" for nothing."""
    lines = config.splitlines()
    said = (
        text
        for line, text in alerts
        if line and line <= len(lines) and is_listener(lines[line - 1])
    )
    return next(said, "")


def unable(settings: Settings, identity: Global) -> tuple[Problem, ...]:
    """Return what to say about entrypoints that ask for what HAProxy does not have."""
    if identity.quic is not Quic.NONE or not settings.haproxy.frontends:
        return ()
    return tuple(
        Problem(
            id="PX427",
            subject=f'entrypoint "{name}"',
            summary="asks for HTTP/3, which this HAProxy cannot speak",
            where=f"http3 of entrypoints.{name} in config.toml",
            effect="it is served by HTTP/2 and HTTP/1.1",
            fix="HAProxy 3.0 or newer, built with QUIC (haproxy -vv: +QUIC); or leave http3 out",
            severity=Severity.WARNING,
        )
        for name, entrypoint in sorted(settings.entrypoints.items())
        if entrypoint.http3 is True
    )
