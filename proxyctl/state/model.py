"""HAProxy's parts as values: what we want (`Desired`) and what there is (`Running`).

Every string in here is already the word that HAProxy reads; none needs quoting but the values of
headers, which templates pass through the `quote` filter; `words` holds them to it. Equality is the
diff.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from proxyctl.state.words import must_be_lines, must_be_words

Mode = Literal["http", "tcp"]
CERTS = "certs"
CRT_LIST = "certs/crt-list"
"""Which certificate is served for which names: one list for all TLS frontends."""


class ServerState(StrEnum):
    """Administrative state, in HAProxy's words (management.txt, "set server … state")."""

    READY = "ready"
    DRAIN = "drain"
    MAINT = "maint"


class Quic(StrEnum):
    """What HAProxy has of QUIC, which HTTP/3 is spoken over."""

    NONE = "none"
    LIMITED = "limited"
    """Beside a TLS library that knows nothing of it: `limited-quic` in `global` allows that."""
    FULL = "full"
    OFF = "off"
    """HAProxy could, but something is in the way on this host."""

    @property
    def is_usable(self) -> bool:
        """Tell whether HTTP/3 may be spoken."""
        return self in {Quic.LIMITED, Quic.FULL}


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Server:
    """One `server` line. All can be changed at run time (`backup`: by replacing it)."""

    name: str
    address: str
    """An IP address, never a name: HAProxy does not resolve names of dynamic servers."""
    port: int
    weight: int = 100
    backup: bool = False
    state: ServerState = ServerState.READY

    def __post_init__(self) -> None:
        must_be_words((self.name, self.address))

    @property
    def socket_address(self) -> str:
        """Return `address:port`, with brackets around IPv6."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cookie:
    """Sticky sessions by a cookie (configuration.txt, "cookie")."""

    name: str
    max_life: str = ""
    """HAProxy duration, "" for the browser's session."""

    def __post_init__(self) -> None:
        must_be_words((self.name, self.max_life))


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpCheck:
    """An HTTP health check (configuration.txt, "http-check")."""

    path: str
    host: str
    status: str
    """For `http-check expect status`: `200-399`."""

    def __post_init__(self) -> None:
        must_be_words((self.path, self.host, self.status))


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """At most `requests` per client address in `period`, else 429."""

    requests: int
    period: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """A header to set, or to remove if `value` is empty. `value` is free text: quote it."""

    name: str
    value: str

    def __post_init__(self) -> None:
        must_be_words((self.name,))
        must_be_lines((self.value,))


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """One `backend` section. A reload is needed for all but `servers` and `title`."""

    name: str
    mode: Mode
    title: str
    """Whose it is, for a comment: `pod "gitea"`."""
    owners: tuple[str, ...] = ()
    """The uids of the workloads that it was made for."""
    passing: bool = False
    """Nothing leads here any more, but requests that wait here are to find the successor."""
    servers: tuple[Server, ...] = ()
    server_options: tuple[str, ...] = ()
    """Keywords of every server: on `default-server` in the file, spelled out in `add server`."""
    balance: str = "roundrobin"
    cookie: Cookie | None = None
    hsts: int = 0
    """Seconds for Strict-Transport-Security in answers by TLS; 0 is none."""
    check: HttpCheck | None = None
    retries: int = 3
    hold: bool = False
    """Whether requests wait, by a last server that is always up and always refuses."""
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    rate_limit: RateLimit | None = None
    strip_segments: int = 0
    stripped_prefix: str = ""
    add_prefix: str = ""
    host_header: str = ""
    request_headers: tuple[Header, ...] = ()
    response_headers: tuple[Header, ...] = ()
    compress: bool = False
    timeouts: tuple[tuple[str, str], ...] = ()
    """`("server", "60s")`, sorted: differences to the defaults section."""

    def __post_init__(self) -> None:
        must_be_lines((self.title,))
        must_be_words((self.name, self.balance, *self.allow, *self.deny))
        must_be_words((self.stripped_prefix, self.add_prefix, self.host_header))
        must_be_words(word for option in self.server_options for word in option.split(" "))
        must_be_words(word for pair in self.timeouts for word in pair)


@dataclass(frozen=True, slots=True, kw_only=True)
class Detour:
    """The way of a connection within HAProxy, from one frontend to the next."""

    backend: str
    """Name of the section that leads there."""
    address: str
    """`abns@NAME`: a socket that needs no file, and works in a chroot."""
    secret: str
    """What tells our connections from a stranger's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontend:
    """One `frontend` section, made from an entrypoint of the settings."""

    entrypoint: str
    mode: Literal["http", "tcp", "sni"]
    """`sni`: looks at the name in the first message of TLS, and passes all of it on."""
    binds: tuple[str, ...]
    """Arguments of `bind`, but those of TLS: `:80`, `[::]:80 v6only`."""
    map: str
    """The file of the map that it looks its routes up in."""
    quic_binds: tuple[str, ...] = ()
    """The same for HTTP/3, which is always with TLS: `quic4@:443`."""
    alt_svc: str = ""
    """By which header answers tell that there is HTTP/3 (RFC 7838); "" where there is none."""
    trusted: tuple[str, ...] = ()
    """Networks whose X-Forwarded-* headers are believed."""
    expect_proxy: tuple[str, ...] = ()
    """Networks whose connections begin with a header of the PROXY protocol."""
    tls: bool = False
    """Whether TLS ends here."""
    client_ca: str = ""
    """File of the CA, relative to the configuration's folder, whose certificate a client needs."""
    redirects: bool = False
    """Whether its map may tell that a route is to be asked for by HTTPS."""
    sni_map: str = ""
    """The map of the frontend of mode `sni` before it, whose hosts are not for this one."""
    detour: Detour | None = None
    """What leads from the frontend of mode `sni` to the one behind it; both have it."""

    @property
    def name(self) -> str:
        """Return `web:http`: from 3.3 on no frontend may be called as a backend, as a pod is."""
        return f"{self.entrypoint}:{self.mode}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A CA whose certificates clients have to show."""

    file: str
    """Relative to the configuration's folder."""
    pem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate that HAProxy serves. Its key is in its file, and nowhere else."""

    name: str
    """Its file is `certs/<name>.pem` in the configuration's folder."""
    hosts: tuple[str, ...]
    """The SNI names that it is served for, lower case, `*.example.com` too, sorted; none: it is
    what a client gets that asks for no name, or for one that nobody has."""
    fingerprint: str
    """SHA-1 of the certificate, as `show ssl cert` tells it."""
    not_after: float
    """When it expires, in seconds since the epoch."""
    source: str
    """Where it comes from, for people: a path, or `made by proxyctl`."""
    chain: int = 0
    """How many certificates of its issuers come with it."""

    @property
    def file(self) -> str:
        """Return the name of its file, relative to the configuration's folder."""
        return certificate_file(self.name)


def certificate_file(name: str) -> str:
    """Return the file of a certificate, relative to the configuration's folder."""
    return f"{CERTS}/{name}.pem"


def certificate_name(file: str) -> str:
    """Return the name of a certificate by its file."""
    return file.removeprefix(f"{CERTS}/").removesuffix(".pem")


@dataclass(frozen=True, slots=True, kw_only=True)
class Map:
    """A map file: unique keys without white space, in the order of the file."""

    file: str
    """Relative to the configuration's folder: `maps/web.map`."""
    entries: tuple[tuple[str, str], ...] = ()
    leads: bool = True
    """Whether its values are names of backends: an entry then waits until there is that one."""

    def __post_init__(self) -> None:
        must_be_words(("".join(key + value for key, value in self.entries),))

    def text(self) -> str:
        """Return the contents of the map's file."""
        return "".join(f"{key} {value}\n" for key, value in self.entries)


@dataclass(frozen=True, slots=True, kw_only=True)
class Global:
    """What the `global` and `defaults` sections need to know; not rendered in mode attach."""

    folder: str
    """Absolute path of the configuration's folder: the names of the maps begin with it."""
    owned: bool = True
    """False: somebody else's haproxy.cfg has the `global` section, and may be read before ours."""
    worker_socket: str = ""
    """Path for the worker's `stats socket`; "" for none."""
    maxconn: int = 0
    """0: HAProxy computes it from the limit of file descriptors."""
    hard_stop_after: str = "15m"
    max_old_workers: int = 16
    log: str = ""
    spares: tuple[tuple[str, int], ...] = ()
    """How many spare backends of each kind (see `state.spares`), sorted."""
    quic: Quic = Quic.NONE
    """What may be used of it."""
    cookie_key: str = ""
    """Secret of dynamic cookies: equal on every start, or sticky sessions break."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """What HAProxy should be."""

    settings: Global
    frontends: tuple[Frontend, ...] = ()
    backends: tuple[Backend, ...] = ()
    maps: tuple[Map, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    """In the order of the crt-list: the first is served where no name fits."""
    authorities: tuple[Authority, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningCertificate:
    """A certificate as `show ssl cert` and `show ssl crt-list -n` tell it."""

    fingerprint: str
    """SHA-1; "" where it has no content yet."""
    hosts: tuple[str, ...] | None
    """What it is served for, sorted; None if it is not in the list exactly once."""
    chain: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningServer:
    """A server as `show servers state` and `show stat` tell it."""

    name: str
    address: str
    port: int
    weight: int
    backup: bool
    state: ServerState
    up: bool = True
    """What the health checks say; True where there are none."""
    id: int = 0
    sessions: int = field(default=0, compare=False)
    """How many requests or connections it has at this moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OldWorker:
    """A worker of before a reload, which finishes its connections (`show proc`)."""

    pid: int
    reloads: int
    """So many reloads ago it was the current one."""
    uptime: int
    """Seconds since it was started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """What HAProxy is: asked, not remembered."""

    alive: bool
    version: tuple[int, int, int] = (0, 0, 0)
    pid: int = 0
    """Of the worker: another pid means that its memory was filled from the files again."""
    sections: Mapping[str, str] = field(default_factory=dict)
    """Name of a loaded section (`backend/gitea`) -> digest of its text. From our own map in it."""
    servers: Mapping[str, tuple[RunningServer, ...]] = field(default_factory=dict)
    """Name of a backend -> its servers, for the backends in `sections` only."""
    maps: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    """File of a map -> its entries, sorted."""
    certificates: Mapping[str, RunningCertificate] | None = None
    """Name of a certificate of ours -> what is loaded; None where the crt-list is not loaded."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Name of a file on disk (`haproxy.cfg`, `maps/web.map`) -> digest of its contents."""
