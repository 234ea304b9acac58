"""Which addresses the service may send to: names and networks that the operator listed, as they resolve right then.

A name is looked up once for each attempt, every address that it has is checked, and the connection goes to what was
checked: a name that is made to point into the operator's own network between two looks gains nothing.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from workers.errors import InvalidInput
from workers.outbound.address_list import Network, network_of

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
LONGEST = 2000


def _look_up(host: str, port: int) -> list[str]:
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


@dataclass(frozen=True)
class Target:
    """Where a message goes: the address to connect to, and the host and port that its URL names."""

    address: str
    host: str
    port: int


@dataclass(frozen=True)
class Allowed:
    """The operator's list: `off`, `any` (every public address), or names (`hooks.example.com`, `*.example.com`) and
    networks (`10.1.0.0/16`) with commas. Private addresses need a network that has them, whatever name they go by.
    `setting` names the list in messages."""

    listed: str
    look_up: Callable[[str, int], list[str]] = _look_up
    setting: str = "webhooks"

    def check(self, url: str) -> None:
        """Raise InvalidInput for a URL that can never be sent to; its name need not resolve yet."""
        self._parts(url)

    def target(self, url: str) -> Target:
        """Where to connect to. Raises InvalidInput for what is not allowed, OSError where a name does not resolve."""
        scheme, host, port = self._parts(url)
        addresses = [_plain(address) for address in self.look_up(host, port)]
        if not addresses:
            raise OSError(f"{host} has no address")
        for address in addresses:
            if not self._is_allowed(host, address):
                raise InvalidInput("url", url, f"{self._what()}; {host} is at {address}")
            if scheme == "http" and not self._innetwork_of(address):
                raise InvalidInput("url", url, "https, or addresses in a network that the operator listed")
        return Target(str(addresses[0]), host, port)

    def _parts(self, url: str) -> tuple[str, str, int]:
        form = "https://HOST[:PORT]/PATH without user, password and fragment"
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").rstrip("."), parts.port
        except ValueError:
            raise InvalidInput("url", url, form) from None
        bad = parts.scheme not in ("http", "https") or not host or parts.username is not None or bool(parts.fragment)
        if bad or len(url) > LONGEST or not url.isascii() or any(one <= " " for one in url):
            raise InvalidInput("url", url, form)
        names, networks = self._names(), self._networks()
        numeric = _number(host)
        if not names and not networks:
            raise InvalidInput("url", url, f"nothing: {self._what()}")
        if numeric is not None and not self._is_allowed(host, numeric):
            raise InvalidInput("url", url, self._what())
        if numeric is None and not networks and not self._names_host(host):
            raise InvalidInput("url", url, self._what())
        return parts.scheme, host, port or {"http": 80, "https": 443}[parts.scheme]

    def _what(self) -> str:
        listed = "switched off" if self.listed == "off" else f"set to {self.listed!r}"
        where = f"`--{self.setting}` is {listed}; private ones only in listed networks"
        return f"an address that the operator allows ({where})"

    def _is_allowed(self, host: str, address: Address) -> bool:
        return self._innetwork_of(address) or (
            self._names_host(host) and address.is_global and not address.is_multicast
        )

    def _innetwork_of(self, address: Address) -> bool:
        return any(address.version == one.version and address in one for one in self._networks())

    def _names_host(self, host: str) -> bool:
        return any(
            name == "any" or host == name or (name.startswith("*.") and host.endswith(name[1:]))
            for name in self._names()
        )

    def _entries(self) -> list[str]:
        return [] if self.listed == "off" else self.listed.split(",")

    def _names(self) -> list[str]:
        return [one for one in self._entries() if network_of(one) is None]

    def _networks(self) -> list[Network]:
        return [found for one in self._entries() if (found := network_of(one)) is not None]


def _number(host: str) -> Address | None:
    try:
        return _plain(host)
    except ValueError:
        return None


def _plain(text: str) -> Address:
    """The address itself, where it is written as one of IPv6 that stands for one of IPv4, too."""
    address = ipaddress.ip_address(text.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
