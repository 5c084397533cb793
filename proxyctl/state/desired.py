"""From winners to what HAProxy should be: routes become backends, servers and map entries."""

import math
from collections.abc import Iterable, Mapping

from proxyctl.addresses import parse_address
from proxyctl.recent import Recent
from proxyctl.routes.claims import Claim
from proxyctl.routes.conflicts import Share
from proxyctl.routes.endpoints import Endpoint
from proxyctl.routes.route import Route
from proxyctl.routes.values import Sticky, milliseconds
from proxyctl.routes.workload import Kind, Phase
from proxyctl.settings import Settings
from proxyctl.state.authorities import needed
from proxyctl.state.certificates import Choice
from proxyctl.state.frontends import detoured, frontends, maps
from proxyctl.state.model import (
    Backend,
    Cookie,
    Desired,
    Global,
    Header,
    HttpCheck,
    Map,
    RateLimit,
    Server,
    ServerState,
)

ACME_MAP = "maps/acme.map"
"""Token -> key authorization: the answers to a CA that asks by HTTP (RFC 8555, 8.3)."""
PRIVATE = (
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
)
"""What `allow=private` means: RFC 1918, 4193, 6598, loopback and link-local."""

NOWHERE = ("127.0.0.1", 1)
"""Address of a server whose workload does not run: it is in maintenance, and nobody listens."""

_CONNECT_LOCAL = "250ms"
_CONNECT_STATIC = "2s"


Overrides = Mapping[str, ServerState]
"""uid of a workload -> the state that somebody put it into by hand."""


def desired(  # noqa: PLR0913 - everything that there is to know
    shares: Iterable[Share],
    settings: Settings,
    identity: Global,
    overrides: Overrides,
    choice: Choice,
    *,
    recent: Recent | None = None,
) -> Desired:
    """Return what HAProxy should be for *shares*, sorted: equal input, equal bytes."""
    recent = recent or Recent()
    shares = tuple(shares)
    backends = []
    for share in sorted(shares, key=lambda s: s.name):
        states = tuple(overrides.get(c.workload.uid, ServerState.READY) for c in share.claims)
        arguments = (share, settings, states)
        backends.append(recent.of(("backend", share.name), arguments, _backend))
    passing = detoured(shares, settings)
    authorities = needed(settings, dict(choice.authorities))
    return Desired(
        settings=identity,
        frontends=frontends(settings, identity, passing, authorities),
        backends=tuple(backends),
        maps=(
            Map(file=ACME_MAP, entries=choice.challenges, leads=False),
            *maps(shares, settings, passing, choice.secured),
        ),
        certificates=choice.certificates,
        authorities=tuple(authorities.values()) if settings.haproxy.frontends else (),
    )


def _backend(share: Share, settings: Settings, states: Iterable[ServerState]) -> Backend:
    """Return the backend of a share; `states` are those of its claims by hand."""
    leader = share.claims[0]
    route = leader.route
    http = route.mode == "http"
    return Backend(
        name=share.name,
        mode="http" if http else "tcp",
        title=", ".join(_title(claim) for claim in share.claims),
        owners=tuple(claim.workload.uid for claim in share.claims),
        passing=not share.matches,
        servers=tuple(
            sorted(
                server
                for claim, state in zip(share.claims, states, strict=True)
                for server in servers(claim, state)
            )
        ),
        server_options=_server_options(route),
        balance="source" if route.sticky is Sticky.SOURCE else str(route.balance),
        cookie=_cookie(route),
        hsts=route.hsts or 0,
        check=_check(route, leader),
        retries=_retries(leader),
        hold=milliseconds(route.hold) > 0,
        allow=_networks(route.allow, settings.lists),
        deny=_networks(route.deny, settings.lists),
        rate_limit=_rate_limit(route) if http else None,
        strip_segments=route.path.count("/") if route.strip_prefix else 0,
        stripped_prefix=route.path if route.strip_prefix else "",
        add_prefix=route.add_prefix,
        host_header=_host_header(leader),
        request_headers=_headers(route.request_headers),
        response_headers=_headers(route.response_headers),
        compress=route.compress,
        timeouts=tuple(sorted(_timeouts(leader).items())),
    )


def _title(claim: Claim) -> str:
    route = f" route {claim.name}" if claim.name else ""
    return f"{claim.workload.subject}{route}"


def servers(claim: Claim, by_hand: ServerState = ServerState.READY) -> Iterable[Server]:
    """Return the servers of a claim: one in maintenance, leading nowhere, if it does not run."""
    if claim.gone:
        return
    route = claim.route
    address, port = NOWHERE
    for endpoint in claim.endpoints or (Endpoint(address=address, port=port),):
        name = f"{claim.backend}.{endpoint.name}" if endpoint.name else claim.backend
        yield Server(
            name=name,
            address=parse_address(endpoint.address).compressed,
            port=endpoint.port,
            weight=route.weight,
            backup=route.backup,
            state=_state(claim, by_hand),
        )


def _state(claim: Claim, by_hand: ServerState) -> ServerState:
    if not claim.endpoints or not claim.healthy:
        return ServerState.MAINT
    if by_hand is ServerState.READY and claim.workload.phase is Phase.STOPPING:
        return ServerState.DRAIN
    return by_hand


def _server_options(route: Route) -> tuple[str, ...]:
    options: list[str] = []
    if route.health not in {"off", "podman"}:
        options += ["check", f"inter {route.check_interval}", "fastinter 250ms"]
        options += ["downinter 250ms", f"rise {route.health_rise}", f"fall {route.health_fall}"]
        options += ["observe layer4", "error-limit 3", "on-error mark-down"]
        options += [f"port {route.health_port}"] if route.health_port else []
    if route.scheme == "https":
        options += ["ssl verify none", "sni req.hdr(host),field(1,:)", "alpn http/1.1"]
        options += ["check-ssl"] if "check" in options else []  # not by itself, if added later
    if route.scheme == "h2c":
        options.append("proto h2")
        options += ["check-proto h2"] if route.health.startswith("/") else []
    if route.send_proxy:
        options.append("send-proxy" if route.send_proxy == "v1" else "send-proxy-v2")
        options += ["check-send-proxy"] if "check" in options else []
    if route.max_connections:
        options.append(f"maxconn {route.max_connections}")
    return tuple(options)


def _cookie(route: Route) -> Cookie | None:
    if route.sticky is not Sticky.COOKIE:
        return None
    return Cookie(name=route.sticky_cookie, max_life=route.sticky_ttl or "")


def _check(route: Route, leader: Claim) -> HttpCheck | None:
    if not route.health.startswith("/"):
        return None
    named = (host for host in route.host if "*" not in host)
    host = route.health_host or next(named, leader.workload.name)
    return HttpCheck(path=route.health, host=host, status=route.health_status)


def _connect_timeout(claim: Claim) -> str:
    default = _CONNECT_STATIC if claim.workload.kind is Kind.STATIC else _CONNECT_LOCAL
    return claim.route.timeout_connect or default


def _retries(claim: Claim) -> int:
    """Return how often a connection is tried, so that requests wait about `hold`.

    HAProxy waits for the connect timeout, at most 1 s, before it tries again where there is no
    other server to try (configuration.txt, "retries"); each try chooses a server anew.
    """
    pause = min(1000, milliseconds(_connect_timeout(claim)))
    return max(3, math.ceil(milliseconds(claim.route.hold) / max(pause, 50)))


def _networks(sources: tuple[str, ...], lists: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    found: list[str] = []
    for source in sources:
        if source == "private":
            found.extend(PRIVATE)
        else:
            found.extend(lists[source[1:]] if source.startswith("@") else (source,))
    return tuple(dict.fromkeys(found))


def _rate_limit(route: Route) -> RateLimit | None:
    if not route.rate_limit:
        return None
    return RateLimit(requests=route.rate_limit.requests, period=route.rate_limit.period)


def _host_header(leader: Claim) -> str:
    wanted = leader.route.host_header
    return {"pass": "", "backend": leader.workload.name}.get(wanted, wanted)


def _headers(pairs: tuple[tuple[str, str], ...]) -> tuple[Header, ...]:
    return tuple(Header(name=name, value=value) for name, value in sorted(pairs))


def _timeouts(leader: Claim) -> dict[str, str]:
    route = leader.route
    wanted = {
        "connect": _connect_timeout(leader),
        "server": route.timeout,
        "tunnel": route.timeout_tunnel,
        "queue": route.timeout_queue,
        "check": route.health_timeout if route.health not in {"off", "podman"} else None,
    }
    if route.mode != "http":
        wanted["server"] = route.timeout or route.timeout_tunnel
    defaults = {"connect": _CONNECT_LOCAL, "check": "2s"}
    return {name: text for name, text in wanted.items() if text and defaults.get(name) != text}
