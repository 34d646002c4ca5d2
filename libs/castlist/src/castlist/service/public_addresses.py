"""Which addresses are the world's, and which are of this machine, network or cloud, and not for others to reach."""

import ipaddress
from collections.abc import Iterable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_NAT64 = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))
_SITE_LOCAL = ipaddress.ip_network("fec0::/10")
_IPV4_COMPATIBLE = ipaddress.ip_network("::/96")


def networks(told: str) -> tuple[Network, ...]:
    """Networks, or addresses, with commas between; ValueError."""
    return tuple(ipaddress.ip_network(one.strip()) for one in told.split(",") if one.strip())


def is_public(address: Address) -> bool:
    """Whether anybody on the Internet could reach it. Of an IPv6 address with an IPv4 one in it: whether both are."""
    inner = _within(address)
    if inner is not None:
        return isinstance(address, ipaddress.IPv6Address) and is_public(inner)
    special = address.is_multicast or address.is_reserved or address.is_unspecified or address.is_loopback
    site_local = isinstance(address, ipaddress.IPv6Address) and address in _SITE_LOCAL
    return address.is_global and not special and not site_local


def is_in(address: Address, networks: Iterable[Network]) -> bool:
    """Whether it is in one of these networks, also as IPv4 written as IPv6."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    plain = mapped or address
    return any(plain in network for network in networks if network.version == plain.version)


def _within(address: Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that packets to an IPv6 address come out at."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if any(address in network for network in (*_NAT64, _IPV4_COMPATIBLE)) and int(address) > 1:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
