"""A thousand outside workers over HTTP: latency at the rate that their trials of a minute make, and the highest rate.

Open loop: requests are sent at their moments whether the earlier ones are answered or not, as workers that train do; a
worker has one request under way at a time, and waiting for that counts.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.service.serving import Served, served
from service.store.records import NewTrial

WORKERS = 1000
REPORTS = 3
"""Of a trial: with `ask` and `tell` five requests a minute from each worker."""

USUAL_RATE = WORKERS * (REPORTS + 2) / 60
AIM_MS = 100.0


@dataclass
class _Worker:
    """One keep-alive connection and the trial that it works on."""

    name: str
    job_id: str
    port: int
    reader: asyncio.StreamReader | None = None
    writer: asyncio.StreamWriter | None = None
    trial: dict[str, Any] | None = None
    step: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def next_request(self) -> int:
        """Send what comes next in the life of its trial; the status."""
        async with self.lock:
            if self.trial is None:
                status, body = await self._post(f"/v1/jobs/{self.job_id}/ask", {"worker_id": self.name})
                self.trial, self.step = (json.loads(body), 0) if status == 200 else (None, 0)
                return status
            given = {"trial_id": self.trial["trial_id"], "attempt": self.trial["attempt"]}
            if self.step < REPORTS:
                self.step += 1
                metrics = {"accuracy": 0.5, "train_loss": 0.5}
                report = {**given, "step": self.step, "epoch": self.step, "seconds": self.step, "metrics": metrics}
                return (await self._post(f"/v1/trials/{given['trial_id']}/report", report))[0]
            metrics = {"accuracy": random.random(), "trainable_params": 1000.0 * random.random()}
            self.trial = None
            outcome = {**given, "status": "completed", "metrics": metrics}
            return (await self._post(f"/v1/trials/{given['trial_id']}/tell", outcome))[0]

    async def _post(self, path: str, body: dict[str, Any]) -> tuple[int, bytes]:
        # What was silent for some seconds has been closed by the server, as HTTP clients know.
        if self.writer is None or (self.reader is not None and self.reader.at_eof()):
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        assert self.reader is not None
        content = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        self.writer.write(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
        answer = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = answer.partition("content-length: ")[2].partition("\r\n")[0]
        return int(answer[9:12]), await self.reader.readexactly(int(length or 0))


def measure(seconds: float, rates: Sequence[float]) -> dict[str, Any]:
    """p50, p99 and failures at the usual rate and at each of `rates` (requests/s), until p99 passes 100 ms twice."""
    with served(trials=1_000_000) as api:
        found, missed = [], 0
        for rate in (USUAL_RATE, *rates):
            found.append(asyncio.run(_load(api, rate, seconds)))
            missed += found[-1]["p99_ms"] > AIM_MS
            if missed == 2:
                break
    within = [one["rate"] for one in found if one["p99_ms"] <= AIM_MS and not one["failures"]]
    return {
        "http_p99_ms": found[0]["p99_ms"],
        "http_usual_rate": round(USUAL_RATE, 1),
        "http_rate_at_100_ms": max(within, default=0.0),
        "http_rates": found,
    }


async def _load(api: Served, rate: float, seconds: float) -> dict[str, Any]:
    wanted = int(rate * seconds / (REPORTS + 2) * 1.3) + WORKERS
    trials = [NewTrial({"method": "lora", "rank": 1, "learning_rate": 1e-3}, "optimizer", 1)] * 500
    for _ in range(0, wanted, len(trials)):
        await asyncio.to_thread(api.store.add_trials, api.job_id, trials)
    workers = [_Worker(f"{rate:.0f}-{n}", api.job_id, api.port) for n in range(WORKERS)]
    loop, latencies, failures = asyncio.get_running_loop(), [], 0
    tasks: set[asyncio.Task[int]] = set()
    began, count = loop.time() + 0.2, int(rate * seconds)

    async def send(worker: _Worker, due: float) -> int:
        nonlocal failures
        try:
            status = await worker.next_request()
        except (OSError, asyncio.IncompleteReadError, ValueError):
            status = 0
        failures += status not in (200, 204)
        latencies.append(loop.time() - due)
        return status

    for number in range(count):
        due = began + number / rate
        await asyncio.sleep(max(0.0, due - loop.time()))
        task = asyncio.create_task(send(workers[number % WORKERS], due))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.wait_for(asyncio.gather(*tasks), 120)
    took = loop.time() - began
    for worker in workers:
        if worker.writer is not None:
            worker.writer.close()
    milliseconds = np.asarray(latencies) * 1000
    return {
        "rate": round(rate, 1),
        "answered_per_s": round(count / took, 1),
        "p50_ms": round(float(np.percentile(milliseconds, 50)), 1),
        "p99_ms": round(float(np.percentile(milliseconds, 99)), 1),
        "failures": failures,
    }


def healthz_under_load(seconds: float, rate: float) -> float:
    """p99 of `healthz` in milliseconds while workers ask at `rate`."""
    with served(trials=1_000_000) as api:
        return asyncio.run(_health(api, seconds, rate))


async def _health(api: Served, seconds: float, rate: float) -> float:
    load = asyncio.create_task(_load(api, rate, seconds))
    latencies = await healthz_latencies(api.port, seconds)
    await load
    return round(float(np.percentile(np.asarray(latencies) * 1000, 99)), 1)


async def healthz_latencies(port: int, seconds: float) -> list[float]:
    """Seconds that each `healthz` takes, asked for twenty times a second on one connection."""
    latencies: list[float] = []
    until = time.monotonic() + seconds
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while time.monotonic() < until:
        began = time.perf_counter()
        writer.write(b"GET /v1/healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        await reader.readexactly(int(head.partition("content-length: ")[2].partition("\r\n")[0]))
        latencies.append(time.perf_counter() - began)
        await asyncio.sleep(0.05)
    writer.close()
    return latencies
