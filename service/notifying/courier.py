"""Sends what webhooks are to be told, out of the database: what a process did not deliver, another one does."""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from service.background import repeating
from service.redaction import redacted
from service.store.access import Clock
from service.store.records import Addressed
from service.store.store import Store, utc_now
from workers.errors import InvalidInput
from workers.outbound.addresses import Allowed
from workers.outbound.posting import posted

PERIOD = 1.0  # seconds between two looks for what has happened
TIMEOUT = 10.0  # seconds that a receiver has
HOLD = 60.0  # seconds after which an attempt that nobody told the end of counts as lost
AT_ONCE = 4
LONGEST_ERROR = 300
log = logging.getLogger(__name__)


def signature(secret: str, timestamp: int, body: bytes) -> str:
    """`t=<seconds>,v1=<hex>`: HMAC-SHA256 of `<seconds>.<body>`; neither can be changed, nor sent again later."""
    digest = hmac.new(secret.encode(), str(timestamp).encode() + b"." + body, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"


@dataclass(frozen=True)
class Courier:
    """Makes and sends messages. Several may share a store: each message is claimed for one attempt."""

    store: Store
    allowed: Allowed
    clock: Clock = utc_now

    def round(self) -> int:
        """Send what is due now, a few side by side; how many attempts were made."""
        if not self.store.anything_to_deliver():
            return 0
        self.store.collect_deliveries()
        claimed: list[Addressed] = []
        while len(claimed) < AT_ONCE and (one := self.store.claim_delivery(HOLD)) is not None:
            claimed.append(one)
        if claimed:
            with ThreadPoolExecutor(len(claimed), "webhook") as pool:
                list(pool.map(self._attempt, claimed))
        return len(claimed)

    def _attempt(self, addressed: Addressed) -> None:
        status, error = self._send(addressed)
        if error is not None:
            log.info("webhook %s, %s: %s", addressed.delivery.webhook_id, addressed.delivery.id, error)
        self.store.end_delivery(addressed.delivery, status, error)

    def _send(self, addressed: Addressed) -> tuple[int | None, str | None]:
        """The answer's status, and what was wrong. Redirections are not followed: they may lead anywhere."""
        delivery, body = addressed.delivery, addressed.delivery.body.encode()
        try:
            headers = {
                "Content-Type": "application/json",
                "User-Agent": "peftsearch",
                "Peftsearch-Event": delivery.event,
                "Peftsearch-Delivery": delivery.id,
                "Peftsearch-Signature": signature(addressed.secret, int(self.clock().timestamp()), body),
            }
            with posted(self.allowed, addressed.url, headers, body, TIMEOUT) as answer:
                status = answer.status_code
        except (InvalidInput, OSError, httpx.HTTPError, ValueError) as failure:
            told = failure.message if isinstance(failure, InvalidInput) else f"{type(failure).__name__}: {failure}"
            return None, redacted(told)[:LONGEST_ERROR]
        return status, None if 200 <= status < 300 else f"answered {status}"


@contextmanager
def delivering(courier: Courier, period: float = PERIOD) -> Iterator[None]:
    """Go round in the background; a message that is under way at the end is sent again by whoever comes next."""
    with repeating("webhooks", lambda: courier.round() >= AT_ONCE, period, TIMEOUT):
        yield
