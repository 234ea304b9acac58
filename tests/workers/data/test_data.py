"""Reading, checking, splitting and tokenising labelled data."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pa_parquet
import pytest

from workers.data.near_duplicates import first_of_each
from workers.data.pydocs import CLASSES, build_pydocs, read_pydocs
from workers.data.splits import balanced_sample, stratified_split
from workers.data.tokens import (
    Tokens,
    encode_texts,
    fingerprint,
    open_tokens,
    save_tokens,
    shared_tokens,
    tokenise_data,
)
from workers.errors import InvalidInput
from workers.models.loading import load_tokenizer
from workers.tasks.catalogue.text_classification import TextClassificationSpec, read

ROWS = [("good film", "yes"), ('bad, "very" bad', "no"), ("line\nbreak", "yes"), ("null", "no"), ("fine", "yes")]


def task(train: object, **fields: Any) -> TextClassificationSpec:
    return TextClassificationSpec(model="builtin:minilm", train=str(train), **fields)


def write(folder: Path, kind: str, rows: list[tuple[Any, ...]], names: tuple[str, ...] = ("text", "label")) -> Path:
    path = folder / f"train.{kind}"
    if kind in ("csv", "tsv"):
        import csv

        with path.open("w", newline="") as file:
            writer = csv.writer(file, delimiter="\t" if kind == "tsv" else ",")
            writer.writerows([names, *rows])
    elif kind == "jsonl":
        path.write_text("\n".join(json.dumps(dict(zip(names, row, strict=True))) for row in rows))
    else:
        pa_parquet.write_table(pa.table({n: [row[i] for row in rows] for i, n in enumerate(names)}), path)
    return path


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
def test_all_formats_read_the_same_rows(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path, kind, ROWS)
    data = read(task(path, validation=str(path)))
    assert data.labels == ("no", "yes")
    assert data.train.texts == tuple(text for text, _ in ROWS)
    assert data.train.targets.tolist() == [1, 0, 1, 0, 1]
    assert data.train.targets.dtype == np.int32


def test_integer_labels_sort_by_value(tmp_path: Path) -> None:
    path = write(tmp_path, "csv", [("a", 10), ("b", 9), ("c", 10), ("d", 2)])
    assert read(task(path, validation=str(path))).labels == ("2", "9", "10")


def test_pairs_of_columns(tmp_path: Path) -> None:
    path = write(tmp_path, "jsonl", [("a", "b", 0), ("c", "d", 1)], ("premise", "hypothesis", "gold"))
    data = read(task(path, validation=str(path), text_pair=("premise", "hypothesis"), label="gold"))
    assert data.train.pairs == ("b", "d")


def test_saved_datasets_folder_with_class_names(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["neg", "pos"])})
    rows = {"text": ["a", "b", "c", "d"], "label": [1, 0, 1, 0]}
    one = datasets.Dataset.from_dict(rows, features=features)
    datasets.DatasetDict({"train": one, "validation": one}).save_to_disk(tmp_path / "set")
    data = read(task(tmp_path / "set"))
    assert data.labels == ("neg", "pos")
    assert len(data.train) == len(data.validation) == 4
    one.to_parquet(tmp_path / "train.parquet")
    assert read(task(tmp_path / "train.parquet", validation=0.5)).labels == ("neg", "pos")


def test_folder_of_split_files_uses_its_own_validation(tmp_path: Path) -> None:
    write(tmp_path, "csv", ROWS)
    (tmp_path / "dev.csv").write_text("text,label\nonly,yes\n")
    (tmp_path / "test.csv").write_text("text,label\nlast,no\nlast,yes\n")
    data = read(task(tmp_path, test=str(tmp_path)))
    assert data.validation.texts == ("only",)
    assert data.test is not None
    assert len(data.test) == 2


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"train": "missing.csv"}, "train", "no such file"),
        ({"train": "notes.doc"}, "train", "no such file"),
        ({"train": "builtin:nothing"}, "train", "builtin:pydocs"),
        ({"train": "hub:not an id"}, "train", "hub:owner/name"),
        ({"text": "body"}, "train", "no column 'body'; it has text, label"),
        ({"label": "class"}, "train", "no column 'class'"),
        ({"train_rows": 6}, "train_rows", "at most the 3"),
        ({"validation": "missing.csv"}, "validation", "no such file"),
    ],
)
def test_refusals_name_field_found_and_allowed(tmp_path: Path, fields: dict[str, Any], field: str, said: str) -> None:
    path = write(tmp_path, "csv", ROWS)
    (tmp_path / "notes.doc").write_text("x")
    with pytest.raises(InvalidInput, match=said) as caught:
        read(TextClassificationSpec(**{"model": "builtin:minilm", "train": str(path), "validation": 0.2, **fields}))
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("rows", "field", "said"),
    [
        ([("a", "x"), ("b", "x")], "label", "at least two classes"),
        ([("a", None), ("b", "x")], "label", "line 1"),
        ([("a", ""), ("b", "x")], "label", "line 1"),
        ([("a", ["x"]), ("b", "x")], "label", r"\['x'\] in column 'label', line 1"),
        ([("a", "x\x00"), ("b", "x")], "label", "line 1"),
        ([(1.5, "y"), ("b", "x")], "train", "line 1"),
        ([(None, "y"), ("b", "x")], "train", "line 1"),
    ],
)
def test_bad_rows_are_refused(tmp_path: Path, rows: list[tuple[Any, ...]], field: str, said: str) -> None:
    path = write(tmp_path, "jsonl", rows)
    with pytest.raises(InvalidInput, match=said) as caught:
        read(task(path, validation=str(path)))
    assert caught.value.field == field


def test_broken_json_line_is_numbered(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text('{"text": "a", "label": 1}\n{"text": \n')
    with pytest.raises(InvalidInput, match="line 2"):
        read(task(path))


def test_validation_labels_must_occur_in_train(tmp_path: Path) -> None:
    path = write(tmp_path, "csv", ROWS)
    other = tmp_path / "other.csv"
    other.write_text("text,label\nx,perhaps\n")
    with pytest.raises(InvalidInput, match="perhaps") as caught:
        read(task(path, validation=str(other)))
    assert caught.value.field == "validation"


def test_split_is_stratified_and_depends_on_the_seed_only() -> None:
    labels = np.repeat(np.arange(3, dtype=np.int32), [50, 30, 20])
    kept, held = stratified_split(labels, 0.2, seed=3)
    assert np.bincount(labels[held]).tolist() == [10, 6, 4]
    assert sorted([*kept, *held]) == list(range(100))
    assert np.array_equal(stratified_split(labels, 0.2, seed=3)[1], held)
    assert not np.array_equal(stratified_split(labels, 0.2, seed=4)[1], held)


def test_sample_balances_classes_as_far_as_they_go() -> None:
    labels = np.repeat(np.arange(3, dtype=np.int32), [50, 5, 45])
    sample = balanced_sample(labels, 41, seed=0)
    assert np.bincount(labels[sample]).tolist() == [18, 5, 18]
    assert len(set(sample.tolist())) == 41


def test_near_duplicates_keep_the_first() -> None:
    text = "return the current value of the counter and reset it"
    texts = [text, text.upper() + " 7!", "something else entirely is written here", text + " now"]
    assert first_of_each(texts, 0.8) == [0, 2]
    assert first_of_each(texts, 0.95) == [0, 2, 3]


def test_pydocs_labels_what_is_documented(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(
        '"""The module speaks first."""\n'
        'def f():\n    """A function that stands alone."""\n'
        'class C:\n    """A class with its own words."""\n'
        '    if True:\n        def m(self):\n            """A method under a condition."""\n'
        '            def inner():\n                """An inner function, not a method."""\n'
    )
    (tmp_path / "broken.py").write_text("def f(:\n")
    table = build_pydocs(tmp_path)
    found = dict(zip(table["text"].to_pylist(), table["label"].to_pylist(), strict=True))
    assert list(found.values()) == ["module", "function", "class", "method", "function"]


def test_pydocs_of_this_python() -> None:
    splits = {role: read_pydocs(role) for role in ("train", "validation", "test")}
    texts = [text for one in splits.values() for text in one["text"]]
    assert len(set(texts)) == len(texts) > 4000
    assert {one["label"].count(name) for one in (splits["validation"], splits["test"]) for name in CLASSES} == {150}
    data = read(task("builtin:pydocs", train_rows=400, validation_rows=200))
    assert data.labels == CLASSES
    assert (len(data.train), len(data.validation)) == (400, 200)


def test_tokens_survive_the_disk_and_are_shared(tmp_path: Path) -> None:
    path = write(tmp_path, "csv", ROWS)
    data = read(task(path, validation=0.4))
    tokenizer = load_tokenizer("builtin:minilm")
    tokens = tokenise_data(data, tokenizer, 8, encode_texts)
    assert tokens.train.lengths().max() <= 8
    save_tokens(tokens, tmp_path / "tokens")
    again = open_tokens(tmp_path / "tokens")
    assert isinstance(again.train.input_ids, np.memmap)
    _same(tokens.train, again.train)
    first = tokenizer.decode(again.train.input_ids[: again.train.offsets[1]], skip_special_tokens=True)
    assert first.startswith(data.train.texts[0].split()[0])
    shared = shared_tokens(data, tokenizer, 8, encode_texts, tmp_path / "cache")
    _same(shared.validation, tokens.validation)
    assert (tmp_path / "cache" / "tokens" / fingerprint(data, tokenizer, 8, encode_texts) / "data.json").is_file()
    assert fingerprint(data, tokenizer, 8, encode_texts) != fingerprint(data, tokenizer, 9, encode_texts)


def _same(left: Tokens, right: Tokens) -> None:
    assert np.array_equal(left.input_ids, right.input_ids)
    assert np.array_equal(left.token_type_ids, right.token_type_ids)
    assert np.array_equal(left.offsets, right.offsets)
    assert np.array_equal(left.targets, right.targets)


def test_pairs_carry_token_types(tmp_path: Path) -> None:
    path = write(tmp_path, "jsonl", [("a", "b c", 0), ("c", "d", 1)], ("one", "two", "label"))
    data = read(task(path, validation=str(path), text_pair=("one", "two")))
    tokens = tokenise_data(data, load_tokenizer("builtin:minilm"), 16, encode_texts).train
    assert tokens.token_type_ids is not None
    assert tokens.token_type_ids[: tokens.offsets[1]].tolist() == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize(("name", "classes"), [("sst2", 2), ("trec", 6), ("banking77", 77)])
def test_real_sets(shared_data: Path, name: str, classes: int) -> None:
    folder = shared_data / "text" / name
    data = read(task(folder, label="label", validation=str(folder), test=str(folder), train_rows=300))
    assert len(data.labels) == classes
    assert len(data.train) == 300


def test_real_pairs(shared_data: Path) -> None:
    folder = shared_data / "text" / "mrpc"
    assert len(read(task(folder, text_pair=("text_a", "text_b"))).validation) == 408


def test_reading_needs_no_torch(tmp_path: Path) -> None:
    path = write(tmp_path, "csv", ROWS)
    code = (
        "import sys; from workers.tasks.catalogue.text_classification import TASK; "
        f"TASK.read(TASK.section(model='builtin:minilm', train={str(path)!r}), 0); "
        "bad = {'torch', 'transformers', 'datasets', 'ray'} & set(sys.modules); assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_test_fraction_is_split_off_first_and_shares_no_row(tmp_path: Path) -> None:
    rows = [(f"text {number}", number % 2) for number in range(100)]
    path = write(tmp_path, "csv", rows)
    data = read(task(path, validation=0.25, test=0.2), seed=3)
    assert data.test is not None
    assert (len(data.test), len(data.validation), len(data.train)) == (20, 20, 60)
    assert {*data.test.texts, *data.validation.texts, *data.train.texts} == {text for text, _ in rows}
    other = read(task(path, validation=0.5, test=0.2), seed=3).test
    assert other is not None
    assert other.texts == data.test.texts  # another validation fraction does not move the test rows


@pytest.mark.parametrize("end", ["</s>", None])
def test_a_text_without_tokens_gets_one(tmp_path: Path, end: str | None) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {"<pad>": 0, "</s>": 1, "word": 2}
    plain = Tokenizer(models.WordLevel(words, unk_token="<pad>"))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=plain, eos_token=end, pad_token="<pad>")
    path = write(tmp_path, "jsonl", [("", 0), ("word word", 1), (" \n", 0), ("word", 1)])
    tokens = tokenise_data(read(task(path, validation=str(path))), tokenizer, 8, encode_texts).train
    assert tokens.lengths().tolist() == [1, 2, 1, 1]
    filler = 0 if end is None else 1
    assert tokens.input_ids.tolist() == [filler, 2, 2, filler, 2]
