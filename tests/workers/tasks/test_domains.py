"""Domains of rows: what is measured of each and of the worst, and splits that leave one out."""

from __future__ import annotations

import json
import pickle
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from tests.service.tiny_task import FILLER, WORDS, write_model
from tests.workers.tiny_chat_model import write_language_model
from workers.artifacts import ArtifactStore
from workers.assignment import Assignment
from workers.data.eda import Eda, augmented
from workers.engines.passes import WholePass, evaluation_batches, measure_in
from workers.errors import InvalidInput
from workers.running.preparing import prepare
from workers.running.trial import train
from workers.running.trial_pack import train_pack
from workers.running.workbench import Workbench
from workers.tasks.registry import metrics_for, task, tasks
from workers.tasks.section import DomainSection

PLACES = ("kitchen", "shed", "yard")
LORA = {"method": "lora", "rank": 2, "alpha": 4, "targets": "all", "learning_rate": 1e-2, "batch_size": 8}


def rows(count: int, **fixed: Any) -> list[dict[str, Any]]:
    """Sentences of places; those of the shed have labels that nothing tells."""
    rng = random.Random(count)
    found = []
    for _ in range(count):
        kind, place = rng.choice(sorted(WORDS)), rng.choice(PLACES)
        label = rng.choice(sorted(WORDS)) if place == "shed" else kind
        words = [*rng.choices(FILLER, k=rng.randint(3, 9)), rng.choice(WORDS[kind])]
        found.append({"text": " ".join(words), "label": label, "place": place, **fixed})
    return found


def write(path: Path, found: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in found))
    return str(path)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("domains")
    write_model(folder / "encoder")
    write(folder / "train.jsonl", rows(150))
    write(folder / "validation.jsonl", rows(60))
    return folder


def section(home: Path, **changes: Any) -> dict[str, Any]:
    files = {role: str(home / f"{role}.jsonl") for role in ("train", "validation")}
    return {"model": str(home / "encoder"), "domain": "place", "max_length": 32, **files, **changes}


def read(home: Path, **changes: Any) -> Any:
    one = task("text-classification")
    return one.read(one.section.model_validate(section(home, **changes)), 0)


def trial(home: Path, **changes: Any) -> Assignment:
    fields = {"trial_id": "t", "attempt": 1, "epochs": 8, "seed": 1, "measure_latency": False}
    return Assignment.model_validate({**fields, "task": section(home), "config": LORA, **changes})


@pytest.mark.slow
def test_the_worst_domain_is_the_one_where_labels_cannot_be_told(home: Path) -> None:
    bench = Workbench(home, ArtifactStore(home / "artifacts"))
    fast = train(trial(home), bench, lambda _: "continue").metrics
    own = {place: fast[f"accuracy_in_{place}"] for place in PLACES}
    assert fast["worst_domain"] == own["shed"] == min(own.values()) < fast["accuracy"]
    data = bench.data(trial(home).task, 0)
    validation = data.validation
    assert data.train.criterion.domains is None  # nothing is measured there
    counts = [sum(validation.criterion.domains == number) for number in range(3)]  # type: ignore[misc]
    assert float(np.average(list(own.values()), weights=counts)) == pytest.approx(fast["accuracy"])
    reference = train(trial(home, engine="reference"), bench, lambda _: "continue").metrics
    other = trial(home, trial_id="u", config=LORA | {"rank": 4})
    packed = {one.trial_id: one for one in train_pack([trial(home), other], bench, lambda _: "continue")}["t"].metrics
    for name in ("worst_domain", *(f"accuracy_in_{place}" for place in PLACES)):
        assert fast[name] == pytest.approx(reference[name]) == pytest.approx(packed[name])


def test_parts_of_an_evaluation_merge_across_processes(home: Path) -> None:
    prepared = prepare(trial(home), Workbench(home, ArtifactStore(home / "artifacts")))
    split = WholePass(prepared.resident.base.model, prepared.evaluated)
    prepared.resident.base.initialise_head(0)
    with torch.no_grad():
        whole = measure_in(split, [np.arange(len(prepared.evaluated))]).result()
        batches = evaluation_batches(split, 64)
        first, second = (_sent(measure_in(split, batches[part::2])) for part in (0, 1))
        alone = _sent(measure_in(split, []))
    alone.merge(first)
    alone.merge(second)
    assert alone.result() == pytest.approx(whole)


def _sent(measure: Any) -> Any:
    return pickle.loads(pickle.dumps(measure))


def test_a_domain_that_is_left_out_is_in_no_other_split(home: Path) -> None:
    data = read(home, test="domain:shed")
    assert set(data.test.domains) == {"shed"}
    assert set(data.train.domains) == set(data.validation.domains) == {"kitchen", "yard"}
    both = read(home, test="domain:shed", validation="domain:yard")
    assert [set(split.domains) for split in (both.train, both.validation, both.test)] == [
        {"kitchen"},
        {"yard"},
        {"shed"},
    ]
    parted = read(home, validation="domain:yard", test=0.2, train_rows=20)
    assert set(parted.validation.domains) == {"yard"}
    assert len(parted.train) == 20
    assert "yard" not in {*parted.train.domains, *parted.test.domains}
    copies = augmented(data.train, Eda(2, 0.1), 0)
    assert len(copies.domains or ()) == 3 * len(data.train)


def test_domains_that_cannot_be_are_refused_by_field(home: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"domain:attic.*kitchen, shed, yard"):
        read(home, test="domain:attic")
    for bad in (None, "", " ", True, [1]):
        path = write(tmp_path / "bad.jsonl", [*rows(20), {"text": "a pear", "label": "fruit", "place": bad}])
        with pytest.raises(InvalidInput, match=r"line 21") as caught:
            read(home, train=path)
        assert caught.value.field == "domain"
    with pytest.raises(InvalidInput, match=r"no column 'genre'") as caught:
        read(home, domain="genre")
    with pytest.raises(InvalidInput, match=r"at most 50 domains") as caught:
        read(home, train=write(tmp_path / "ids.jsonl", [row | {"place": n} for n, row in enumerate(rows(60))]))
    assert caught.value.field == "domain"
    for wrong in ({"domain": None, "test": "domain:shed"}, {"validation": "domain:yard", "test": "domain:yard"}):
        with pytest.raises(ValidationError):
            task("text-classification").section.model_validate(section(home, **wrong))


def test_the_direction_of_the_worst_is_that_of_the_first_metric(home: Path) -> None:
    """Of a language model, the worst domain is the one with the highest loss; rows that are dropped take theirs."""
    write_language_model(home / "decoder")
    said = [{"prompt": f"{row['text']} ?", "completion": row["label"], "place": row["place"]} for row in rows(60)]
    said.append({"prompt": "pear " * 60, "completion": "fruit", "place": "attic"})
    path = write(home / "said.jsonl", said)
    given = {"type": "causal-lm", "model": str(home / "decoder"), "train": path, "overlong": "drop"}
    found = train(
        trial(home, epochs=1, task=given | {"domain": "place", "max_length": 32}),
        Workbench(home, ArtifactStore(home / "artifacts")),
        lambda _: "continue",
    )
    assert found.status == "completed", found.reason
    assert found.metrics["worst_domain"] == max(found.metrics[f"loss_in_{place}"] for place in PLACES)
    assert "loss_in_attic" not in found.metrics


def test_the_worst_domain_is_a_metric_of_jobs_that_name_the_column(home: Path) -> None:
    one = task("text-classification").section
    assert "worst_domain" in metrics_for(one.model_validate(section(home)))
    assert "worst_domain" not in metrics_for(one.model_validate(section(home, domain=None)))
    lower = task("causal-lm").section.model_validate({"model": "m", "train": "t", "domain": "place"})
    assert metrics_for(lower)["worst_domain"].direction == "minimize"
    with_domains = {name for name, kind in tasks().items() if issubclass(kind.section, DomainSection)}
    assert {"text-classification", "token-classification", "image-classification", "preference"} <= with_domains
