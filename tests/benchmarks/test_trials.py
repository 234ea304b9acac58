"""The recorder of real trials: a stable plan, a recording that survives kill -9, a table that reads back."""

from __future__ import annotations

import math
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.trials import plan as planning
from benchmarks.trials.__main__ import record
from benchmarks.trials.plan import DATA_SETS, STRATA, Entry, method_configurations, plan
from benchmarks.trials.precision import compare
from benchmarks.trials.recording import read_lines, recording
from benchmarks.trials.regularisation import told
from benchmarks.trials.table import RecordedTrial, keys, trials, write_table
from search_spaces.space import config_hash
from tests.benchmarks.made_up_data import ROWS, write_data
from tests.patience import wait_until
from workers.methods.registry import methods
from workers.methods.space import methods_space
from workers.models.description import describe

HEAD = {"method": "head", "learning_rate": 0.01, "batch_size": 32}


def test_every_configuration_is_on_every_data_set_and_a_tenth_has_a_second_seed() -> None:
    entries = list(plan())
    assert len({entry.key for entry in entries}) == len(entries)
    first = [entry for entry in entries if entry.seed == 0 and entry.precision == "bf16"]
    by_config: dict[str, set[str]] = {}
    for entry in first:
        by_config.setdefault(config_hash(entry.config), set()).add(entry.data_set)
    assert len(by_config) >= 500
    assert all(found == set(DATA_SETS) for found in by_config.values())
    second = {config_hash(entry.config) for entry in entries if entry.seed == 1}
    assert len(second) >= len(by_config) / 10
    assert sum(entry.precision == "fp32" for entry in entries) >= 20


def test_a_table_stopped_early_is_balanced() -> None:
    early = list(plan())[:300]
    counts = [sum(entry.data_set == name for entry in early) for name in DATA_SETS]
    assert max(counts) - min(counts) <= 1
    assert sum(entry.part == "lora" for entry in early) >= 60
    assert len({entry.config["method"] for entry in early}) >= 40


@pytest.mark.parametrize("name", ["lora", "head", "autopeft", "boft"])
def test_rates_of_a_method_cover_its_range_from_the_upper_half_on(name: str) -> None:
    one = methods()[name]
    rates, space = one.learning_rates, one.space(describe(planning.MODEL))
    found = method_configurations(one)
    for config in found:
        space.validate(config)
    span = math.log(rates.high / rates.low)
    strata = [int(STRATA * math.log(config["learning_rate"] / rates.low) / span) for config in found]
    assert sorted(strata[:STRATA]) == list(range(STRATA))
    assert strata[0] >= STRATA // 2
    assert {name: found[0][name] for name in one.complete(describe(planning.MODEL), {})}.items() <= found[-1].items()


def test_a_new_method_changes_no_recorded_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {entry.key for entry in plan()}
    fewer = dict(list(methods().items())[3:])
    monkeypatch.setattr(planning, "methods", lambda: fewer)
    after = {entry.key for entry in plan()}
    assert after < before


def test_keys_outlive_releases() -> None:
    """Recorded trials are found again by this key: a change of it would orphan them."""
    assert Entry("methods", "trec", HEAD).key == "dc1ddffcdd9552e3"
    assert Entry("methods", "trec", HEAD, seed=1).key != Entry("methods", "trec", HEAD).key
    assert Entry("methods", "trec", HEAD, split="test").key != Entry("methods", "trec", HEAD).key


WRITER = """
import sys
from pathlib import Path
from benchmarks.trials.precision import compare
from benchmarks.trials.regularisation import told
from benchmarks.trials.recording import recording
with recording(Path(sys.argv[1])) as file:
    print("open", flush=True)
    number = len(file.keys)
    while True:
        file.append({"key": str(number), "filler": "x" * 20_000})
        number += 1
"""


def wait_for_lines(path: Path, count: int) -> None:
    wait_until(lambda: len(read_lines(path)) >= count, f"{count} lines are written", every=0.01)


@pytest.mark.slow
def test_a_killed_recording_goes_on_where_it_stopped(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "trials.jsonl"
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(BlockingIOError), recording(path):
            pass  # one process at a time
        wait_for_lines(path, len(read_lines(path)) + 3)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    with path.open("ab") as file:
        file.write(b'{"key": "torn')
    with recording(path) as again:
        again.append({"key": "last"})
    found = [line["key"] for line in read_lines(path)]
    assert found == [*map(str, range(len(found) - 1)), "last"]


def test_recorded_trials_are_read_back_and_not_trained_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "ROWS", ROWS)
    data, folder, table = tmp_path / "data", tmp_path / "recording", tmp_path / "table.parquet"
    write_data(data)
    impossible = {"method": "lora", "rank": 9999}
    entries = [
        Entry("methods", "trec", HEAD),
        Entry("methods", "trec", impossible),
        Entry("methods", "trec", HEAD, split="test"),
        Entry("methods", "sst2", HEAD, seed=1),
    ]
    assert record(entries[:3], 3, folder, data, 5, table) == 0
    assert record(entries, 4, folder, data, 0, table) == 1
    assert "[3/3, 0 min left]" in capsys.readouterr().err
    assert write_table(read_lines(folder / "trials.jsonl"), table)["failed"] == 1
    assert keys(table) == {entry.key for entry in entries[:3]}

    (good,) = [trial for trial in trials(data_set="trec", table=table) if trial.status == "completed"]
    assert (good.config, good.seed, good.method) == (HEAD, 0, "head")
    assert [point["epoch"] for point in good.curve] == [1, 2, 3, 4]
    assert good.curve[-1]["accuracy"] == pytest.approx(good.metrics["accuracy"])
    assert {"trainable_params", "adapter_bytes", "peak_memory_mb", "latency_ms"} <= set(good.metrics)
    (failed,) = [trial for trial in trials(table=table) if trial.status == "failed"]
    assert failed.reason is not None
    assert "rank" in failed.reason
    (tested,) = trials(split="test", table=table)
    assert len(tested.curve) == 1

    (folder / "trials.jsonl").unlink()  # the table alone is enough to know what is done
    assert record(entries, 4, folder, data, 0, table) == 1


def test_configurations_replay_in_the_methods_space() -> None:
    space = methods_space(describe(planning.MODEL))
    for one in list(methods().values())[::9]:
        for config in method_configurations(one):
            space.validate(_recorded(config).tree_config)


def _recorded(config: dict[str, Any]) -> RecordedTrial:
    return RecordedTrial("", "methods", "trec", "validation", config, 0, "bf16", "completed", None, {}, {}, 0, 0, [])


def test_missing_data_is_named(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=f"no data set 'trec' in {tmp_path}"):
        record([], 0, tmp_path, tmp_path, 1, tmp_path / "table.parquet")


def test_number_formats_are_compared_pair_by_pair_beside_another_seed() -> None:
    def made(accuracy: float, **changes: Any) -> RecordedTrial:
        return replace(_recorded(HEAD), metrics={"accuracy": accuracy, "loss": 1.0}, processor_seconds=2.0, **changes)

    bf16 = [made(0.5), made(0.7, data_set="sst2"), made(0.6, seed=1), made(0.9, seed=1, data_set="sst2")]
    fp32 = [made(0.4, precision="fp32"), made(0.8, precision="fp32", data_set="sst2"), made(0.1, data_set="ag_news")]
    found = compare(bf16, fp32)
    assert (found["pairs"], found["another_seed"]["pairs"]) == (2, 2)
    assert found["accuracy"]["mean"] == 0
    assert found["accuracy"]["distance"] == pytest.approx(0.1)
    assert found["another_seed"]["accuracy"]["mean"] == pytest.approx(-0.15)
    assert compare([], [])["accuracy"] is None


def test_what_a_group_of_parameters_could_gain_is_told_from_what_trials_had() -> None:
    random = np.random.default_rng(0)
    (like, *_) = trials(part="lora", data_set="trec")
    made = []
    for _ in range(60):
        rate, dropout, decay = 10 ** random.uniform(-4, -1), random.uniform(0, 0.3), random.uniform(0, 0.1)
        config = {**like.config, "learning_rate": rate, "dropout": dropout, "weight_decay": decay}
        loss = math.exp((math.log10(rate) + 2) ** 2 + 0.1 * dropout)  # the rate matters, decay not at all
        made.append(replace(like, config=config, metrics={"loss": loss}))
    found = told(made, trees=20)
    assert found["trials"] == 60
    assert found["gain"]["learning_rate"] > 4 * found["gain"]["regularisation"] > 0  # few trees are noisy
    assert found["explained"]["without learning_rate"] < 0.3 < found["explained"]["without regularisation"]
