"""What a version of HAProxy can do, and what it does wrong: one boolean per measured behaviour.

Everything else asks for a behaviour by name, never for a version. Measured on 2.6.12 (Debian 12),
3.0.11 (Debian 13), 3.2 and 3.4; a version in between counts as the measured one below it.
"""

from collections.abc import Collection
from dataclasses import dataclass

from proxyctl.state.model import Quic

PAYLOAD_BYTES = 15_000
"""Bytes of a command with its payload that every version takes. 2.6 loses more than 16 kB without
a word; 3.4 would take 128 kB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """The behaviours of one version of HAProxy."""

    needs_server_id: bool
    """A dynamic server without an `id` of its own may get no traffic (random, consistent hash)."""
    needs_pool_options: bool
    """A dynamic server keeps no idle connections unless its pool is spelled out."""
    needs_dynamic_cookie_enabled: bool
    """A dynamic server has an empty cookie until `enable dynamic-cookie backend` is said again."""
    reload_reports: bool
    """`reload` answers after the fact, with `Success=0|1` and the log of the start."""
    wait_srv_removable: bool
    """`wait <delay> srv-removable <backend>/<server>`."""
    http_pause: bool
    """`http-request pause`."""
    init_state: bool
    """`init-state` of a server: whether it takes traffic before its first check."""
    dynamic_backends: bool
    """`add backend … from …`, `publish backend`."""
    edits_all_duplicates: bool
    """`set map` and `del map` reach every entry of a key; else only the first."""
    payload_bytes: int = PAYLOAD_BYTES
    """Size of a command with its payload that is taken for sure."""


def capabilities_of(version: tuple[int, int, int]) -> Capabilities:
    """Return the behaviours of *version*; (0, 0, 0), not known, has every work-around."""
    return Capabilities(
        needs_server_id=version < (3, 0, 0),
        needs_pool_options=version < (3, 0, 0),
        needs_dynamic_cookie_enabled=version < (3, 0, 0),
        reload_reports=version >= (2, 7, 0),
        wait_srv_removable=version >= (3, 0, 0),
        http_pause=version >= (3, 2, 0),
        init_state=version >= (3, 2, 0),
        dynamic_backends=version >= (3, 4, 0),
        edits_all_duplicates=version < (3, 4, 0),
    )


def quic_of(version: tuple[int, int], features: Collection[str]) -> Quic:
    """Return what a program has of QUIC, by its features as `haproxy -vv` tells them.

    Before 3.0 it is no longer mended. QUIC_OPENSSL_COMPAT: built with an OpenSSL that knows no
    QUIC; without `limited-quic` it then refuses to listen.
    """
    if version < (3, 0) or "+QUIC" not in features:
        return Quic.NONE
    return Quic.LIMITED if "+QUIC_OPENSSL_COMPAT" in features else Quic.FULL
