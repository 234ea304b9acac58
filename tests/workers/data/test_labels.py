"""Labels are text as written, and mean the same in all splits of a task."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pa_parquet
import pytest

from workers.data.rows import TaskData
from workers.errors import InvalidInput
from workers.tasks.catalogue.text_classification import TextClassificationSpec, read


def load(train: Path, **fields: Any) -> TaskData:
    given = {"validation": str(train), **fields}
    return read(TextClassificationSpec(model="builtin:minilm", train=str(train), **given))


def csv_file(folder: Path, labels: list[str], name: str = "train.csv") -> Path:
    (folder / name).write_text("text,label\n" + "".join(f"text {i},{label}\n" for i, label in enumerate(labels)))
    return folder / name


def jsonl_file(folder: Path, labels: list[Any], name: str = "train.jsonl") -> Path:
    lines = [json.dumps({"text": f"text {i}", "label": label}) for i, label in enumerate(labels)]
    (folder / name).write_text("\n".join(lines))
    return folder / name


def parquet_file(folder: Path, labels: Any, names: list[str] | None = None, name: str = "train.parquet") -> Path:
    table = pa.table({"text": [f"text {i}" for i in range(len(labels))], "label": labels})
    if names is not None:
        features = {"label": {"names": names, "_type": "ClassLabel"}}
        table = table.replace_schema_metadata({b"huggingface": json.dumps({"info": {"features": features}}).encode()})
    pa_parquet.write_table(table, folder / name)
    return folder / name


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["007", "042", "007"], ("007", "042")),
        (["01", "1", "01", "1"], ("01", "1")),
        (["NA", "1", "2"], ("1", "2", "NA")),
        (["null", "nan", "None"], ("None", "nan", "null")),
        (["08:30", "17:45"], ("08:30", "17:45")),
        (["2024-01-02", "2024-01-10"], ("2024-01-02", "2024-01-10")),
        (["0x1F", "0x02"], ("0x02", "0x1F")),
        (["True", "False"], ("False", "True")),
        (["1.0", "0.0", "3.10", "3.1"], ("0.0", "1.0", "3.1", "3.10")),
        (["1e5", "1E5"], ("1E5", "1e5")),
        (["10", "9", "-2", "10"], ("-2", "9", "10")),  # whole numbers by value
        (["10", "9", "x"], ("10", "9", "x")),  # as soon as one is text, all are
        ([" yes", "no ", "yes"], ("no", "yes")),
        (["9" * 5000, "1"], ("1", "9" * 5000)),
    ],
)
def test_cells_of_a_csv_are_names_as_written(tmp_path: Path, labels: list[str], classes: tuple[str, ...]) -> None:
    data = load(csv_file(tmp_path, labels))
    assert data.labels == classes
    assert [data.labels[index] for index in data.train.targets] == [label.strip() for label in labels]


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ([10, 9, 2], ("2", "9", "10")),
        (["10", "9", "2"], ("10", "2", "9")),
        ([1, "other", 2], ("1", "2", "other")),
        ([1, "1", 2, "2"], ("1", "2")),
        ([True, False, 1, 0], ("0", "1", "false", "true")),
        ([1.0, 2.5], ("1.0", "2.5")),
    ],
)
def test_values_of_json_lines_are_names_as_written(tmp_path: Path, labels: list[Any], classes: tuple[str, ...]) -> None:
    assert load(jsonl_file(tmp_path, labels)).labels == classes


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (pa.array([3, 20, 3], pa.int16()), ("3", "20")),
        (pa.array(["b", "a", "b"]).dictionary_encode(), ("a", "b")),
        (pa.array([True, False]), ("false", "true")),
        (pa.array([0.1, 0.5], pa.float32()), ("0.1", "0.5")),
        (pa.array([date(2024, 1, 2), date(2024, 1, 3)]), ("2024-01-02", "2024-01-03")),
    ],
)
def test_values_of_parquet_are_names_as_written(tmp_path: Path, labels: Any, classes: tuple[str, ...]) -> None:
    assert load(parquet_file(tmp_path, labels)).labels == classes


def test_digits_in_one_file_and_words_in_another(tmp_path: Path) -> None:
    train = csv_file(tmp_path, ["1", "2", "other"] * 2)
    data = load(train, validation=str(csv_file(tmp_path, ["2", "1"], "validation.csv")))
    assert data.labels == ("1", "2", "other")
    assert data.validation.targets.tolist() == [1, 0]
    test = jsonl_file(tmp_path, [2, "other"], "test.jsonl")
    assert load(train, test=str(test)).test.targets.tolist() == [1, 2]  # type: ignore[union-attr]


@pytest.mark.parametrize("labels", [["a", ""], ["a", "  "]])
def test_an_empty_cell_is_a_missing_label(tmp_path: Path, labels: list[str]) -> None:
    with pytest.raises(InvalidInput, match="no value in column 'label', line 3 of") as caught:
        load(csv_file(tmp_path, labels))
    assert caught.value.field == "label"


def test_class_labels_are_matched_by_name(tmp_path: Path) -> None:
    train = parquet_file(tmp_path, [0, 1, 1], ["neg", "pos"])
    turned = parquet_file(tmp_path, [1, 0, 0], ["pos", "neg"], "validation.parquet")
    data = load(train, validation=str(turned))
    assert data.labels == ("neg", "pos")
    assert data.validation.targets.tolist() == data.train.targets.tolist() == [0, 1, 1]
    named = csv_file(tmp_path, ["pos", "neg"])
    assert load(train, validation=str(named)).validation.targets.tolist() == [1, 0]
    assert load(named, validation=str(turned)).validation.targets.tolist() == [0, 1, 1]
    other = parquet_file(tmp_path, [0, 1], ["negative", "positive"], "other.parquet")
    with pytest.raises(InvalidInput, match=r"'negative', 'positive' .* train does not have.*'neg', 'pos'"):
        load(train, validation=str(other))


def test_class_labels_meet_plain_indices(tmp_path: Path) -> None:
    named = parquet_file(tmp_path, [0, 1, 1], ["neg", "pos"])
    plain = csv_file(tmp_path, ["1", "0", "1"])
    assert load(named, validation=str(plain)).validation.targets.tolist() == [1, 0, 1]
    assert load(plain, validation=str(named)).validation.targets.tolist() == [0, 1, 1]


def test_class_labels_keep_their_order_over_shards(tmp_path: Path) -> None:
    parquet_file(tmp_path, [0, 1], ["z", "a", "unused"], "train-00000-of-00002.parquet")
    parquet_file(tmp_path, [0, 1], ["a", "z", "unused"], "train-00001-of-00002.parquet")
    data = load(tmp_path, validation=0.5)
    assert data.labels == ("z", "a", "unused")
    found = {**dict(zip(data.train.texts, data.train.targets, strict=True))}
    assert len(data.train) + len(data.validation) == 4
    assert set(found.values()) == {0, 1}
    parquet_file(tmp_path, [0, 1], None, "train-00001-of-00002.parquet")
    with pytest.raises(InvalidInput, match="names in all files of a split, or in none"):
        load(tmp_path, validation=0.5)


@pytest.mark.parametrize("index", [-1, 2, None])
def test_a_class_label_without_a_name_is_missing(tmp_path: Path, index: int | None) -> None:
    with pytest.raises(InvalidInput, match="in column 'label', row 2 of"):
        load(parquet_file(tmp_path, [0, index, 1], ["neg", "pos"]))


def test_a_column_that_holds_no_classes_is_asked_about(tmp_path: Path) -> None:
    ids = [f"id{number}" for number in range(60)]
    with pytest.raises(
        InvalidInput, match=r"60 classes in 60 rows .* no class has two rows; is this the right"
    ) as caught:
        load(csv_file(tmp_path, ids), validation=0.2)
    assert caught.value.field == "label"
    with pytest.raises(InvalidInput, match=r"60 classes in 61 rows .* 59 of them do not have two rows"):
        load(csv_file(tmp_path, [*ids, "id0"]), validation=0.2)
    scores = [f"{number % 25}.5" for number in range(100)]
    with pytest.raises(InvalidInput, match=r"25 different numbers, as 0\.5, in"):
        load(csv_file(tmp_path, scores), validation=0.2)
    others = csv_file(tmp_path, ["id99"], "validation.csv")
    with pytest.raises(InvalidInput, match="60 classes in 60 rows"):
        load(csv_file(tmp_path, ids), validation=str(others))
    shots = csv_file(tmp_path, ["a", "b", "c"], "shots.csv")  # one row of each class, and a validation split
    assert len(load(csv_file(tmp_path, ["a", "b", "c"]), validation=str(shots)).labels) == 3
