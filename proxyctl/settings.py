"""config.toml and its drop-ins, as values. Every key has a default: an empty file is a good file.

A wrong key or value is a `SettingsError` that lists all mistakes; nothing is guessed.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import field, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, TypeAdapter, ValidationError
from pydantic import Field as Limits
from pydantic.dataclasses import dataclass

from proxyctl.addresses import is_address, parse_ip_network
from proxyctl.folders import config_folder
from proxyctl.problems import SettingsError
from proxyctl.textfile import Unreadable, is_absent, listed, read_text
from proxyctl.toml_words import mistake

_STRICT = ConfigDict(extra="forbid", alias_generator=lambda name: name.replace("_", "-"))
_NAME = r"[a-z0-9][a-z0-9._-]{0,62}"
Seconds = Annotated[float, Limits(gt=0, le=86_400)]
Name = Annotated[str, Limits(pattern=rf"^{_NAME}$")]


def _plain(text: str) -> str:
    """Refuse what could end a word of haproxy.cfg: these are written by root, but typed badly."""
    if not text or any(ch.isspace() or ch in "\"'#\\$%{}" or not ch.isprintable() for ch in text):
        raise ValueError("expected one word without quotes, spaces or control characters")
    return text


Word = Annotated[str, AfterValidator(_plain)]


def _bind(text: str) -> str:
    host, colon, port = _plain(text).rpartition(":")
    if not colon or not port.isdigit() or not 1 <= int(port) <= 65535:
        raise ValueError("expected an address and a port, such as :80 or 127.0.0.1:8080")
    if ":" in host and not host.startswith("["):
        raise ValueError("expected brackets around an IPv6 address, such as [::1]:80")
    return text


def _network(text: str) -> str:
    try:
        parse_ip_network(text)
    except ValueError:
        raise ValueError("expected an IP address or a network such as 10.0.0.0/8") from None
    return text


Network = Annotated[str, AfterValidator(_network)]


def _path(text: str) -> str:
    """Refuse a path that depends on where somebody stands."""
    if not text.startswith("/") or not text.isprintable():
        raise ValueError("expected a path that begins with /")
    return text


def _path_or_nothing(text: str) -> str:
    return _path(_plain(text)) if text else ""


AbsolutePath = Annotated[str, AfterValidator(_path)]
PlainPath = Annotated[str, AfterValidator(_path_or_nothing)]
"""Stands in haproxy.cfg, or in HAProxy's arguments; "" is the default."""


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Entrypoint:
    """Where HAProxy listens: ports are opened here and nowhere else."""

    bind: Annotated[tuple[Annotated[str, AfterValidator(_bind)], ...], Limits(min_length=1)]
    mode: Literal["http", "tcp"] = "http"
    default: bool = True
    """Whether routes that name no entrypoint are published here (all but those of mode tcp)."""
    tls: bool = False
    """Whether TLS is terminated here, by the certificates of the names that are asked for."""
    passthrough: Literal["auto"] | bool = "auto"
    """Whether routes of mode passthrough may be published here, beside names whose TLS is
    terminated: `auto` looks at the name before the handshake from the first such route on, `true`
    from the start, `false` refuses them."""
    client_ca: Annotated[str, Limits(pattern=rf"^({_NAME})?$")] = ""
    """`certs/ca/NAME.pem`: who has no certificate of this CA is turned away."""
    http3: Literal["auto"] | bool = "auto"
    """Whether HTTP/3 is spoken as well, on the same ports of UDP: `auto` where HAProxy can and
    TLS ends here, but neither in mode attach nor behind a proxy."""
    proxy_protocol: bool | tuple[Network, ...] = False
    """Whether clients come through another proxy that speaks the PROXY protocol: all of them, or
    those from some networks."""
    trusted_proxies: tuple[Network, ...] = ()
    """Networks whose X-Forwarded-* headers are believed."""

    @property
    def port(self) -> int:
        """Return the port on which it listens first."""
        return int(self.bind[0].rpartition(":")[2])

    @property
    def has_addresses(self) -> bool:
        """Tell whether it listens on addresses only: what a name is, HAProxy finds out."""
        hosts = (one.rpartition(":")[0] for one in self.bind)
        return all(host in {"", "*"} or is_address(host) for host in hosts)

    def __post_init__(self) -> None:
        if self.client_ca and not self.tls:
            raise ValueError("client-ca needs tls = true")
        if self.passthrough is True and not (self.tls and self.mode == "http"):
            raise ValueError("passthrough needs tls = true and mode http")
        if self.http3 is True:
            self._require_http3()

    def _require_http3(self) -> None:
        if not (self.tls and self.mode == "http"):
            raise ValueError("http3 needs tls = true and mode http")
        if self.proxy_protocol:
            raise ValueError("http3 cannot be behind a proxy: leave out it, or proxy-protocol")
        if not self.has_addresses:
            raise ValueError("http3 needs IP addresses in bind, no names")


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Socket:
    """A Podman socket whose pods are published."""

    path: AbsolutePath
    name: Annotated[str, Limits(pattern=rf"^({_NAME})?$")] = ""
    """Prefix of its backends' names; only one socket can do without."""
    events_file: str = ""
    """The log that Podman writes its events to; "" finds it out, `off` waits for the API."""
    hosts: tuple[Word, ...] = ()
    """Host names that its workloads may claim, `*.example.com` included; empty is any."""


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Podman:
    """How Podman is followed."""

    sockets: tuple[Socket, ...] = ()
    resync: Seconds = 30.0
    """Seconds between full listings, whatever the events say."""
    timeout: Seconds = 10.0
    """Seconds that one request may take."""


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class HAProxy:
    """Whose HAProxy it is, and how it is reached."""

    mode: Literal["embedded", "own", "attach"] = "own"
    binary: Annotated[str, Limits(min_length=1)] = "haproxy"
    folder: PlainPath = ""
    """Where haproxy.cfg and its maps are written; default: below the folder for run-time data."""
    master_socket: PlainPath = ""
    """HAProxy's `-S`; default: by mode."""
    frontends: bool = True
    """False in mode attach: only backends and maps, for somebody else's `use_backend`."""
    check_files: tuple[AbsolutePath, ...] = ("/etc/haproxy/haproxy.cfg",)
    """Mode attach: the files that HAProxy reads before ours, for `haproxy -c`."""
    maxconn: Annotated[int, Limits(ge=0, le=10_000_000)] = 0
    spares: Annotated[int, Limits(ge=0, le=4096)] = 128
    """Spare backends, so that new pods need no reload; 0 does without. About 10 kB each."""
    hard_stop_after: Annotated[str, Limits(pattern=r"^[1-9][0-9]{0,6}(s|m|h)$")] = "15m"
    max_old_workers: Annotated[int, Limits(ge=1, le=1000)] = 16
    """So many workers may still finish what began before a reload; then the oldest is ended."""
    log: Annotated[str, Limits(pattern=r"^([A-Za-z0-9/_.:\[\]@-]+( [a-z0-9]+)*)?$")] = ""
    """Arguments of HAProxy's `log`, such as `/dev/log local0`."""


LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
LETS_ENCRYPT_STAGING = "https://acme-staging-v02.api.letsencrypt.org/directory"


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Acme:
    """How certificates are had from a CA by ACME; `proxyctl acme run` does it, not the service."""

    email: Annotated[str, Limits(pattern=r"^([^@\s,?]+@[^@\s,?]+)?$", max_length=254)] = ""
    """Where the CA may write to; many need none."""
    directory: Annotated[str, Limits(pattern=r"^https?://[!-~]+$")] = LETS_ENCRYPT
    """The CA: the URL of its directory."""
    staging: bool = False
    """Let's Encrypt's staging: certificates that no browser trusts, and limits that are higher."""
    terms_agreed: bool = False
    """Whether you agree to the CA's terms of service; without it nothing is asked."""
    challenge: Literal["http-01", "dns-01"] = "http-01"
    """How hosts are proven to be ours. Wildcards are always proven by dns-01."""
    hook: Annotated[str, Limits(pattern=r"^(/[^\x00]+)?$")] = ""
    """A program for dns-01, called as `hook present|cleanup FQDN VALUE`; FQDN ends in a dot."""
    hook_timeout: Seconds = 300.0
    """Seconds after which the hook is killed."""
    hook_wait: Annotated[float, Limits(ge=0, le=3600)] = 30.0
    """Seconds from the hook's end until the CA is told to look: DNS servers need a while."""
    hosts: tuple[Word, ...] = ()
    """The only hosts to get certificates for, `*.example.com` for all below; empty is all."""
    ca_file: str = ""
    """PEM file with the root that the CA's own HTTPS is verified with; "" is the system's."""
    eab_kid: str = ""
    """External account binding, for the CAs that want one: the key's name and ..."""
    eab_hmac: str = ""
    """... the key, in base64url, as the CA gave it."""
    key: Literal["ec256", "rsa2048"] = "ec256"
    """The kind of key that new certificates get."""
    self_check: Annotated[float, Limits(ge=0, le=300)] = 10.0
    """Seconds to wait until a host answers with our token, before the CA is told; 0: no check."""
    check_address: Annotated[str, AfterValidator(lambda text: _bind(text) if text else text)] = ""
    """Where the check asks, instead of at what DNS says and port 80; for tests."""

    @property
    def url(self) -> str:
        """The directory that is meant."""
        return LETS_ENCRYPT_STAGING if self.staging else self.directory


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Settings:
    """All settings. `Settings()` is what an empty config.toml means, without entrypoints."""

    haproxy: HAProxy = HAProxy()
    podman: Podman = Podman()
    entrypoints: dict[Name, Entrypoint] = field(default_factory=dict)
    lists: dict[Name, tuple[Network, ...]] = field(default_factory=dict)
    """`@name` in allow and deny."""
    preset: dict[Name, dict[str, Any]] = field(default_factory=dict)
    """`use=name`: labels by the bundle."""
    acme: Acme | None = None
    """None: no certificate is asked of a CA."""


_ADAPTER = TypeAdapter(Settings)


def parse(texts: Mapping[str, str]) -> Settings:
    """Return the settings of several TOML texts by file name; a later one's tables win."""
    merged: dict[str, Any] = {}
    for name, text in texts.items():
        try:
            _merge(merged, tomllib.loads(text))
        except (ValueError, RecursionError) as error:  # a number too long, brackets too deep
            raise SettingsError(f"{name}: {error}") from None
    try:
        settings = _ADAPTER.validate_python(_lists_to_tuples(merged))
    except ValidationError as error:
        lines = [_explain(item) for item in error.errors()]
        raise SettingsError(f"{', '.join(texts)}:\n  " + "\n  ".join(lines)) from None
    _check_sockets(settings.podman.sockets)
    _check_acme(settings.acme)
    return settings


def _merge(into: dict[str, Any], table: Mapping[str, Any]) -> None:
    for key, value in table.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


def _lists_to_tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _lists_to_tuples(item) for key, item in value.items()}
    return tuple(map(_lists_to_tuples, value)) if isinstance(value, list) else value


def _explain(item: Any) -> str:
    path = [str(part) for part in item["loc"]]
    where = ".".join(path)
    if item["type"] == "unexpected_keyword_argument":
        close = get_close_matches(path[-1], _keys_at(path[:-1]), n=1)
        return f"{where}: no such key" + (f", did you mean {close[0]!r}?" if close else "")
    return mistake(item)


def _keys_at(path: list[str]) -> list[str]:
    classes = {
        "haproxy": HAProxy, "podman": Podman, "entrypoints": Entrypoint, "sockets": Socket,
        "acme": Acme,
    }  # fmt: skip
    owner = next((classes[part] for part in reversed(path) if part in classes), Settings)
    return [field.name.replace("_", "-") for field in fields(owner)]


def _check_sockets(sockets: tuple[Socket, ...]) -> None:
    names = [socket.name for socket in sockets]
    if len(set(names)) != len(names):
        raise SettingsError("podman.sockets: each socket but one needs a name of its own")


def _check_acme(acme: Acme | None) -> None:
    if acme is None:
        return
    if acme.staging and acme.directory != LETS_ENCRYPT:
        raise SettingsError("acme: staging is Let's Encrypt's; leave out either it or directory")
    if bool(acme.eab_kid) != bool(acme.eab_hmac):
        raise SettingsError("acme: eab-kid and eab-hmac go together")
    if acme.challenge == "dns-01" and not acme.hook:
        raise SettingsError('acme.hook: expected a program that sets DNS records, for "dns-01"')


def load(path: Path | None, environment: Mapping[str, str] = os.environ) -> Settings:
    """Read config.toml and conf.d; without a file, what suits trying out (mode embedded)."""
    chosen = path or config_folder(environment) / "config.toml"
    try:
        if is_absent(chosen):
            if path:
                raise SettingsError(f"{path}: no such file")
            return complete(Settings(haproxy=HAProxy(mode="embedded")), environment)
        files = (chosen, *listed(chosen.parent / "conf.d", ".toml"))
        texts = {str(file): read_text(file) for file in files}
    except Unreadable as error:
        raise SettingsError(f"cannot read the settings: {error}") from error
    return complete(parse(texts), environment)


def complete(settings: Settings, environment: Mapping[str, str]) -> Settings:
    """Fill in what depends on this host: the default entrypoints and Podman's socket."""
    if not settings.entrypoints:
        web, websecure = (8080, 8443) if settings.haproxy.mode == "embedded" else (80, 443)
        entrypoints = {
            "web": Entrypoint(bind=_every_address(web)),
            "websecure": Entrypoint(bind=_every_address(websecure), tls=True),
        }
        settings = replace(settings, entrypoints=entrypoints)
    if not settings.podman.sockets:
        socket = Socket(path=default_podman_socket(environment))
        settings = replace(settings, podman=replace(settings.podman, sockets=(socket,)))
    return settings


def _every_address(port: int) -> tuple[str, ...]:
    ipv6 = (f"[::]:{port}",) if Path("/proc/net/if_inet6").exists() else ()
    return (f":{port}", *ipv6)


def default_podman_socket(environment: Mapping[str, str]) -> str:
    """Return the path of this user's Podman socket: CONTAINER_HOST, else systemd's."""
    host = environment.get("CONTAINER_HOST", "")
    if host.startswith("unix:"):
        return host.removeprefix("unix:").replace("//", "", 1)
    if host:
        raise SettingsError(f"CONTAINER_HOST: only unix:// sockets are followed, got {host!r}")
    if os.geteuid() == 0:
        return "/run/podman/podman.sock"
    run = environment.get("XDG_RUNTIME_DIR", f"/run/user/{os.geteuid()}")
    return f"{run}/podman/podman.sock"
