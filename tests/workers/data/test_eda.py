"""EDA on real rows: what each of its changes does, that labels stay, and that only training rows are touched."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from workers.artifacts import ArtifactStore
from workers.assignment import Assignment
from workers.data.eda import Eda, augmented
from workers.data.rows import Rows, TaskData
from workers.data.transforms import PLAIN, Transforms
from workers.errors import InvalidInput
from workers.hyperparameters import split_config
from workers.models.description import describe
from workers.running import workbench
from workers.running.packing import why_not_packed
from workers.running.preparing import prepare
from workers.running.workbench import Workbench
from workers.tasks.catalogue.text_classification import TASK as CLASSIFICATION
from workers.tasks.catalogue.text_classification import TextClassificationSpec
from workers.tasks.catalogue.token_classification import TokenClassificationSpec

TASK = TextClassificationSpec(
    model="builtin:minilm", train="builtin:pydocs", max_length=24, train_rows=100, validation_rows=32
)
HEAD = {"method": "head", "learning_rate": 1e-3}


@pytest.fixture(scope="module")
def rows() -> Rows:
    return CLASSIFICATION.rows_to_train_on(TASK, 0).train


def test_copies_keep_their_labels_and_each_has_one_change(rows: Rows) -> None:
    share, copies = 0.2, 4
    found = augmented(rows, Eda(copies, share), seed=3)
    assert found.texts[: len(rows)] == rows.texts
    assert found.targets.tolist() == rows.targets.tolist() * (copies + 1)
    own_words = {
        label: {word for text, target in zip(rows.texts, rows.targets, strict=True) if target == label
                for word in str(text).split()}
        for label in set(rows.targets.tolist())
    }  # fmt: skip
    seen: Counter[str] = Counter()
    for place in range(len(rows), len(found)):
        row = place % len(rows)
        old, new = Counter(str(rows.texts[row]).split()), Counter(str(found.texts[place]).split())
        touched, words = max(1, round(share * old.total())), new.total() - old.total()
        assert set(new) <= set(old) | own_words[int(rows.targets[row])]
        kind = ("replaced", "inserted", "swapped", "left out")[(row + place // len(rows) - 1) % 4]
        seen[kind] += str(found.texts[place]) != " ".join(str(rows.texts[row]).split())
        assert {
            "replaced": words == 0 and (old - new).total() <= touched,
            "inserted": words == touched and not old - new,
            "swapped": new == old,
            "left out": words <= 0 and not new - old,
        }[kind]
    assert min(seen.values()) > len(rows) / 2
    assert len(seen) == 4


def test_copies_follow_from_the_seed_and_pairs_stay_pairs(rows: Rows) -> None:
    pairs = Rows(rows.texts, tuple(str(text) for text in reversed(rows.texts)), rows.targets)
    first, again, other = (augmented(pairs, Eda(2, 0.3), seed) for seed in (1, 1, 2))
    assert first.texts == again.texts
    assert first.texts != other.texts
    assert first.pairs is not None
    assert pairs.pairs is not None
    changed = [
        (text != pairs.texts[place % len(rows)], pair != pairs.pairs[place % len(rows)])
        for place, (text, pair) in enumerate(zip(first.texts, first.pairs, strict=True))
    ]
    assert (True, True) not in changed
    assert {(True, False), (False, True)} < set(changed)


def test_a_configuration_augments_its_own_training_rows_and_nothing_else(tmp_path: Path) -> None:
    bench = Workbench(tmp_path, ArtifactStore(tmp_path / "artifacts"))

    def prepared(**config: object) -> object:
        assignment = Assignment(trial_id="t", attempt=1, task=TASK, config=HEAD | config, epochs=1, seed=1)
        return prepare(assignment, bench).data

    plain, more = prepared(), prepared(eda_copies=3)
    assert (len(plain.train), len(more.train)) == (100, 400)  # type: ignore[attr-defined]
    assert more.validation.content_hash == plain.validation.content_hash  # type: ignore[attr-defined]
    assert more.content_hash == plain.content_hash != ""  # type: ignore[attr-defined]
    assert len(list((tmp_path / "cache" / "tokens").iterdir())) == 2  # the copies are part of the fingerprint
    assert np.array_equal(more.tokens.train.input_ids[: plain.tokens.train.offsets[-1]], plain.tokens.train.input_ids)  # type: ignore[attr-defined]


def test_a_search_over_transforms_reads_its_sources_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []

    def counted(section: TextClassificationSpec, seed: int) -> TaskData:
        read.append(seed)
        return CLASSIFICATION.read(section, seed)

    monkeypatch.setattr(workbench, "task_of", lambda _section: replace(CLASSIFICATION, read=counted))
    bench = Workbench(tmp_path, ArtifactStore(tmp_path / "artifacts"))
    chosen = [PLAIN, *(Transforms(Eda(copies, 0.1)) for copies in (1, 2, 3)), Transforms(demos=1), PLAIN]
    found = [bench.data(TASK, 0, transforms) for transforms in chosen]
    assert read == [0, 0]  # of a plain one nothing stays: most searches have no other
    assert len({data.content_hash for data in found}) == 1
    assert [len(data.train) for data in found] == [100, 200, 300, 400, 100, 100]
    bench.data(TASK, 1, Transforms(demos=1))
    bench.clear()
    bench.data(TASK, 1, Transforms(demos=1))
    assert read == [0, 0, 1, 1]


def test_augmented_trials_train_alone_and_other_types_refuse() -> None:
    config = HEAD | {"eda_copies": 3}
    assert split_config(config)[2].eda_share == 0.1
    assignment = Assignment(trial_id="t", attempt=1, task=TASK, config=config, epochs=1, seed=1)
    assert "altered copies" in str(why_not_packed(assignment, describe(TASK.model)))
    words = TokenClassificationSpec(model="builtin:minilm", train="builtin:pytokens")
    with pytest.raises(InvalidInput) as caught:
        prepare(assignment.model_copy(update={"task": words}), Workbench(Path("unused"), ArtifactStore(Path("unused"))))
    assert caught.value.field == "eda_copies"
