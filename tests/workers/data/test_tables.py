"""Tables as people have them: quotes, marks, encodings, shards; all rows are read, or the file is refused by line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pa_parquet
import pytest

from workers.data.columns import Columns
from workers.data.files import column_names, read_columns
from workers.data.rows import TaskData
from workers.errors import InvalidInput
from workers.proxies.corpus import documents
from workers.tasks.catalogue.text_classification import TASK, TextClassificationSpec

CSV = "text,label\nfirst,a\nsecond,b\nthird,a\nfourth,b\n"
NAMES = ("text", "label")


def read(path: Path) -> Columns:
    return read_columns(path, NAMES, "label", "train")


def load(source: Path) -> TaskData:
    return TASK.read(TextClassificationSpec(model="builtin:minilm", train=str(source), validation=0.5), 0)


def saved(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_quotes_are_text_in_a_tsv(tmp_path: Path) -> None:
    rows = ['"opens and never closes\ta', "plain\tb", 'he said "fine" there\ta', '"whole"\tb', 'ends with one"\ta']
    path = saved(tmp_path, "train.tsv", "\n".join(["text\tlabel", *rows]) + "\n")
    assert read(path).values["text"] == [row.split("\t")[0] for row in rows]
    swallowed = '"begins\ta\nthen\tb\nand ends"\ta\n'  # as a quoted cell these three rows would be one
    assert len(read(saved(tmp_path, "train.tsv", "text\tlabel\n" + swallowed)).numbers) == 3
    title = saved(tmp_path, "train.tsv", 'text\tlabel\n"Casablanca"\ta\nAlien\tb\n')
    assert read(title).values["text"] == ['"Casablanca"', "Alien"]


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        ('text\tlabel\n"a ""big"" one"\ta\nplain\tb\n', ['a "big" one', "plain"]),
        ('text\tlabel\n"two\nlines and a\ttab"\ta\nplain\tb\n', ["two\nlines and a\ttab", "plain"]),
        ('text\tlabel\n"def f():\n\treturn 1\n\tpass"\t0\nplain\t1\n', ["def f():\n\treturn 1\n\tpass", "plain"]),
        ('"text"\t"label"\n"one"\t"a"\n"two"\t"b"\n', ["one", "two"]),
        ('text\tlabel\n"all texts"\t0\n"are quoted"\t1\n', ["all texts", "are quoted"]),
    ],
)
def test_a_tsv_from_a_writer_that_quotes_is_unquoted(tmp_path: Path, content: str, texts: list[str]) -> None:
    assert read(saved(tmp_path, "train.tsv", content)).values["text"] == texts


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", 'text,label\nfine,a\n"never closed,b\nmore,a\n', "line 3: a quote opens a cell"),
        ("a.csv", 'text,label\n"he said "no" there",a\n', "line 2: a quote opens a cell"),
        ("a.csv", 'text,label\n"two\nlines",a\none, two,b\n', "line 4 has 3 cells, the header has 2; quote"),
        (
            "a.csv",
            'text,label\n"open,1\nplain,0\nends so",1\nmore,0\n',
            "line 2: quotes open cells that span lines",
        ),
        (
            "a.csv",
            'text,label\n"open,1\r\nends so",0\r\nmore,1\r\n',
            "line 2: quotes open cells that span lines",
        ),
        ("a.csv", 'label,text\n1,open\n0,"open\n1,ends so"\n', "line 3: quotes open cells that span lines"),
        ("a.tsv", 'text\tlabel\n"open\t1\na\tb\tc\nends so"\t1\nmore\t0\n', "line 3 has 3 cells"),
        ("a.csv", "text,label\nshort\n", "line 2 has 1 cells"),
        ("a.tsv", "text\tlabel\na\tb\tc\n", "line 2 has 3 cells, the header has 2; a cell cannot hold a tab"),
        ("a.csv", "text,text,label\na,b,c\n", "column 'text' 2 times"),
        ("a.csv", "text;label\na;b\n", "separated by semicolons; a .csv file needs commas"),
        ("a.csv", "text, label\na,b\n", "it has text, ' label'"),
        ("a.csv", "", "no column 'text'; it has no columns"),
        ("a.csv", b"text,label\nfine,a\ncaf\xe9,b\n", "line 3 is not UTF-8"),
        ("a.csv", CSV.encode("utf-16-le"), "UTF-16 without a byte order mark"),
        ("a.csv", CSV.encode("utf-16")[:-1], "is not UTF-16"),
        ("a.jsonl", b'{"text": "a", "label": 1}\n{"text": "\xe9", "label": 1}\n', "line 2 is not UTF-8"),
        ("a.jsonl", '{"text": "a", "label": 1}\n{"text": "b"}\n', "line 2 of .* has no column 'label'"),
        ("a.jsonl", '{"text": "a", "text": "b", "label": 1}\n', "line 1 of .* the column 'text' 2 times"),
        ("a.jsonl", '{"text": "half \\ud83d", "label": 1}\n', "column 'text', line 1 of .* half of a character"),
        ("a.jsonl", '{"text": "a", "label": "\\udc00"}\n', "column 'label', line 1 of .* half of a character"),
        ("a.jsonl", '[{"text": "a", "label": 1}]\n', "one JSON object per line"),
        ("a.jsonl", "[" * 100_000 + "\n", "line 1"),
        ("a.parquet", b"PAR1 is not enough", "cannot read"),
    ],
)
def test_what_cannot_be_read_is_refused_by_line(tmp_path: Path, name: str, content: str | bytes, said: str) -> None:
    with pytest.raises(InvalidInput, match=said) as caught:
        read(saved(tmp_path, name, content))
    assert caught.value.field == "train"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("name", ["train.csv", "train.tsv", "train.jsonl"])
def test_byte_order_marks_are_no_text(tmp_path: Path, name: str, encoding: str) -> None:
    rows = [("ä first", "a"), ("second 😀", "b")]
    if name.endswith("jsonl"):
        content = "".join(json.dumps(dict(zip(NAMES, row, strict=True)), ensure_ascii=False) + "\n" for row in rows)
    else:
        content = "".join(("," if name.endswith("csv") else "\t").join(row) + "\r\n" for row in (NAMES, *rows))
    found = read(saved(tmp_path, name, content.encode(encoding)))
    assert found.values == {"text": [text for text, _ in rows], "label": ["a", "b"]}


def test_files_joined_with_their_marks_are_read(tmp_path: Path) -> None:
    half = '{"text": "a", "label": 1}\n'.encode("utf-8-sig")
    assert len(read(saved(tmp_path, "a.jsonl", half + half)).numbers) == 2


def test_odd_but_right_files_are_read_whole(tmp_path: Path) -> None:
    giant = "long " * 600_000
    assert read(saved(tmp_path, "a.csv", f"text,label\n{giant},a\n")).values["text"] == [giant]
    assert read(saved(tmp_path, "A.CSV", "\ntext,label\r\n\r\n\ra,b\r\n")).values["label"] == ["b"]  # blank lines
    assert read(saved(tmp_path, "a.csv", "note,note,text,label\n1,2,a,b\n")).values["text"] == ["a"]
    assert read(saved(tmp_path, "a.jsonl", '{"x": 1, "x": 2, "text": "a", "label": 1}')).values["text"] == ["a"]
    assert read(saved(tmp_path, "a.csv", "text,label\nnul \0 in it,a\n")).values["text"] == ["nul \0 in it"]
    assert read(saved(tmp_path, "a.jsonl", '{"text": "\\ud83d\\ude00 \\u2028", "label": 1}')).values["text"] == [
        "😀 \u2028"
    ]


def test_a_csv_cell_may_hold_lines_with_commas(tmp_path: Path) -> None:
    verse = "O Captain, my Captain\nour trip, is done\nthe port is near, the bells, I hear"
    path = saved(tmp_path, "a.csv", f'text,label\n"{verse}",a\nplain,b\n"{verse}",a\n')
    assert read(path).values["text"] == [verse, "plain", verse]
    verse += "\na, line that begins with a label"
    turned = saved(tmp_path, "a.csv", f'label,text\na,"{verse}"\nb,plain\na,"{verse}"\n')
    assert read(turned).values["text"] == [verse, "plain", verse]


def test_a_parquet_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"]), pa.array([1])], ["text", "text", "label"])
    pa_parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(InvalidInput, match="column 'text' 2 times"):
        read(tmp_path / "a.parquet")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["train.csv", "train.jsonl"], "train.csv and .*train.jsonl both hold the train split"),
        (["train.csv", "Train.CSV"], "both hold the train split"),
        (["train.csv", "data/train.csv"], "both hold the train split"),
        (["train.csv", "train-00000-of-00001.csv"], "both hold the train split"),
        (["train.csv", "train.old.csv"], "both hold the train split"),
        (["train-00000-of-00002.csv"], "lacks shard 1 of the train split"),
        (["train-00000-of-00001-aa.csv", "train-00000-of-00001-bb.csv"], "has shard 0 twice"),
    ],
)
def test_a_split_is_neither_counted_twice_nor_in_part(tmp_path: Path, files: list[str], said: str) -> None:
    for name in files:
        saved(tmp_path, name, '{"text": "a", "label": 1}\n' if name.endswith("jsonl") else CSV)
    with pytest.raises(InvalidInput, match=said):
        load(tmp_path)


@pytest.mark.parametrize(
    "files",
    [["TRAIN.CSV"], ["Train.csv"], ["train-00000-of-00002.csv", "train-00001-of-00002.csv"], ["data/train.csv"]],
)
def test_files_of_a_split_are_found_in_any_case(tmp_path: Path, files: list[str]) -> None:
    for name in files:
        saved(tmp_path, name, CSV)
    data = load(tmp_path)
    assert len(data.train) + len(data.validation) == 4 * len(files)


def test_domains_of_a_mixture_drop_the_mark_too(tmp_path: Path) -> None:
    text = saved(tmp_path, "a.txt", "first\n\nsecond".encode("utf-16"))
    lines = saved(tmp_path, "a.jsonl", '{"text": "one"}\n{"text": "two \u2028 more"}\n'.encode("utf-8-sig"))
    assert documents(text, "corpus") == ["first", "second"]
    assert documents(lines, "corpus") == ["one", "two \u2028 more"]


def test_one_file_of_the_hub_is_not_its_own_validation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(tmp_path, "train.csv", CSV)
    saved(tmp_path, "train.jsonl", '{"text": "a", "label": 1}\n')
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_args, **_options: str(tmp_path))
    with pytest.raises(InvalidInput, match="both hold the train split"):
        TASK.read(TextClassificationSpec(model="builtin:minilm", train="hub:someone/some"), 0)
    data = TASK.read(TextClassificationSpec(model="builtin:minilm", train="hub:someone/some/train.csv"), 0)
    assert sorted([*data.train.texts, *data.validation.texts]) == ["first", "fourth", "second", "third"]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl"])
def test_a_table_without_rows_is_refused(tmp_path: Path, name: str) -> None:
    header = "" if name.endswith("jsonl") else ("\t" if name.endswith("tsv") else ",").join(NAMES)
    with pytest.raises(InvalidInput, match="no rows in"):
        load(saved(tmp_path, name, header + "\n"))


def test_messages_stay_short(tmp_path: Path) -> None:
    giant = json.dumps({"text": ["word"] * 100_000, "label": 1})
    with pytest.raises(InvalidInput, match="column 'text', line 1") as caught:
        load(saved(tmp_path, "a.jsonl", giant))
    assert len(str(caught.value)) < 500 + len(str(tmp_path))
    same = "".join(json.dumps({"text": "a", "label": "word " * 100_000}) + "\n" for _ in range(4))
    with pytest.raises(InvalidInput, match="the only class") as caught:
        load(saved(tmp_path, "a.jsonl", same))
    assert len(str(caught.value)) < 500 + len(str(tmp_path))


@pytest.mark.parametrize(
    "state",
    [
        {"_data_files": [{"filename": "../elsewhere.arrow"}]},
        {"_data_files": [{"filename": "/etc/passwd"}]},
        {"_data_files": [{"filename": "a.arrow"}], "_indices_data_files": [{"filename": "indices.arrow"}]},
        {"_data_files": [{"filename": "gone.arrow"}]},
        {"_data_files": [{}]},
        [],
    ],
)
def test_saved_sets_that_point_elsewhere_are_refused(tmp_path: Path, state: object) -> None:
    saved(tmp_path, "state.json", json.dumps(state))
    with pytest.raises(InvalidInput, match="cannot read") as caught:
        load(tmp_path)
    assert caught.value.field == "train"


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv", "rows.tsv", "rows.json"])
def test_text_files_may_be_packed_by_gzip(tmp_path: Path, name: str) -> None:
    separator = "\t" if name.endswith("tsv") else ","
    rows = [{"text": "a pear", "label": "fruit"}, {"text": "a saw", "label": "tool"}]
    text = "\n".join(json.dumps(row) for row in rows)
    if name.endswith(("csv", "tsv")):
        text = "\n".join(separator.join(line) for line in (("text", "label"), ("a pear", "fruit"), ("a saw", "tool")))
    elif name.endswith(".json"):
        text = json.dumps(rows)
    path = tmp_path / f"{name}.gz"
    path.write_bytes(gzip.compress(text.encode()))
    assert column_names(path, "train") == ["text", "label"]
    assert read_columns(path, ["text", "label"], "label", "train").values["text"] == ["a pear", "a saw"]
    path.write_bytes(gzip.compress(text.encode())[:-9])
    with pytest.raises(InvalidInput, match="rows") as caught:
        read_columns(path, ["text", "label"], "label", "train")
    assert caught.value.field == "train"
