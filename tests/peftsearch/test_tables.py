"""Tables of measurements as spreadsheets save them, and what is said of those that cannot be read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer

from peftsearch.cli.law import COLUMNS, read_runs
from peftsearch.cli.tables import read_csv

LAW = ",".join(COLUMNS) + "\r\n1e6,1e7,0.001,16,2.5\r\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_first_column_keeps_its_name(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "law.CSV"
    file.write_bytes(LAW.encode(encoding))
    expected = dict(zip(COLUMNS, (1e6, 1e7, 0.001, 16, 2.5), strict=True))
    assert read_runs(file) == [expected]
    lines = tmp_path / "law.jsonl"
    lines.write_bytes(json.dumps(expected | {"note": "\u2028"}, ensure_ascii=False).encode(encoding))
    assert read_runs(lines) == [expected]


def test_blank_lines_spaces_and_tabs(tmp_path: Path) -> None:
    file = tmp_path / "a.tsv"
    file.write_text("\n web \tloss\n\n0.5\t2\n")
    assert list(read_csv(file)) == [(4, {"web": "0.5", "loss": "2"})]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"web,web,loss\n1,1,1\n", "column 'web' is there 2 times"),
        ("a.csv", LAW.encode() + b"1,2,3\n", "line 3: 3 cells, the header has 5"),
        ("a.csv", LAW.replace("2.5", "low").encode(), "line 2: loss is 'low', not a number"),
        ("a.csv", b'a,b\n"x,1\n', "line 2: unexpected end"),
        ("a.csv", b"\xe9,b\n", "a.csv: .*decode"),
        ("a.jsonl", b'{"loss": 1}\n[1]\n', "a.jsonl: no column parameters"),
        ("a.jsonl", b"[1]\n", "line 1: expected an object"),
        ("a.jsonl", b"{\n", "line 1"),
        ("gone.csv", None, "No such file"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str, content: bytes | None, said: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(typer.BadParameter, match=said):
        read_runs(tmp_path / name)


@pytest.mark.usefixtures("url")
def test_a_mixture_from_a_spreadsheet_has_plain_domains(run: Any, tmp_path: Path) -> None:
    lines = ["web,code,loss", *(f"{w / 19},{1 - w / 19},{2 + (w / 19 - 0.7) ** 2}" for w in range(20))]
    (tmp_path / "mix.csv").write_text("\n".join(lines), encoding="utf-8-sig")
    done = run("mixture", "fit", str(tmp_path / "mix.csv"), "--json")
    assert done.code == 0, done.err
    assert set(done.json["weights"]) == {"web", "code"}
    rows = [
        {"weights": {"web": w / 19, "code": 1 - w / 19}, "losses": {"loss": 2 + (w / 19 - 0.7) ** 2}} for w in range(20)
    ]
    (tmp_path / "mix.json").write_text(json.dumps({"rows": rows}), encoding="utf-8-sig")
    assert run("mixture", "fit", str(tmp_path / "mix.json")).code == 0
