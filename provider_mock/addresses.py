"""The addresses that requests are sent to: what is one, how it is written on the wire, and which lead where none should go.

Nothing is looked up here. An address on the link (169.254.0.0/16, fe80::/10) reaches what stands beside the
machine, and at every cloud provider that is the metadata service, which hands out the machine's credentials.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import SplitResult, quote, urlsplit

from im_callback.provider_mock.contract import octets

WANTED = "give it as http://host:port/path"
_UNNAMED = "and allow_addresses in the configuration file does not name it"
SCHEMES = ("http", "https")
LONGEST = 1800
"""Characters of an address, as it is written on the wire."""

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

METADATA_NAMES = dict.fromkeys(("metadata.google.internal", "metadata.goog"), IPv4Address("169.254.169.254"))
"""Names of metadata services, and their address."""
_LINK = tuple(map(ip_network, ("169.254.0.0/16", "fe80::/10")))
_METADATA = tuple(
    map(
        ip_network,
        (
            "169.254.169.254/32",
            "fd00:ec2::/32",  # Amazon
            "fd20:ce::254/128",  # Google
            "100.100.100.200/32",  # Alibaba
            "168.63.129.16/32",  # Azure
            "192.0.0.192/32",  # Oracle
        ),
    )
)
_EMBEDDING = tuple(map(ip_network, ("::/96", "64:ff9b::/96")))
"""IPv6 networks whose last 32 bits are an IPv4 address: the compatible ones of old, and NAT64."""
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?\.?")
_ZONE = re.compile(r"[A-Za-z0-9._~-]+")
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]+")


class BadAddress(ValueError):
    """A text is no address to send to. Its problem never holds a user name or password of it."""

    def __init__(self, problem: str, fix: str = WANTED) -> None:
        super().__init__(f"{problem}; {fix}")
        self.problem, self.fix = problem, fix


def sendable(text: str, *, login: bool = False, any_port: bool = False) -> str:
    """Return an http or https address as it is written on the wire: ASCII, without a fragment.

    What a path or a query has beyond ASCII is percent-encoded as UTF-8, such a host is written in
    Punycode. `login` says whether a user name and a password may stand in it, `any_port` whether
    port 0 may, for one that is found later. Raises `BadAddress`.
    """
    try:
        parts = _parts(text)
    except ValueError:
        raise BadAddress(f"{shown(text)} is no address to post to") from None
    try:
        port = parts.port
        if port == 0 and not any_port:
            raise ValueError
    except ValueError:
        raise BadAddress(f"{shown(text)} has no port from 1 to 65535") from None
    place, at, _ = parts.netloc.rpartition("@")
    if at and not login:
        raise BadAddress("holds a user name or password", "leave it out, and give a header instead")
    host = _host(parts)
    name = f"[{host}]" if ":" in host else host
    query = f"?{_encoded(parts.query)}" if "?" in text.partition("#")[0] else ""
    number = "" if port is None else f":{port}"
    whole = f"{parts.scheme}://{_encoded(place)}{at}{name}{number}{_encoded(parts.path)}{query}"
    if len(whole) > LONGEST:
        raise BadAddress(f"is longer than {LONGEST} characters", "shorten it")
    return whole


def host_of(address: str) -> str:
    """Return the host of an address that `sendable` has returned, in lower case and without brackets."""
    return urlsplit(address).hostname or ""


def network(text: str) -> Network:
    """Return the network that a text names: an address, or one as 169.254.7.0/24. Raises `BadAddress`."""
    try:
        return ip_network(text)
    except ValueError:
        raise BadAddress(
            f"{text!r} is no IP address or network", 'give it as "169.254.7.7" or "169.254.7.0/24"'
        ) from None


def refused_host(host: str, allowed: Iterable[Network] = ()) -> str | None:
    """Return why a host, as it stands in an address, must not be called, or None. What a name leads to is not known here."""
    name = host.lower().removesuffix(".")
    if (known := METADATA_NAMES.get(name)) is not None:
        return None if _allows(known, allowed) else f"{name} is a cloud's metadata service, {_UNNAMED}"
    address = _literal(host)
    return None if address is None else refused_ip(str(address), tuple(allowed))


@lru_cache(maxsize=4096)
def refused_ip(ip: str, allowed: tuple[Network, ...] = ()) -> str | None:
    """Return why an IP address must not be connected to, or None; `allowed` networks may be."""
    try:
        address = ip_address(ip.partition("%")[0])
    except ValueError:
        return None
    if _allows(address, allowed):
        return None
    inside = _inside(address)
    for one in (address, inside):
        if one is not None and not (one is inside and _allows(one, allowed)):
            if any(one in network for network in _METADATA):
                return f"{ip} is an address of a cloud's metadata service, {_UNNAMED}"
            if any(one in network for network in _LINK):
                return f"{ip} is a link-local address, {_UNNAMED}"
    return None


def _parts(text: str) -> SplitResult:
    """Return the parts of an address; ValueError if it is none. Its port is still to be looked at."""
    if " " in text or not text.isprintable():
        raise ValueError
    parts = urlsplit(text)
    if parts.scheme not in SCHEMES or not text[len(parts.scheme) :].startswith("://"):
        raise ValueError
    _host(parts)
    return parts


def _host(parts: SplitResult) -> str:
    """Return the host as it is looked up; ValueError if it is none."""
    host = parts.hostname or ""
    place = parts.netloc.rpartition("@")[2]
    if place.startswith("["):
        # Older Pythons take anything in brackets.
        bare, percent, zone = host.partition("%")
        zone = zone.removeprefix("25")
        if place.partition("]")[2][:1] not in ("", ":") or (percent and not _ZONE.fullmatch(zone)):
            raise ValueError
        return f"{IPv6Address(bare).compressed}{percent}{zone}"
    name = host.encode("idna").decode("ascii").lower()
    if not _HOST.fullmatch(name):
        raise ValueError
    return name


def _literal(host: str) -> Address | None:
    """Return the address that a host is, in whatever spelling the system takes for one, or None."""
    try:
        return ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        pass
    try:
        # Also as 2852039166, 0xa9fea9fe, 0251.0376.0251.0376 or 169.254.43518.
        return IPv4Address(socket.inet_aton(host.removesuffix(".")))
    except (OSError, UnicodeError):
        return None


def _inside(address: Address) -> IPv4Address | None:
    """Return the IPv4 address that an IPv6 address stands for, or None."""
    if isinstance(address, IPv4Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if any(address in network for network in _EMBEDDING):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def _allows(address: Address, allowed: Iterable[Network]) -> bool:
    return any(address in network for network in allowed)


def _encoded(text: str) -> str:
    return _BEYOND_ASCII.sub(lambda found: quote(octets(found[0])), text)


def shown(text: str) -> str:
    """Return an address as it can be shown: what may be a user name or a password of it is masked."""
    scheme, slashes, rest = text.partition("://")
    _, at, after = (rest if slashes else text).rpartition("@")
    shown = f"{scheme + slashes if slashes else ''}***@{after}" if at else text
    return repr(shown if len(shown) <= 200 else f"{shown[:200]}…")
