"""`kill -9` of the whole service at a random point, then `serve` again: the job goes on by itself and loses nothing."""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from peftsearch.results import Job
from search_spaces.space import config_hash
from service.store.store import open_store
from tests.service.serving import job_when, serving
from tests.service.tiny_task import tiny_job

TRIALS = 6
EPOCHS = 2


@pytest.mark.slow
@pytest.mark.ray
def test_nothing_is_lost_or_done_twice_when_everything_is_killed(tmp_path: Path) -> None:
    moment = random.SystemRandom().uniform(0.0, 1.0)  # part of the job that is done when the blow falls
    print(f"kill when {moment:.3f} of the job is done")
    home, root = tmp_path / "home", f"--data-root={tmp_path}"
    with serving(home, root) as first, first.client() as client:
        job = client.submit(tiny_job(tmp_path, TRIALS, train_rows=800))
        before = job_when(client, job.id, lambda now: _done(now) >= moment * TRIALS)
        time.sleep(random.SystemRandom().uniform(0.0, 1.0))
        first.kill()
    with serving(home, root) as second, second.client() as client:
        # No request asks for it: the service continues by itself.
        after = job_when(client, job.id)
        assert second.stop() == 0
    assert (after.state, after.reason) == ("completed", None)
    assert _done(after) >= _done(before)
    _check_store(home, job.id)


def _done(job: Job) -> int:
    return job.progress.completed


def _check_store(home: Path, job_id: str) -> None:
    store = open_store(f"sqlite:///{home}/peftsearch.db")
    trials = store.searched_trials(job_id)
    assert [trial.number for trial in trials] == list(range(TRIALS))
    assert {trial.state for trial in trials} == {"completed"}
    assert all({"accuracy", "trainable_params"} <= trial.metrics.keys() and trial.adapter for trial in trials)
    assert len({config_hash(trial.config) for trial in trials}) == TRIALS
    events = store.events_after(0, job_id, limit=100_000)
    completions = Counter(event.payload["trial_id"] for event in events if event.kind == "trial.completed")
    assert completions == {trial.id: 1 for trial in trials}
    reported = Counter(
        (event.payload["trial_id"], event.payload["attempt"], event.payload["step"])
        for event in events
        if event.kind == "trial.report"
    )
    assert set(reported.values()) == {1}
    for trial in trials:
        last = [report for report in store.reports(trial.id) if report.attempt == trial.attempt]
        assert [report.epoch for report in last] == [1.0, EPOCHS]
        assert last[-1].metrics["accuracy"] == trial.metrics["accuracy"]
    store.close()


@pytest.mark.long
@pytest.mark.ray
def test_a_mixture_job_goes_on_where_its_plan_was_when_everything_is_killed(tmp_path: Path) -> None:
    """Drawn mixtures, then an answer, then checks of it: the blow may fall into any stage."""
    moment = random.SystemRandom().uniform(0.0, 1.0)
    print(f"kill when {moment:.3f} of the plan is done")
    home, root = tmp_path / "home", f"--data-root={tmp_path}"
    with serving(home, root) as first, first.client() as client:
        job = client.submit(_tiny_mixture(tmp_path))
        before = job_when(client, job.id, lambda now: _done(now) >= moment * PROXIES)
        first.kill()
    with serving(home, root) as second, second.client() as client:
        after = job_when(client, job.id)
        answer = client.answer(job.id)
        assert second.stop() == 0
    assert (after.state, after.reason) == ("completed", None)
    assert _done(after) >= _done(before)
    assert answer["answer"]["check"]["seeds"] == SEEDS
    store = open_store(f"sqlite:///{home}/peftsearch.db")
    trials = store.searched_trials(job.id)
    assert [trial.number for trial in trials] == list(range(PROXIES))
    assert Counter(trial.label for trial in trials) == {
        None: MIXTURES, "held-out": HELD_OUT, "recommended": SEEDS, "uniform": SEEDS, "natural": SEEDS
    }  # fmt: skip
    assert {trial.state for trial in trials} == {"completed"}
    store.close()


MIXTURES, HELD_OUT, SEEDS = 8, 2, 2
PROXIES = MIXTURES + HELD_OUT + 3 * SEEDS


def _tiny_mixture(folder: Path) -> dict[str, Any]:
    """Three domains of made-up sentences and proxies of one small layer."""
    rng, domains = random.Random(0), {}
    for name, words in (
        ("fruit", "apple pear plum fig"),
        ("tool", "saw file drill axe"),
        ("sea", "wave salt crab reef"),
    ):
        lines = (" ".join(rng.choices(words.split(), k=12)) for _ in range(300))
        (folder / f"{name}.txt").write_text("\n\n".join(lines))
        domains[name] = str(folder / f"{name}.txt")
    return {
        "name": "text",
        "kind": "mixture",
        "corpus": {"domains": domains, "vocabulary": 257},
        "proxy": {"layers": 1, "width": 16, "heads": 2, "context": 32, "tokens": 4000},
        "budget": {"trials": MIXTURES, "held_out": HELD_OUT},
        "check": {"seeds": SEEDS},
        "seed": 3,
    }
