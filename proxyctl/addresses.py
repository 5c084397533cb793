"""IP addresses and networks, from a stranger's text to a word that holds nothing else.

Python takes any text for the zone of an IPv6 address, line breaks too: `fe80::1%…`. Here there are
no zones: HAProxy is told the addresses of clients and of workloads, none of which has one.
"""

import re
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

_WRITTEN = re.compile(r"[0-9A-Fa-f:.]+(/[0-9.]+)?", re.ASCII)


def parse_address(text: str) -> IPv4Address | IPv6Address:
    """Return an address. Raises ValueError, also for one with a zone."""
    return ip_address(_without_zone(text))


def parse_ip_network(text: str) -> IPv4Network | IPv6Network:
    """Return a network, or an address as the network that it is alone in. Raises ValueError."""
    return ip_network(_without_zone(text), strict=False)


def is_address(host: str) -> bool:
    """Tell whether a host is written as an address: IPv6 in brackets."""
    try:
        parse_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def _without_zone(text: str) -> str:
    if not _WRITTEN.fullmatch(text):
        raise ValueError("expected nothing but an IP address")
    return text
