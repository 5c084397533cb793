"""Where a route can be called, in a form that can be pasted into a shell. Pure."""

from proxyctl.routes.claims import Match
from proxyctl.settings import Entrypoint, Settings

_LOOPBACK = {"": "127.0.0.1", "*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - read
"""Where to call what listens everywhere; `[::]` is bound without IPv4."""
_DEFAULT_PORT = {"http": 80, "https": 443}


def listening(entrypoint: Entrypoint) -> tuple[str, int]:
    """Return an address of this host and the port on which an entrypoint can be called."""
    host = entrypoint.bind[0].rpartition(":")[0]
    return _LOOPBACK.get(host, host), entrypoint.port


def ports(entrypoint: Entrypoint) -> frozenset[int]:
    """Return the ports on which an entrypoint listens."""
    return frozenset(int(bind.rpartition(":")[2]) for bind in entrypoint.bind)


def default_port(scheme: str) -> int:
    """Return the port of a URL that names none; 0 for a scheme that is not HTTP's."""
    return _DEFAULT_PORT.get(scheme, 0)


def url(match: Match, settings: Settings) -> str:
    """Return the URL of a match; `*.example.com` stays as it is.

    "" where nobody but the administrator knows it: with frontends of his own.
    """
    entrypoint = _ours(match, settings)
    if entrypoint is None:
        return ""
    address, port = listening(entrypoint)
    if not match.host:
        return f"{'tls' if entrypoint.tls else 'tcp'}://{address}:{port}"
    return f"{_base(match.host, entrypoint)}{match.path or '/'}"


def try_it(match: Match, settings: Settings) -> str:
    """Return a command line that sends one request through HAProxy, whatever DNS says.

    "" where there is none: with frontends of the administrator's own.
    """
    entrypoint = _ours(match, settings)
    if entrypoint is None:
        return ""
    address, port = listening(entrypoint)
    if not match.host:
        return f"nc -vz {address.strip('[]')} {port}"
    host = _example(match.host)
    target = f"{_base(host, entrypoint)}{match.path or '/'}"
    insecure = "k" if entrypoint.tls else ""  # the certificate may be one of this host's own
    proxied = "--haproxy-protocol " if entrypoint.proxy_protocol else ""
    return f"curl -sv{insecure} {proxied}--resolve {host}:{port}:{address} {target}"


def _ours(match: Match, settings: Settings) -> Entrypoint | None:
    """Return the entrypoint of a match, if it is HAProxy's frontend as we wrote it."""
    return settings.entrypoints.get(match.entrypoint) if settings.haproxy.frontends else None


def _example(host: str) -> str:
    """Return a host name that a pattern covers."""
    return "any.example" if host == "*" else host.replace("*", "any", 1)


def _base(host: str, entrypoint: Entrypoint) -> str:
    scheme = "https" if entrypoint.tls else "http"
    port = entrypoint.port
    return f"{scheme}://{host}" + ("" if port == default_port(scheme) else f":{port}")
