"""Which addresses of machines are on the public internet."""

from __future__ import annotations

import ipaddress
import re

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# `ipaddress` knows the registries' special ranges, with differences between releases of Python; these were
# missing in some. 168.63.129.16 looks public and answers virtual machines of one cloud.
_CLOSED = tuple(
    ipaddress.ip_network(network)
    for network in (
        *(
            "100.64.0.0/10",
            "168.63.129.16/32",
            "192.0.0.0/24",
            "192.88.99.0/24",
            "224.0.0.0/4",
            "240.0.0.0/4",
        ),
        *("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),
    )
)
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")  # mapped, translated, local and multicast ones lie outside
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]*|[0-9]+")


def is_public(address: Address) -> bool:
    """Whether a machine on the internet may answer there; tunnels into IPv4 are not."""
    if isinstance(address, ipaddress.IPv6Address) and address not in _GLOBAL_V6:
        return False
    return address.is_global and not any(address in network for network in _CLOSED)


def is_number(host: str) -> bool:
    """Whether resolvers take the host for an IPv4 address, in any of its forms: its last part is a number."""
    return bool(_NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]))


def read_address(host: str) -> Address | None:
    """The address that the host spells in its one plain form; None for a name or any other form."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return address if "%" not in host else None
