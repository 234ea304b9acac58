"""`healthz` while everything that once stopped the API is sent to it at once: brackets, endless lists, costly fits."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx
import numpy as np

from benchmarks.service.http_load import healthz_latencies
from benchmarks.service.serving import Served, served

FITS, ROWS, DOMAINS = 45, 2000, 5
"""Fits of mixtures at once, each of so many rows: they took 50 s and 200 MB each."""

PAUSE, PATIENCE = 0.05, 10.0
"""Seconds between two requests of a sender, and those that it waits for an answer."""

Attack = tuple[str, str, bytes]


def measure(seconds: float) -> dict[str, float]:
    """p99 of `healthz` in milliseconds while each attack is repeated by a sender of its own."""
    with served(trials=1) as api, _sending(api, [*_bodies(), *(_fit(seed) for seed in range(FITS))]):
        latencies = asyncio.run(healthz_latencies(api.port, seconds))
    return {"healthz_attacked_p99_ms": round(float(np.percentile(np.asarray(latencies) * 1000, 99)), 1)}


def _bodies() -> Iterator[Attack]:
    yield "/v1/jobs", "application/yaml", b"[" * 200_000
    yield "/v1/jobs", "application/yaml", b"[" + b"1," * 30_000 + b"1]"
    yield "/v1/jobs", "application/json", b"[" + b"1," * 1_000_000 + b"1]"
    yield "/v1/checks", "application/yaml", b"- " * 30_000


def _fit(seed: int) -> Attack:
    rng = np.random.default_rng(seed)
    rows = [
        {"weights": {f"d{n}": float(w) for n, w in enumerate(one)}, "losses": {"l": float(2 + one[0] ** 2)}}
        for one in rng.dirichlet(np.ones(DOMAINS), ROWS)
    ]
    return "/v1/mixtures/fit", "application/json", json.dumps({"rows": rows}).encode()


@contextmanager
def _sending(api: Served, attacks: list[Attack]) -> Iterator[None]:
    stop = threading.Event()

    def send(path: str, kind: str, body: bytes) -> None:
        while not stop.wait(PAUSE):
            with suppress(httpx.HTTPError):
                httpx.post(f"{api.url}{path}", content=body, headers={"Content-Type": kind}, timeout=PATIENCE)

    threads = [threading.Thread(target=send, args=attack) for attack in attacks]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
