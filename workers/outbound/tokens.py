"""Tokens of services that are asked, as the operator wrote them into a file: jobs neither name nor see them."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path
from urllib.parse import urlsplit

from workers.errors import InvalidInput

TOKENS_FILE = "judge_tokens.json"
"""In a worker's home: the token by the beginning of a URL, `{"https://judge.example.com": "…"}`."""
_PORTS = {"http": 80, "https": 443}
_TOKEN = re.compile(r"[\x21-\x7e]+")


def token_for(url: str, home: Path) -> str | None:
    """The token of a URL's scheme, host and port; None where the operator gave none. It is read anew for each use.

    Raises `InvalidInput`, which tells no token, for a file that others can read or that is no list of tokens.
    """
    file = home / TOKENS_FILE
    if not file.exists():
        return None
    if (mode := stat.S_IMODE(file.stat().st_mode)) & 0o077:
        raise InvalidInput(TOKENS_FILE, f"mode {mode:04o}", "0600: nobody but the workers' user may read it")
    allowed = 'an object of tokens by the beginnings of URLs, {"https://judge.example.com": "…"}'
    try:
        listed = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        raise InvalidInput(TOKENS_FILE, "no JSON", allowed) from None
    if not isinstance(listed, dict):
        raise InvalidInput(TOKENS_FILE, f"a {type(listed).__name__}", allowed)
    found = {}
    for begin, token in listed.items():
        if not isinstance(token, str) or _TOKEN.fullmatch(token) is None:
            raise InvalidInput(TOKENS_FILE, f"no token for {begin}", "letters, digits and signs of ASCII, no spaces")
        found[_origin(begin)] = token
    return found.get(_origin(url))


def _origin(url: str) -> tuple[str, str, int]:
    try:
        parts = urlsplit(url)
        return parts.scheme, (parts.hostname or "").rstrip("."), parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        raise InvalidInput(TOKENS_FILE, url, "beginnings of URLs, scheme://HOST[:PORT]") from None
