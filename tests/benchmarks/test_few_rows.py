"""What options for few rows are worth: rows of a seed are apart, and gains are those over the same rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.few_rows.__main__ import HELD, PLAIN, POOL, ROWS, drawn, gains


def test_each_seed_draws_rows_and_a_pool_apart_and_is_measured_on_the_same_ones(tmp_path: Path) -> None:
    for split, count in (("train", 1200), ("test", 600)):
        rows = [{"text": f"{split} {row}", "label": row % 4} for row in range(count)]
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    read = []
    for seed in (0, 1):
        files = drawn(tmp_path, tmp_path / str(seed), seed)
        read.append(
            {
                role: [json.loads(line)["text"] for line in Path(file).read_text().splitlines()]
                for role, file in files.items()
            }
        )
        assert not set(read[-1]["train"]) & set(read[-1]["unlabelled"])
    assert [len(read[0][role]) for role in ("train", "unlabelled", "validation")] == [ROWS, POOL, HELD]
    assert read[0]["train"] != read[1]["train"]
    assert read[0]["validation"] == read[1]["validation"]


def test_gains_are_differences_on_the_same_rows_with_their_interval() -> None:
    """Seeds differ by far more than ways do: means of different seeds would say the opposite."""
    plain = {0: 0.5, 1: 0.7, 2: 0.9}
    rows = [{"seed": seed, "way": PLAIN, "accuracy": value, "loss": 1.0} for seed, value in plain.items()]
    rows += [{"seed": seed, "way": "mixup", "accuracy": plain[seed] + 0.02, "loss": 0.9} for seed in (0, 1)]
    rows += [{"seed": seed, "way": "contrast", "accuracy": plain[seed] + 0.01 * seed, "loss": 1.0} for seed in plain]
    rows += [{"seed": 0, "way": "neighbours", "accuracy": 0.9, "loss": 1.0}]
    found = gains(rows)
    assert found["mixup"]["gain"] == pytest.approx(0.02)
    assert found["mixup"]["interval"] == pytest.approx(0, abs=1e-3)
    assert found["mixup"]["accuracy"] < found[PLAIN]["accuracy"]
    assert found["contrast"]["gain"] == pytest.approx(0.01)
    assert found["contrast"]["interval"] == pytest.approx(4.303 * 0.01 / 3**0.5, abs=1e-3)
    assert "neighbours" not in found  # one seed has no interval
