"""The engine's benchmark: how searches are compared, how a run resumes, and that the page says what was recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.engine.figures import figures
from benchmarks.engine.page import IMAGES, PAGE, RECORD, filled
from benchmarks.engine.record import Record
from benchmarks.engine.search_task import QUICK, Yardstick, job_spec, write_data
from benchmarks.engine.summary import AIMS, summarise
from benchmarks.whole_searches import compared, mean_speedup
from service.jobs.search.spec import JobSpec


@pytest.fixture(scope="module")
def record() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(RECORD.read_text())
    return content


def test_the_summary_holds_every_promise_beside_its_aim(record: dict[str, Any]) -> None:
    for name, aim in AIMS.items():
        assert record["summary"][name]["aim"] == aim
        assert "measured" in record["summary"][name]
    assert record["summary"] == summarise(record["parts"], record["machine"]["default_precision"])
    assert record["summary"]["configurations"] >= 12


def test_page_and_figures_are_those_of_the_record(record: dict[str, Any]) -> None:
    page = PAGE.read_text()
    assert filled(page, record) == page, "run `python -m benchmarks.engine.page`"
    drawn = figures(record)
    assert drawn
    for name, svg in drawn.items():
        assert (IMAGES / name).read_text() == svg, "run `python -m benchmarks.engine.page`"
        assert f"images/{name}" in page


def test_the_yardstick_spans_the_space() -> None:
    yardstick = Yardstick.of([0, 0, 0, 1])
    low, high = yardstick.log_range
    assert low < high
    smallest, largest = 10**low, 10**high
    nothing, everything, better = yardstick.curve([0.75, 1.0, 1.0], [smallest, largest / 10, smallest])
    assert nothing == 0.0
    assert everything == pytest.approx(1 / (high - low))
    assert better == pytest.approx(1.0)


def _trials(*rows: tuple[float, float, float], state: str = "completed") -> list[dict[str, Any]]:
    return [
        {"seconds": seconds, "accuracy": accuracy, "trainable_params": size, "state": state}
        for seconds, accuracy, size in rows
    ]


def _compared(ours: list[dict[str, Any]]) -> dict[str, Any]:
    peer = _trials((100, 0.7, 10_000), (200, 0.8, 10_000), (300, 0.6, 20_000))
    return compared(peer, ours, ours[-1]["seconds"], Yardstick.of([0, 1]).worth)


def test_a_search_is_compared_by_the_time_at_which_it_is_worth_as_much() -> None:
    found = _compared(_trials((10, 0.7, 10_000), (20, 0.8, 9_000), (30, 0.5, 10_000)))
    assert (found["our_reached_s"], found["our_reached_after"]) == (20, 2)
    assert (found["peer_s"], found["peer_reached_s"]) == (300, 200)
    assert found["speedup"] == pytest.approx(15)
    assert found["speedup_from_reached"] == pytest.approx(10)
    assert found["speedup_of_all_trials"] == pytest.approx(10)


def test_a_search_that_never_gets_there_has_no_speedup() -> None:
    stopped = _trials((20, 0.95, 9_000), state="stopped")  # not on the service's front
    found = _compared(_trials((10, 0.7, 10_000)) + stopped)
    assert found["speedup"] is None
    assert mean_speedup([{"speedup": 4.0}, found]) is None
    assert mean_speedup([{"speedup": 4.0}, {"speedup": 16.0}]) == pytest.approx(8.0)


def test_both_searches_read_the_same_rows(tmp_path: Path) -> None:
    task = write_data(QUICK, tmp_path)
    assert len((tmp_path / task.train).read_text().splitlines()) == QUICK.train_rows
    assert len((tmp_path / str(task.validation)).read_text().splitlines()) == QUICK.validation_rows
    assert JobSpec.model_validate(job_spec(task, QUICK, seed=3)).seed == 3


def test_a_run_resumes_only_what_was_measured_under_the_same_conditions(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    part = Record(path, resume=False).open("trials", {"rows": [1, 2]})
    assert part["results"] is None
    first = Record(path, resume=False)
    first.open("trials", {"rows": [1, 2]})["results"] = ["kept"]
    first.save()
    assert Record(path, resume=True).open("trials", {"rows": [1, 2]})["results"] == ["kept"]
    assert Record(path, resume=True).open("trials", {"rows": [3, 4]})["results"] is None
    assert Record(path, resume=False).open("trials", {"rows": [1, 2]})["results"] is None
    assert Record(path, resume=True, minutes=0).time_is_up
