"""What `peftsearch doctor` looks at in this machine's set-up: mistakes that have cost people an afternoon."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

_NAMES = (
    "ARTIFACTS DATABASE DATA_ROOTS HOME HOST HUB JUDGES LOG NO_AUTH PORT PROGRAMS RATE_LIMIT RAY TOKEN URL WEBHOOKS"
)
VARIABLES = frozenset(f"PEFTSEARCH_{name}" for name in _NAMES.split())
"""Environment variables that mean something; a test compares them with the service's own."""

OURS_ALONE = (
    "PEFTSEARCH_ALONE",
    "PEFTSEARCH_CHAOS_",
    "PEFTSEARCH_FAMILIES",
    "PEFTSEARCH_FUZZ_CASES",
    "PEFTSEARCH_LIFELINE",
    "PEFTSEARCH_TRIAL",
)
SKEW = 5.0
"""Seconds by which clocks may differ: leases are compared between machines."""

DATABASES = ("sqlite", "postgresql", "postgres", "postgresql+psycopg")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `ok` None: it is not needed for everything."""

    what: str
    ok: bool | None
    detail: str


def settings(environment: Mapping[str, str]) -> Iterator[Finding]:
    """What the environment says about the service, as far as that can be told from here."""
    unknown = sorted(
        name
        for name in environment
        if name.startswith("PEFTSEARCH_") and name not in VARIABLES and not name.startswith(OURS_ALONE)
    )
    if unknown:
        allowed = ", ".join(sorted(VARIABLES))
        yield Finding("environment", False, f"{', '.join(unknown)} means nothing; there are: {allowed}")
    database = environment.get("PEFTSEARCH_DATABASE", "")
    if database and urlsplit(database).scheme not in DATABASES:
        found = urlsplit(database).scheme or "no scheme"
        wanted = "sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE"
        yield Finding("PEFTSEARCH_DATABASE", False, f"found {found!r}; it takes {wanted}")
    if environment.get("PEFTSEARCH_RAY", "").startswith("ray://"):
        told = "reports cannot be streamed through a Ray client; give HOST:6379, or `auto` on a machine of the cluster"
        yield Finding("PEFTSEARCH_RAY", False, told)
    for root in filter(None, environment.get("PEFTSEARCH_DATA_ROOTS", "").split(os.pathsep)):
        if not Path(root).expanduser().is_dir():
            yield Finding("PEFTSEARCH_DATA_ROOTS", False, f"{root} is not a folder")
    if environment.get("PEFTSEARCH_URL", "").startswith("http://") and "PEFTSEARCH_TOKEN" in environment:
        host = urlsplit(environment["PEFTSEARCH_URL"]).hostname or ""
        if host not in {"127.0.0.1", "::1", "localhost"}:
            yield Finding(
                "PEFTSEARCH_URL", None, f"the token goes to {host} unencrypted; put TLS in front of the server"
            )


def secrets(home: Path) -> Iterator[Finding]:
    """Files of the home that only their owner should read."""
    for name in ("token", "identity", "peftsearch.db", "ray-token"):
        file = home / name
        if file.is_file() and (mode := stat.S_IMODE(file.stat().st_mode)) & 0o077:
            yield Finding(f"{name} in the home", False, f"others may read it (mode {mode:o}): chmod 600 {file}")


def clock(date: str | None, now: datetime | None = None) -> Finding | None:
    """The server's clock, as the `Date` of its answer has it, beside this machine's; None where it has none."""
    if date is None:
        return None
    try:
        off = (parsedate_to_datetime(date) - (now or datetime.now(UTC))).total_seconds()
    except (TypeError, ValueError):
        return None
    if abs(off) <= SKEW:
        return Finding("clocks", True, "this machine and the server agree")
    return Finding("clocks", False, f"the server's is {off:+.0f} s off this machine's; let both follow NTP")
