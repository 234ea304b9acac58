"""Two hundred readers of one job's events: the API's share of a core, and the memory that a long history takes."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

from benchmarks.service.serving import Served, served
from service.store.records import NewTrial
from workers.assignment import Report

LISTENERS = 200
HISTORY = 100_000
"""Events before the listeners come; each begins at the newest."""


def measure(seconds: float, events_per_s: float) -> dict[str, Any]:
    """CPU and memory of the API while events come at a rate and everyone hears all of them."""
    with served(trials=1_000_000) as api:
        trial = _history(api)
        before = api.process.memory_info().rss
        heard = asyncio.run(_listen(api, trial, seconds, events_per_s))
        return {
            **heard,
            "sse_listeners": LISTENERS,
            "sse_rss_growth_mb": round((api.process.memory_info().rss - before) / 1e6, 1),
        }


def replay() -> dict[str, Any]:
    """Memory while one reader takes the whole history from its beginning."""
    with served(trials=1_000_000) as api:
        _history(api)
        before, began = api.process.memory_info().rss, time.monotonic()
        count = asyncio.run(_read_all(api))
        return {
            "replayed_events": count,
            "replay_events_per_s": round(count / (time.monotonic() - began)),
            "replay_rss_growth_mb": round((api.process.memory_info().rss - before) / 1e6, 1),
        }


def _history(api: Served) -> Any:
    api.store.add_trials(api.job_id, [NewTrial({"method": "lora"}, "optimizer", 1)])
    trial = api.store.claim_trial(api.job_id, "history", 1e6)
    assert trial is not None
    for start in range(0, HISTORY, 2000):
        api.store.add_reports([_report(trial, step) for step in range(start, start + 2000)])
    return trial


def _report(trial: Any, step: int) -> Report:
    given = {"trial_id": trial.id, "attempt": trial.attempt}
    return Report(**given, step=step, epoch=step / 1e6, seconds=step, metrics={"accuracy": 0.5})


async def _listen(api: Served, trial: Any, seconds: float, rate: float) -> dict[str, Any]:
    counts = [0] * LISTENERS
    path = f"/v1/jobs/{api.job_id}/events?recent=1"

    async def listen(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", api.port, limit=1 << 20)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        while data := await reader.read(1 << 16):
            counts[number] += data.count(b"event: trial.report")

    tasks = [asyncio.create_task(listen(number)) for number in range(LISTENERS)]
    await asyncio.sleep(3)
    stop = threading.Event()
    sent = threading.Thread(target=_send, args=(api, trial, rate, stop))
    counts[:] = [0] * LISTENERS
    cpu, began = sum(api.process.cpu_times()[:2]), time.monotonic()
    sent.start()
    await asyncio.sleep(seconds)
    took, used = time.monotonic() - began, sum(api.process.cpu_times()[:2]) - cpu
    stop.set()
    sent.join()
    for task in tasks:
        task.cancel()
    return {
        "sse_events_per_s": rate,
        "sse_core_share": round(used / took, 3),
        "sse_heard_least": min(counts),
        "sse_heard_most": max(counts),
    }


def _send(api: Served, trial: Any, rate: float, stop: threading.Event) -> None:
    step = HISTORY
    while not stop.wait(1 / rate):
        api.store.add_reports([_report(trial, step)])
        step += 1


async def _read_all(api: Served) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port, limit=1 << 20)
    writer.write(f"GET /v1/jobs/{api.job_id}/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    count = 0
    while count < HISTORY and (data := await asyncio.wait_for(reader.read(1 << 18), 60)):
        count += data.count(b"event: trial.report")
    writer.close()
    return count
