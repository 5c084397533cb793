"""A route: what one label each asks for. **A field is a label**; this is where one is added.

The alias of a field is the label's key, its description the reference's text: `docs/labels.md`,
`proxyctl labels` and the shell completion are made from here.
"""

from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from typing import Any

from pydantic import ConfigDict, Field, TypeAdapter
from pydantic.dataclasses import dataclass
from pydantic.fields import FieldInfo

from proxyctl.routes.values import (
    AddressChoice,
    Balance,
    Bool,
    CookieName,
    Count,
    Duration,
    HeaderName,
    HeaderText,
    HealthCheck,
    Hold,
    HostHeader,
    Hostname,
    Hosts,
    Hsts,
    Name,
    Names,
    NetworkName,
    PathPrefix,
    Port,
    Priority,
    RateLimit,
    RouteMode,
    Scheme,
    SendProxy,
    Sources,
    Status,
    Sticky,
    TlsChoice,
    Weight,
)

Headers = tuple[tuple[HeaderName, HeaderText], ...]


def _label(key: str, default: Any, values: str, description: str) -> Any:
    """Declare a label: its key, default, the words for its values, and what it does."""
    return Field(
        alias=key,
        default=default,
        description=description,
        json_schema_extra={"values": values},
    )


@dataclass(frozen=True, slots=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Route:
    """Send the requests for some hosts below a path, or all of an entrypoint, to a workload."""

    host: Hosts = _label(
        "host",
        (),
        "name[,name…]",
        "Host names to publish; `*.example.com` is every name below it, of any depth, `*` every "
        "name. Having one is the opt-in.",
    )
    port: Port | None = _label(
        "port",
        None,
        "1-65535",
        "Port on which the workload listens. Default: the only TCP port that it exposes or "
        "publishes.",
    )
    path: PathPrefix = _label(
        "path",
        "",
        "/prefix",
        "Path prefix, in whole segments: `/api` is `/api` and `/api/x`, not `/apix`. Default: "
        "`/`.",
    )
    mode: RouteMode = _label(
        "mode",
        "http",
        "http, tcp, passthrough",
        "`tcp` forwards bytes; it needs an `entrypoint` of mode tcp. `passthrough` forwards TLS "
        "undecrypted, by the name that a client asks for, beside names whose TLS ends in HAProxy.",
    )
    scheme: Scheme = _label(
        "scheme",
        "http",
        "http, https, h2c",
        "How HAProxy speaks to the workload; its certificate is not verified.",
    )
    entrypoint: Names = _label(
        "entrypoint",
        (),
        "name[,name…]",
        "Entrypoints of config.toml to listen on. Default: all of mode http that are marked "
        "`default`; with `mode=passthrough`, those with TLS. A label never opens a port.",
    )
    tls: TlsChoice = _label(
        "tls",
        "auto",
        "auto, off, internal, certificate name",
        "Which certificate the hosts have: `auto` the best there is, `internal` one that proxyctl "
        "makes itself, or one by its name. `off`: not published on entrypoints with TLS.",
    )
    redirect_https: Bool | None = _label(
        "redirect-https",
        None,
        "bool",
        "Send requests without TLS to the same URL with it (308). Default: yes for hosts with a "
        "certificate of a CA, and with `tls=internal` or a name.",
    )
    redirect_from: Hosts = _label(
        "redirect-from",
        (),
        "name[,name…]",
        "Other host names, from which requests are sent to the first `host` (308), path and query "
        "kept.",
    )
    hsts: Hsts | None = _label(
        "hsts",
        None,
        "duration, off",
        "Tell browsers for how long to use nothing but HTTPS for this host, such as `365d`: "
        "Strict-Transport-Security in answers by TLS. Default: off.",
    )
    group: Name | None = _label(
        "group",
        None,
        "name",
        "Workloads with equal group and match share one backend: replicas, canary, blue/green.",
    )
    weight: Weight = _label("weight", 100, "0-256", "Share of the traffic within the group.")
    backup: Bool = _label(
        "backup", False, "bool", "Used only while no other server of the group is up."
    )
    address: AddressChoice = _label(
        "address",
        "auto",
        "auto, ip, published",
        "Reach the workload by its own address or by the port that Podman publishes. `auto`: its "
        "own, where the host can reach it.",
    )
    network: NetworkName | None = _label(
        "network",
        None,
        "name",
        "Podman network whose address is used. Default: `podman` if attached, else the first by "
        "name.",
    )
    strip_prefix: Bool = _label(
        "strip-prefix",
        False,
        "bool",
        "Remove `path` before the workload sees it, and say so in X-Forwarded-Prefix. A request "
        "with a `%2F` for a slash of `path` gets 400; any other `%2F` passes as it is.",
    )
    add_prefix: PathPrefix = _label(
        "add-prefix", "", "/prefix", "Put this before the path that the workload sees."
    )
    host_header: HostHeader = _label(
        "host-header",
        "pass",
        "pass, backend, name",
        "Host header for the workload: the client's, the workload's own name, or another.",
    )
    request_headers: Headers = _label(
        "header.request",
        (),
        "text (key: header.request.NAME)",
        "Set a header of the request; empty removes it.",
    )
    response_headers: Headers = _label(
        "header.response",
        (),
        "text (key: header.response.NAME)",
        "Set a header of the response; empty removes it.",
    )
    compress: Bool = _label("compress", False, "bool", "Compress text answers with gzip.")
    balance: Balance = _label(
        "balance",
        Balance.ROUNDROBIN,
        "roundrobin, leastconn, first, source, random, uri",
        "How a server of the group is chosen.",
    )
    sticky: Sticky = _label(
        "sticky",
        Sticky.OFF,
        "off, cookie, source",
        "Keep a client on one server of the group: by a cookie, or by its address (`source`; then "
        "some clients change theirs when a server comes or goes).",
    )
    sticky_cookie: CookieName = _label("sticky.cookie", "PROXYCTL", "name", "Name of the cookie.")
    sticky_ttl: Duration | None = _label(
        "sticky.ttl",
        None,
        "duration",
        "How long a client stays on its server. Default: the browser's session.",
    )
    health: HealthCheck = _label(
        "health",
        "tcp",
        "tcp, off, podman, /path",
        "How HAProxy finds out that a server answers; `podman` follows the container's "
        "HEALTHCHECK, and takes `starting` for healthy: without systemd it stays so.",
    )
    health_interval: Duration | None = _label(
        "health.interval",
        None,
        "duration",
        "Time between two checks. Default: 2s with a path; else 10s, since a request that cannot "
        "connect counts as a failed check.",
    )
    health_timeout: Duration = _label(
        "health.timeout", "2s", "duration", "How long a check may take."
    )
    health_rise: Count = _label("health.rise", 1, "n", "Good checks until a server is up.")
    health_fall: Count = _label("health.fall", 2, "n", "Bad checks until a server is down.")
    health_status: Status = _label(
        "health.status", "200-399", "status[,status…]", "Good statuses of an HTTP check."
    )
    health_host: Hostname | None = _label(
        "health.host", None, "name", "Host header of an HTTP check. Default: the first `host`."
    )
    health_port: Port | None = _label(
        "health.port", None, "1-65535", "Port to check, if it is not `port`."
    )
    allow: Sources = _label(
        "allow", (), "CIDR, IP, private, @list", "Only these clients; everybody else gets 403."
    )
    deny: Sources = _label(
        "deny", (), "CIDR, IP, private, @list", "Not these clients: they get 403."
    )
    rate_limit: RateLimit | None = _label(
        "rate-limit",
        None,
        "requests/period",
        "Requests per client address, such as `100/10s`; more get 429.",
    )
    max_connections: Count | None = _label(
        "max-connections", None, "n", "Connections per server; more wait in a queue."
    )
    timeout: Duration | None = _label(
        "timeout", None, "duration", "How long the workload may take to answer. Default: 60s."
    )
    timeout_connect: Duration | None = _label(
        "timeout.connect",
        None,
        "duration",
        "How long a connection may take. Default: 250ms; for static routes 2s.",
    )
    timeout_tunnel: Duration | None = _label(
        "timeout.tunnel",
        None,
        "duration",
        "How long a websocket or tcp session may be silent. Default: 1h.",
    )
    timeout_queue: Duration | None = _label(
        "timeout.queue",
        None,
        "duration",
        "How long a request may wait for a free connection. Default: 10s.",
    )
    hold: Hold = _label(
        "hold",
        "5s",
        "duration, off",
        "How long a request waits while no server is up, instead of failing.",
    )
    send_proxy: SendProxy | None = _label(
        "send-proxy",
        None,
        "v1, v2",
        "Tell the workload the client's address by the PROXY protocol.",
    )
    priority: Priority = _label(
        "priority",
        0,
        "-1000…1000",
        "Who wins where two workloads ask for the same host and path: the higher.",
    )
    use: Names = _label(
        "use", (), "preset[,preset…]", "Presets of config.toml; the labels here win."
    )

    @property
    def check_interval(self) -> str:
        """Return the time between two checks by HAProxy.

        A thousand connections every 2 s are felt by the requests, and a server that refuses is
        found by the first three of them; only what a path answers is told by checks alone.
        """
        return self.health_interval or ("2s" if self.health.startswith("/") else "10s")


ADAPTER: TypeAdapter[Route] = TypeAdapter(Route)
"""Makes a `Route` from a mapping of label keys to texts, or tells every mistake."""

FROM_IMAGE = frozenset({"port", "scheme"})
"""What an image may say about itself; and everything that begins with `health`."""

LATER = frozenset({"auth"})
"""Keys of the design that this version does not know yet: named so, instead of guessed at."""

HEADER_PREFIXES = ("header.request.", "header.response.")


def is_hint(key: str) -> bool:
    """Tell whether an image's own label is honoured."""
    return key in FROM_IMAGE or key == "health" or key.startswith("health.")


@cache
def label_fields() -> Mapping[str, FieldInfo]:
    """Return the fields of a route by label key, in the order of the reference."""
    found: dict[str, FieldInfo] = {}
    for field in fields(Route):
        info: FieldInfo = Route.__pydantic_fields__[field.name]  # type: ignore[attr-defined]
        found[info.alias or field.name] = info
    return found
