"""What the card of an exported adapter says of its search, and how far other seeds differ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from peftsearch.model_card import tell_search
from service.store.records import NewTrial

Spec = dict[str, Any]
LORA = {"method": "lora", "rank": 32}


@pytest.fixture
def confirmed(client: Any, spec: Spec, worker: Any, store: Any) -> str:
    """A job whose search is over: a reference at 0.7, two trials, of which the better one has 0.9."""
    space = {"method": "lora", "parameters": [{"type": "int", "name": "rank", "low": 1, "high": 64}]}
    whole = spec | {"space": space, "confirm": {"seeds": 2}, "task": spec["task"] | {"test": 0.25}}
    job_id: str = client.submit(whole | {"budget": {"trials": 3, "epochs": 1}}).id
    worker.start(job_id)
    begun = [NewTrial({"method": "head"}, "reference", 1, "head-only"), NewTrial({**LORA, "rank": 2}, "optimizer", 1)]
    store.add_trials(job_id, [*begun, NewTrial(LORA, "optimizer", 1)])
    for number, value in enumerate((0.7, 0.8, 0.9)):
        worker.complete(job_id, value, 1000.0 * number)
    return job_id


def again(store: Any, worker: Any, job_id: str, number: int, values: tuple[float, ...]) -> None:
    """Train a trial again with seeds of which each reached a value."""
    trial = store.get_trial(f"{job_id}-{number}")
    new = [NewTrial(trial.config, "confirmation", seed, trial.label, trial.id) for seed in range(len(values))]
    store.add_trials(job_id, new)
    for value in values:
        worker.complete(job_id, value, 1.0)


def card(client: Any, folder: Path, trial_id: str) -> str:
    (folder / "README.md").write_text("# An adapter\n")
    tell_search(client, folder, trial_id)
    return (folder / "README.md").read_text()


@pytest.mark.slow
def test_a_winners_card_says_how_far_its_seeds_differ_and_what_references_came_to(
    client: Any, store: Any, worker: Any, confirmed: str, tmp_path: Path
) -> None:
    again(store, worker, confirmed, 0, (0.71, 0.73))
    again(store, worker, confirmed, 2, (0.80, 0.88))
    text = card(client, tmp_path, f"{confirmed}-2")
    (own,) = [line for line in text.splitlines() if line.startswith(f"| **{confirmed}-2** (this one) | accuracy")]
    assert [cell.strip() for cell in own.split("|")][3:7] == ["0.9", "0.84", "0.5874 to 1.093", "2"]
    assert f"| {confirmed}-0 (head-only) | accuracy | 0.7 | 0.72 | 0.6569 to 0.7831 | 2 |" in text
    assert "on the `test` rows" in text
    assert card(client, tmp_path, f"{confirmed}-2") == text


@pytest.mark.slow
def test_a_card_of_one_seed_says_that_it_tells_nothing_of_others(
    client: Any, store: Any, worker: Any, confirmed: str, tmp_path: Path
) -> None:
    again(store, worker, confirmed, 0, (0.71, 0.73))
    for number in (1, 2):
        text = card(client, tmp_path, f"{confirmed}-{number}")
        assert "one seed: nothing here tells how far another would differ" in text
        assert "head-only) | accuracy |" not in text


def test_a_card_names_the_data_of_each_task(client: Any, confirmed: str) -> None:
    from dataclasses import replace

    from peftsearch import model_card

    job = client.job(confirmed)
    parts = {"one": {"train": "a.csv"}, "two": {"type": "text-regression", "train": "b.csv"}}
    told = model_card._data(replace(job, spec={**job.spec, "task": {"type": "multi-task", "tasks": parts}}))
    assert "| train of one | `a.csv` |" in told
    assert "| type of two | `text-regression` |" in told
