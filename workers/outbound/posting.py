"""One POST to an address that was checked right before. Redirections are not followed: they may lead anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import httpx

from workers.outbound.addresses import Allowed


@contextmanager
def posted(
    allowed: Allowed, url: str, headers: Mapping[str, str], body: bytes, timeout: float
) -> Iterator[httpx.Response]:
    """The answer, its body not read yet. `timeout` seconds bound each wait for the other side.

    Raises `InvalidInput` for an address that is not allowed, `OSError` where a name does not resolve, and
    `httpx.HTTPError` where nobody answers.
    """
    target, parts = allowed.target(url), httpx.URL(url)
    # To the address that was checked, under the name that its certificate is for.
    with (
        httpx.Client(timeout=timeout, trust_env=False, follow_redirects=False) as client,
        client.stream(
            "POST",
            parts.copy_with(host=target.address),
            headers={"Host": parts.netloc.decode(), **headers},
            content=body,
            extensions={"sni_hostname": target.host},
        ) as answer,
    ):
        yield answer
