"""From recorded trials to the page: the choice of a configuration, the figures, the picture."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.methods import __main__ as command
from benchmarks.methods.picture import picture
from benchmarks.methods.results import added_latency, front, interval, results
from benchmarks.methods.tuning import DATA_SETS, FRESH_SEEDS, TRIALS, TRIED, tuned, tuning_entries
from benchmarks.trials import plan as planning
from benchmarks.trials.__main__ import RECORDING
from benchmarks.trials.plan import Entry
from benchmarks.trials.recording import read_lines
from benchmarks.trials.table import RecordedTrial, trials_of, write_table
from tests.benchmarks.made_up_data import ROWS, write_data
from workers.methods.measured import measured_section
from workers.methods.registry import methods


def trial(entry: Entry, accuracy: float, loss: float = 1.0, status: str = "completed") -> RecordedTrial:
    costs = {"trainable_params": 100.0, "adapter_bytes": 500.0, "peak_memory_mb": 2.0, "latency_batch_ms": 12.0}
    metrics = {"accuracy": accuracy, "loss": loss, **costs} if status == "completed" else {}
    curve = [{"epoch": 3.0, "processor_seconds": 1.5}]
    return RecordedTrial(
        entry.key, "methods", entry.data_set, entry.split, entry.config, entry.seed, "bf16", status, None, metrics,
        {}, 2.0, 2.0, curve,
    )  # fmt: skip


def tuning(name: str, accuracies: dict[tuple[int, str], float], **loss: float) -> dict[str, RecordedTrial]:
    found = {}
    for index, entry in enumerate(tuning_entries(methods()[name])):
        accuracy = accuracies.get((index // len(DATA_SETS), entry.data_set), 0.5)
        found[entry.key] = trial(entry, accuracy, loss.get(f"of_{index // len(DATA_SETS)}", 1.0))
    return found


def test_the_best_mean_over_data_sets_is_confirmed_and_loss_decides_ties() -> None:
    name, first = "lora", DATA_SETS[0]
    best = tuned(methods()[name], tuning(name, {(1, first): 0.9}))
    assert best is not None
    assert best.config == tuning_entries(methods()[name])[len(DATA_SETS)].config
    assert best.tried == TRIED
    tie = tuned(methods()[name], tuning(name, {}, of_2=0.5))
    assert tie is not None
    assert tie.config == tuning_entries(methods()[name])[2 * len(DATA_SETS)].config
    confirmations = tie.confirmations()
    assert {entry.split for entry in confirmations} == {"test"}
    assert len({entry.key for entry in confirmations}) == len(DATA_SETS) * len(FRESH_SEEDS)


def test_a_failed_configuration_is_not_chosen_and_an_unfinished_method_not_at_all() -> None:
    one = methods()["lora"]
    recorded = tuning("lora", {(0, DATA_SETS[0]): 0.9})
    entry = tuning_entries(one)[0]
    recorded[entry.key] = trial(entry, 0.9, status="failed")
    best = tuned(one, recorded)
    assert best is not None
    assert best.config != entry.config
    del recorded[entry.key]
    assert tuned(one, recorded) is None


def test_results_hold_means_intervals_and_what_is_missing() -> None:
    chosen = [methods()[name] for name in ("lora", "adapter_pfeiffer", "head")]
    recorded = tuning("lora", {}) | tuning("adapter_pfeiffer", {}) | tuning("head", {})
    for one in chosen[:2]:
        best = tuned(one, recorded)
        assert best is not None
        for entry in best.confirmations():
            value = 0.6 + 0.1 * FRESH_SEEDS.index(entry.seed)
            recorded[entry.key] = trial(entry, value + (0.1 if one.name == "lora" else 0.0))
    found = results(chosen, recorded.values())
    assert list(found["methods"]) == ["lora", "adapter_pfeiffer"]
    assert found["missing"] == ["head"]
    assert found["methods"]["lora"]["accuracy"] == {"mean": 0.8, "half_width": pytest.approx(0.2484, abs=1e-4)}
    assert (found["methods"]["lora"]["added_latency"], found["methods"]["lora"]["mergeable"]) == (0.0, True)
    assert found["methods"]["adapter_pfeiffer"]["added_latency"] == 0.0  # as long as the base in these figures
    section = measured_section(found)
    assert "| `lora` | 0.800 ± 0.248 |" in section
    assert "`head`" in section.partition("Not measured yet")[2]


def test_a_latency_measured_beside_the_base_is_not_compared_with_another_machine() -> None:
    one = trial(tuning_entries(methods()["mam"])[0], 0.5)
    assert added_latency(one, 10.0) == 0.2
    beside = replace(one, environment={"latency_batch_ms_over_base": "1.050 (1.027 to 1.062)"})
    assert added_latency(beside, 10.0) == 0.05


def test_a_page_without_confirmed_results_says_so() -> None:
    nothing = measured_section(None)
    assert "No method has a confirmed result yet" in nothing
    assert measured_section(results([methods()["head"]], [])) == nothing


def test_interval_is_students() -> None:
    assert interval([1.0, 2.0, 3.0]) == {"mean": 2.0, "half_width": pytest.approx(4.3027 / 3**0.5, abs=1e-3)}


def test_front_and_picture() -> None:
    def row(parameters: int, accuracy: float) -> dict[str, object]:
        return {"trainable_params": parameters, "accuracy": {"mean": accuracy, "half_width": 0.01}}

    rows = {"big": row(10_000, 0.8), "beaten": row(20_000, 0.7), "small": row(100, 0.6), "none": row(0, 0.5)}
    assert front(rows) == ["none", "small", "big"]
    root = ET.fromstring(picture(rows))
    space = "{http://www.w3.org/2000/svg}"
    titles = [title.text or "" for title in root.iter(f"{space}title")]
    assert len(titles) == 4
    labels = [text.text for text in root.iter(f"{space}text") if text.get("class") == "name"]
    assert sorted(map(str, labels)) == ["big", "none", "small"]
    assert picture({}) == ""


def test_every_method_is_tuned_and_confirmed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(planning, "ROWS", ROWS)
    monkeypatch.setattr(planning, "EPOCHS", 1)
    monkeypatch.setattr(command, "methods", lambda: {"head": methods()["head"]})
    write_data(tmp_path / "data")
    table = tmp_path / "table.parquet"
    command.measure(tmp_path, tmp_path / "data", table, 5)
    lines = read_lines(tmp_path / RECORDING)
    assert len(lines) == TRIALS
    assert f"[{TRIALS}/{TRIALS}, 0 min left]" in capsys.readouterr().err
    write_table(lines, table)
    (tmp_path / RECORDING).unlink()
    command.measure(tmp_path, tmp_path / "data", table, 0)
    assert "missing" not in capsys.readouterr().err
    found = results([methods()["head"]], trials_of(lines))
    assert list(found["methods"]) == ["head"]
    assert found["methods"]["head"]["accuracy"]["mean"] > 0.5
