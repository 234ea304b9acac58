"""How an operator lists the addresses that the service may send to."""

from __future__ import annotations

import ipaddress
import re

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_NAME = re.compile(r"(\*\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")


def normal_list(text: str) -> str:
    """The operator's list without spaces, in lower case. Raises ValueError for an entry that is neither a name nor a
    network."""
    entries = [one.strip().lower() for one in text.split(",")]
    for one in entries:
        if network_of(one) is None and (_NAME.fullmatch(one) is None or (one == "off" and len(entries) > 1)):
            raise ValueError(
                "allowed: `off`, `any`, or host names (hooks.example.com, *.example.com) and networks (10.1.0.0/16) "
                "separated by commas"
            )
    return ",".join(entries)


def network_of(text: str) -> Network | None:
    """The network that an entry stands for; None for a name."""
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        return None
