"""From entrypoints to frontends, and the maps in which these look up who gets a request.

    maps/web.http.map        host and path → backend            git.example.com/ gitea
                             … and where HTTPS is to be used    git.example.com/ gitea|:8443
                             another name for a host            www.example.com/ ::to:https://example.com
    maps/websecure.sni.map   name in the first message of TLS → backend, not decrypted
    maps/tcp.map             entrypoint → backend

An entrypoint with routes of mode passthrough has two frontends: one that looks at the name, and,
behind it, the one that it had before, in which TLS ends (docs/decisions/0007).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

from proxyctl.routes.claims import Match
from proxyctl.routes.conflicts import Share
from proxyctl.settings import Entrypoint, Settings
from proxyctl.state import http3
from proxyctl.state.digest import digest
from proxyctl.state.model import Authority, Detour, Frontend, Global, Map

TCP_MAP = "maps/tcp.map"
MOVED = "::to:"
"""Begins a value that is no backend, but the URL to redirect to; path and query follow."""
BY_HTTPS = "|"
"""Stands between a backend and `:port` (or nothing), where HTTPS is to be used."""


def map_of(entrypoint: str) -> str:
    """Return the file of the map of an http entrypoint."""
    return f"maps/{entrypoint}.http.map"


def sni_map_of(entrypoint: str) -> str:
    """Return the file of the map of the names whose TLS an entrypoint does not end."""
    return f"maps/{entrypoint}.sni.map"


def detoured(shares: Iterable[Share], settings: Settings) -> frozenset[str]:
    """Return the entrypoints that look at the name before TLS begins."""
    asked = {
        match.entrypoint
        for share in shares
        if share.claims[0].route.mode == "passthrough"
        for match in share.matches
    }
    always = {name for name, e in settings.entrypoints.items() if e.passthrough is True}
    return frozenset(asked | always)


def frontends(
    settings: Settings,
    identity: Global,
    passing: frozenset[str],
    authorities: Mapping[str, Authority],
) -> tuple[Frontend, ...]:
    """Return the frontends of all entrypoints.

    `passing`: those with passthrough. `authorities`: the CAs of clients by name; an entrypoint
    whose CA is not among them does not listen.
    """
    if not settings.haproxy.frontends:
        return ()
    by_https = any(e.tls and e.mode == "http" for e in settings.entrypoints.values())
    found: list[Frontend] = []
    for name, entrypoint in sorted(settings.entrypoints.items()):
        authority = authorities.get(entrypoint.client_ca)
        if entrypoint.client_ca and not authority:
            continue
        networks = entrypoint.proxy_protocol
        has_http3 = identity.quic.is_usable and http3.is_wanted(entrypoint, settings)
        frontend = Frontend(
            entrypoint=name,
            mode=entrypoint.mode,
            binds=tuple(_bind(address, entrypoint) for address in entrypoint.bind),
            expect_proxy=networks if isinstance(networks, tuple) else (),
            map=map_of(name) if entrypoint.mode == "http" else TCP_MAP,
            trusted=entrypoint.trusted_proxies,
            tls=entrypoint.tls,
            client_ca=authority.file if authority else "",
            redirects=by_https and not entrypoint.tls,
            quic_binds=http3.binds(entrypoint) if has_http3 else (),
            alt_svc=http3.alt_svc(entrypoint) if has_http3 else "",
        )
        found += _in_two(frontend, _detour(name, identity)) if name in passing else [frontend]
    return tuple(found)


def _in_two(frontend: Frontend, detour: Detour) -> list[Frontend]:
    """Return one that looks at the name where *frontend* listened, and it behind that one."""
    sni_map = sni_map_of(frontend.entrypoint)
    before = Frontend(
        entrypoint=frontend.entrypoint,
        mode="sni",
        binds=frontend.binds,
        expect_proxy=frontend.expect_proxy,
        map=sni_map,
        detour=detour,
    )
    binds = (f"{detour.address} accept-proxy",)
    return [
        before,
        replace(frontend, binds=binds, expect_proxy=(), sni_map=sni_map, detour=detour),
    ]


def _bind(address: str, entrypoint: Entrypoint) -> str:
    own = " v6only" if address.startswith("[::]:") else ""
    return address + own + (" accept-proxy" if entrypoint.proxy_protocol is True else "")


def _detour(entrypoint: str, identity: Global) -> Detour:
    """Return the way between the two frontends of an entrypoint.

    Names of abstract sockets are shared by all programs of a network namespace: hence the digest
    of the folder. Anybody may connect to one and claim any address in a PROXY header: hence the
    secret.
    """
    return Detour(
        backend=f"::tls:{entrypoint}",
        address=f"abns@proxyctl-{digest(identity.folder)}-{entrypoint}",
        secret=digest(f"{identity.cookie_key} {identity.folder} {entrypoint}"),
    )


def maps(
    shares: Iterable[Share], settings: Settings, passing: frozenset[str], secured: frozenset[str]
) -> tuple[Map, ...]:
    """Return the maps of all frontends.

    `secured`: the hosts that are to be asked for by TLS, if no label says otherwise.
    """
    entries: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for share in shares:
        mode = share.claims[0].route.mode
        for match in share.matches:
            file, key = place_of(match, mode)
            redirect = _redirect(share, match, settings, secured) if mode == "http" else ""
            entries[file].append((key, share.name + redirect))
        for match in share.moved if settings.haproxy.frontends else ():
            value = MOVED + _first_host(share, match, settings, secured)
            entries[map_of(match.entrypoint)].append((key_of(match), value))
    for name in passing:
        rows = entries[sni_map_of(name)]
        if any(key.startswith((".", "*")) for key, _ in rows):
            rows += _ended_here(name, shares)
    files = {map_of(n) for n, e in settings.entrypoints.items() if e.mode == "http"}
    files |= {TCP_MAP} | {sni_map_of(name) for name in passing}
    return tuple(Map(file=file, entries=tuple(sorted(entries[file]))) for file in sorted(files))


def _ended_here(entrypoint: str, shares: Iterable[Share]) -> list[tuple[str, str]]:
    """Return the rows that keep hosts out of a wildcard of mode passthrough."""
    hosts = {
        match.host
        for share in shares
        if share.claims[0].route.mode == "http"
        for match in share.all_matches
        if match.entrypoint == entrypoint
    }
    return [(_host_key(host), f"::tls:{entrypoint}") for host in hosts]


def place_of(match: Match, mode: str) -> tuple[str, str]:
    """Return the file of the map, and the key in it, by which a match of a route is found."""
    if mode == "tcp":
        return TCP_MAP, match.entrypoint
    if mode == "passthrough":
        return sni_map_of(match.entrypoint), _host_key(match.host)
    return map_of(match.entrypoint), key_of(match)


def key_of(match: Match) -> str:
    """Return the key of a match in the map of its entrypoint."""
    return f"{_host_key(match.host)}{match.path}/"


def _host_key(host: str) -> str:
    """Return the key of a host in a map: `*.example.com` is `.example.com`."""
    return host.removeprefix("*") if host.startswith("*.") else host


def https_of(
    share: Share, match: Match, settings: Settings, secured: frozenset[str]
) -> Entrypoint | None:
    """Return the entrypoint to which requests for a match are redirected, None if they are not.

    A frontend of somebody else's reads our maps, and knows nothing of redirects.
    """
    route = share.claims[0].route
    if not settings.haproxy.frontends:
        return None
    if settings.entrypoints[match.entrypoint].tls or route.redirect_https is False:
        return None
    if route.redirect_https is None and match.host not in secured:
        return None
    for other in sorted(share.matches):
        entrypoint = settings.entrypoints[other.entrypoint]
        if entrypoint.tls and (other.host, other.path) == (match.host, match.path):
            return entrypoint
    return None


def _redirect(share: Share, match: Match, settings: Settings, secured: frozenset[str]) -> str:
    entrypoint = https_of(share, match, settings, secured)
    return BY_HTTPS + _suffix(entrypoint) if entrypoint else ""


def _first_host(share: Share, match: Match, settings: Settings, secured: frozenset[str]) -> str:
    """Return where a redirect leads: the leader's first host, by HTTPS if that has to be used."""
    leader = next(claim for claim in share.claims if match in claim.moved)
    first = Match(entrypoint=match.entrypoint, host=leader.route.host[0], path=match.path)
    here = settings.entrypoints[match.entrypoint]
    entrypoint = https_of(share, first, settings, secured) or here
    scheme = "https" if entrypoint.tls else "http"
    return f"{scheme}://{first.host}{_suffix(entrypoint)}"


def _suffix(entrypoint: Entrypoint) -> str:
    """Return `:port`, "" where a URL needs none."""
    usual = 443 if entrypoint.tls else 80
    return "" if entrypoint.port == usual else f":{entrypoint.port}"


def backend_of(value: str) -> str:
    """Return the backend that a value in a map leads to, "" for a redirect to another host."""
    return "" if value.startswith(MOVED) else value.partition(BY_HTTPS)[0]


def redirect_of(value: str, host: str) -> str:
    """Return the URL that requests for *host* are sent to, without its path; "" for none."""
    if value.startswith(MOVED):
        return value.removeprefix(MOVED)
    _, by_https, port = value.partition(BY_HTTPS)
    name = f"*{host}" if host.startswith(".") else host
    return f"https://{name}{port}" if by_https else ""


def leading_to(value: str, backend: str) -> str:
    """Return a map's value with another backend in it."""
    return backend + value[len(backend_of(value)) :]
