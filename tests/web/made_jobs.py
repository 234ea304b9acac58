"""Jobs that have come somewhere: one whose trials tell what matters, and one of mixtures with its answer."""

from __future__ import annotations

from service.store.records import Trial
from tests.web.search import Search

RANK = {"type": "int", "name": "rank", "low": 1, "high": 64}
RATE = {"type": "float", "name": "learning_rate", "low": 1e-4, "high": 1e-2, "scale": "log"}
STUDIED = {"method": "lora", "parameters": [RANK, RATE]}
"""The space of a job that `study` can finish."""


def study(search: Search) -> tuple[Trial, Trial]:
    """Sixteen trials whose accuracy depends on the learning rate alone; a reference and the best one."""
    search.start()
    default = search.suggest({"method": "lora", "rank": 8, "learning_rate": 1e-3}, "reference", "literature-default")
    reference = search.complete(default, 0.6, 8_000)
    trials = []
    for number in range(16):
        rate, rank = 10 ** (-4 + number / 8), 1 + (7 * number) % 64
        trial = search.suggest({"method": "lora", "rank": rank, "learning_rate": rate})
        trials.append(search.complete(trial, 0.8 - 0.1 * (number / 8 - 1.2) ** 2, rank * 1000))
    return reference, max(trials, key=lambda trial: trial.metrics["accuracy"])


def mixture_job(beside: Search) -> Search:
    """A job of nine mixtures of three domains, of which `code` lowers the loss, and what it recommends."""
    job = Search(
        beside.store,
        beside.artifacts,
        beside.folder,
        kind="mixture",
        name="mixed",
        task=None,
        space=None,
        objectives=[{"metric": "loss", "direction": "minimize"}],
        corpus={"domains": {name: str(beside.folder / name) for name in ("code", "prose", "web")}},
        budget={"trials": 9},
    )
    job.start()
    for number in range(9):
        code, prose = number % 3 / 3, (number // 3) / 3
        weights = {"code": code, "prose": max(0.0, prose - code), "web": 1 - max(code, prose)}
        loss = 2 - weights["code"]
        metrics = {"loss": loss, **{f"loss.{name}": loss for name in weights}}
        job.end(job.claim(job.suggest(weights, "design")), status="completed", metrics=metrics)
    best = {"code": 0.6, "prose": 0.3, "web": 0.1}
    answer = {"weights": best, "loss": 1.3, "low": 1.2, "high": 1.4, "best_measured": {**best, "code": 0.66}}
    answer |= {"best_measured_loss": 1.33, "effects": [], "warnings": []}
    job.store.add_answer("mixture", "mixed", answer, job.job.id)
    return job
