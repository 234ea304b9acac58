"""A whole search beside Optuna with TRL: both sides get the same rows, space and first trial, by one yardstick."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest

from benchmarks.served_search import ProcessorTime
from benchmarks.sft.search import by_script, recorded
from benchmarks.sft.search_task import (
    SPACES,
    SearchSize,
    Yardstick,
    asked_of_peer,
    encoded,
    job_spec,
    space_of,
    write_rows,
)
from benchmarks.whole_searches import compared
from service.jobs.search.problem import build_space, model_of
from service.jobs.search.spec import JobSpec
from tests.patience import wait_until
from workers.models.loading import load_tokenizer

SIZE = SearchSize(trials=2, train_rows=6, validation_rows=3, epochs=1)


@pytest.fixture(autouse=True)
def _model(smollm2_folder: Path) -> None:
    """The model is there."""


@pytest.mark.slow
def test_the_script_gets_the_tokens_that_our_trials_read(tmp_path: Path) -> None:
    section = write_rows(SIZE, tmp_path)
    rows = encoded(section, tmp_path)
    assert [len(rows[name]["input_ids"]) for name in ("train", "validation")] == [6, 3]
    tokenizer = load_tokenizer(section["model"])
    for name, split in rows.items():
        pairs = [json.loads(line) for line in (tmp_path / section[name]).read_text(encoding="utf-8").splitlines()]
        for pair, ids, mask in zip(pairs, split["input_ids"], split["completion_mask"], strict=True):
            assert tokenizer.decode(ids) == pair["prompt"] + pair["completion"] + tokenizer.eos_token
            learnt = [one for one, wanted in zip(ids, mask, strict=True) if wanted]
            assert tokenizer.decode(learnt).strip() == pair["completion"] + tokenizer.eos_token


@pytest.mark.slow
@pytest.mark.parametrize("name", SPACES)
def test_both_sides_search_the_same_space_and_begin_with_the_same_trial(name: str, tmp_path: Path) -> None:
    section = write_rows(SIZE, tmp_path)
    spec = JobSpec.model_validate(job_spec(section, SPACES[name], SIZE, seed=3))
    asked = asked_of_peer(section, tmp_path, SPACES[name], SIZE, seed=3)
    space = space_of(SPACES[name])
    assert build_space(spec.space, _described(section)) == space
    assert [one["name"] for one in asked["parameters"]] == [
        one.name for one in space.parameters if one.name != "method"
    ]
    (first,) = spec.reference_trials  # type: ignore[misc]
    assert first == {"method": "lora", **asked["first"]}
    space.validate(first)  # a trial outside would be lost on Optuna
    assert json.loads(json.dumps(asked)) == asked


@pytest.mark.slow
def test_modules_are_those_of_the_groups_of_the_space(tmp_path: Path) -> None:
    asked = asked_of_peer(write_rows(SIZE, tmp_path), tmp_path, SPACES["all layers"], SIZE, 0)
    assert asked["modules"]["qv"] == ["q_proj", "v_proj"]
    assert set(asked["modules"]["all"]) == {*asked["modules"]["attention"], *asked["modules"]["mlp"]}
    assert asked["layers"] == 30


def test_a_front_is_worth_more_the_lower_its_losses_and_the_smaller_its_adapters() -> None:
    yardstick = Yardstick.of(4.0, space_of(SPACES["upper layers"]))
    low, high = (10**one for one in yardstick.log_range)
    assert (round(low), round(high)) == (3840, 1_953_792)
    rows = [
        {"loss": loss, "trainable_params": size} for loss, size in ((4.0, low), (2.0, high), (2.0, low), (1.0, low))
    ]
    assert yardstick.worth(rows) == pytest.approx([0.0, 0.0, 0.5, 0.75])


def _trial(moment: float, loss: float, **more: Any) -> dict[str, Any]:
    row = {"seconds": 10 * moment, "processor_seconds": moment, "loss": loss, "trainable_params": 4000}
    return row | {"state": "completed"} | more


def test_searches_are_compared_by_the_clock_that_is_asked_for() -> None:
    theirs = [_trial(50, 3.5), _trial(100, 3.0)]
    ours = [_trial(4, 3.5), _trial(8, 2.0, state="stopped"), _trial(10, 2.5)]
    worth = Yardstick.of(4.0, space_of(SPACES["upper layers"])).worth
    found = compared(theirs, ours, 10, worth, "processor_seconds")
    assert (found["peer_s"], found["our_reached_s"], found["our_reached_after"]) == (100, 10, 3)
    assert found["speedup"] == 10
    assert found["peer_reached_ours_s"] is None  # it never came to what ours did
    worse = compared(theirs, ours[:1], 4, worth, "processor_seconds")
    assert (worse["speedup"], worse["peer_reached_ours_s"]) == (None, 50)
    assert compared(theirs, ours, 100, worth)["our_reached_s"] == 100


def test_processor_time_is_that_of_the_processes_below_those_that_have_ended_included() -> None:
    burn = "import sys, time\nwhile time.process_time() < 1: pass\nprint('burnt', flush=True)\nsys.stdin.read()"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}])"
    with subprocess.Popen([sys.executable, "-c", burn], stdin=PIPE, stdout=PIPE) as before:
        assert before.stdout is not None
        assert before.stdout.readline() == b"burnt\n"  # which is none of what comes
        with ProcessorTime() as processor:
            with subprocess.Popen([sys.executable, "-c", child], stdin=PIPE, stdout=PIPE) as started:
                assert started.stdout is not None
                assert started.stdout.readline() == b"burnt\n"
                looks = len(processor._looks)
                # One of two more begins after the second has been spent.
                wait_until(lambda: len(processor._looks) >= looks + 2, "two more looks", every=0.01)
                started.communicate()
            ended = time.time()
        before.communicate()
    assert processor.until(0) == 0
    assert processor.until(ended) >= 1


def test_our_front_is_what_the_script_measures_of_our_adapters() -> None:
    ours = [_trial(1, 3.0, trial="a"), _trial(2, 3.5, trial="b", state="stopped")]
    first, second = by_script(ours, [{"trial": "a", "loss": 3.25, "trainable_params": 4001}])
    assert (first["loss"], first["trainable_params"]) == (3.25, 4001)
    assert first["reported"] == {"loss": 3.0, "trainable_params": 4000}
    assert second == ours[1]


def test_a_run_takes_the_place_of_an_earlier_one_of_its_seed_and_the_figure_is_over_all() -> None:
    def run(seed: int, speedup: float | None) -> dict[str, Any]:
        return {"seed": seed, "processor_seconds": {"speedup": speedup}, "wall_seconds": {"speedup": 2.0}}

    known: dict[str, Any] = {"why": {"all layers": "products"}}
    for one in (run(1, 8.0), run(0, 3.0), run(0, 2.0)):
        known |= recorded(known, "all layers", one)
    assert [one["seed"] for one in known["searches"]["all layers"]] == [0, 1]
    assert known["times_faster"] == {"all layers": pytest.approx(4)}
    assert known["missed"]["all layers"]["why"] == "products"
    never = recorded(known, "all layers", run(1, None))
    assert never["times_faster"] == {"all layers": None}
    assert never["missed"]["all layers"]["measured"] == 0  # the target was never reached, which is no lack of a figure


def _described(section: dict[str, Any]) -> Any:
    return model_of(JobSpec.model_validate(job_spec(section, SPACES["all layers"], SIZE, 0)))
