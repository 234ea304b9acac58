"""A mixture job as a user would run it: real text, proxies on Ray's workers, a check with fresh seeds.

Everything goes through the product: admission, store, conductor, Ray, the process that concludes.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from service.conductor.loop import Conductor
from service.conductor.proposing.proposer import Proposer
from service.conductor.training.ray_executor import RayExecutor
from service.jobs.admission import admit
from service.settings import Settings
from service.store.store import Store, open_store

AIMS = {"rank_correlation": 0.8, "held_out": 12, "minutes": 30}
DOMAINS = ("gsm8k", "medical_leaflets", "python_stdlib", "rfc", "shakespeare", "wikitext2")


def job(data: Path, quick: bool) -> dict[str, Any]:
    """The job: which mixture of six domains serves one of them best? (RegMix's own target is one loss, too.)"""
    return {
        "name": "text-domains",
        "kind": "mixture",
        "corpus": {"domains": {name: str(data / "lm" / name) for name in DOMAINS}, "vocabulary": 512},
        "proxy": {"tokens": 16_000 if quick else 80_000},
        "target": ["wikitext2"],
        "budget": {"trials": 12 if quick else 24, "held_out": 4 if quick else AIMS["held_out"]},
        "check": {"seeds": 2 if quick else 3},
        "seed": 0,
    }


def measure(data: Path, quick: bool) -> dict[str, Any]:
    """Run the job on this machine's cores; how it ranks held-out mixtures and what its recommendation gains."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="mixture-") as folder:
        home = Path(folder)
        store = open_store(f"sqlite:///{home / 'jobs.db'}")
        settings = Settings.read({"home": home, "data_roots": [data], "no_auth": True}, {})
        admitted = admit(job(data, quick), settings).model_dump(mode="json")
        created = store.create_job("text-domains", admitted)
        _run(store, created.id, home)
        over, answer = store.get_job(created.id), store.job_answer(created.id)
        store.close()
    assert over.state == "completed", over.reason
    assert answer is not None
    found = answer.body
    names = ("weights", "loss", "low", "high", "held_out", "check", "effects")
    gain = found["check"]["gain"]["uniform"]
    return {
        "trials": sum(over.counts.values()),
        "minutes": round((time.perf_counter() - start) / 60, 1),
        **{name: found[name] for name in names},
        "aim": AIMS,
        "reached": {
            "rank_correlation": found["held_out"]["rank_correlation"] > AIMS["rank_correlation"],
            "beats_uniform_with_its_interval": gain["low"] is not None and gain["low"] > 0,
        },
    }


def _run(store: Store, job_id: str, home: Path) -> None:
    executor = RayExecutor(None, home / "ray", home, str(home / "artifacts"))
    proposer = Proposer()
    conductor = Conductor(store, executor, proposer, owner="benchmark")
    try:
        while store.get_job(job_id).finished_at is None:
            conductor.tick()
    finally:
        proposer.close()
        executor.close()
