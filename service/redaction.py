"""Keeps credentials out of what is written for people: logs, errors, reasons of trials."""

from __future__ import annotations

import re

HIDDEN = "[hidden]"
_SECRETS = re.compile(
    r"""
      (?<=//)[^\s/:@'"]*:[^\s/@'"]+(?=@)           # user and password in a URL
    | \bpfs_[\w-]{20,}                              # our tokens
    | \bwhsec_[\w-]{20,}                            # what signs webhooks
    | \bhf_[A-Za-z0-9]{20,}                         # Hugging Face's
    | \bAKIA[0-9A-Z]{16}\b                          # Amazon's access keys
    | (?<=Bearer\ )[^\s'"]{8,}
    | (?<=[?&]token=)[^\s&'"]+
    """,
    re.VERBOSE,
)


def redacted(text: str) -> str:
    """The text without what looks like a credential."""
    return _SECRETS.sub(HIDDEN, text)
