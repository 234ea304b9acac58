"""The table of real PEFT trials as other benchmarks read it: `benchmarks/tables/peft_trials.parquet`.

    from benchmarks.trials.table import trials
    for trial in trials(part="lora", data_set="trec"): ...

One row is one finished trial; benchmarks/tables/README.md describes every column. `config` holds plain names
(`method`, the method's knobs, `learning_rate`, `batch_size`, …); `tree_config` gives the names of the `methods` space.
`metrics` maps the names of `workers.tasks.metrics` to the values at the end of training; `curve` holds one mapping for
each epoch: `epoch`, `step`, the quality metrics, `train_loss`, and the seconds so far. Imports no torch.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from search_spaces.presets.training import training_parameters
from search_spaces.space import config_hash

TABLE = Path(__file__).resolve().parents[1] / "tables" / "peft_trials.parquet"

_SHARED = {"method", *(parameter.name for parameter in training_parameters())}
QUALITY = ("accuracy", "f1_macro", "mcc", "loss", "train_loss")
COSTS = (
    "trainable_params",
    "head_params",
    "adapter_bytes",
    "peak_memory_mb",
    "train_tflops",
    "train_seconds",
    "latency_ms",
    "latency_batch_ms",
)
_TEXTS = ("key", "part", "data_set", "split", "method", "config", "config_hash", "precision", "status", "reason")
_SECONDS = ("wall_seconds", "processor_seconds")
_POINT = pa.struct(
    [("epoch", pa.float32()), ("step", pa.int32())]
    + [(name, pa.float32()) for name in (*QUALITY, "train_seconds", "processor_seconds")]
)
SCHEMA = pa.schema(
    [(name, pa.string()) for name in _TEXTS]
    + [("seed", pa.int32()), ("engine", pa.string()), ("engine_reason", pa.string())]
    + [(name, pa.float64()) for name in (*QUALITY, *COSTS, *_SECONDS)]
    + [("environment", pa.string()), ("recorded_at", pa.string()), ("curve", pa.list_(_POINT))]
)


@dataclass(frozen=True)
class RecordedTrial:
    """One finished trial. `metrics` is empty and `reason` set when it failed."""

    key: str
    part: str
    data_set: str
    split: str
    config: dict[str, Any]
    seed: int
    precision: str
    status: str
    reason: str | None
    metrics: dict[str, float]
    environment: dict[str, str]
    wall_seconds: float
    processor_seconds: float
    curve: list[dict[str, float]]

    @property
    def method(self) -> str:
        """The PEFT method."""
        return str(self.config["method"])

    @property
    def tree_config(self) -> dict[str, Any]:
        """The configuration with the names of the `methods` space: a method's own knobs as `<method>.<knob>`."""
        return {name if name in _SHARED else f"{self.method}.{name}": value for name, value in self.config.items()}


def trials(
    part: str | None = None,
    data_set: str | None = None,
    split: str = "validation",
    precision: str = "bf16",
    table: Path = TABLE,
) -> list[RecordedTrial]:
    """Trials of the table, seeds of one configuration as separate trials, in the order of recording.

    Without `part` those of both; configurations of method `lora` may be in either.
    """
    wanted = {"part": part, "data_set": data_set, "split": split, "precision": precision}
    filters = [(name, "==", value) for name, value in wanted.items() if value is not None]
    return [_trial(row) for row in pq.read_table(table, filters=filters).to_pylist()]


def trials_of(lines: Iterable[dict[str, Any]]) -> list[RecordedTrial]:
    """Trials of a recording that is not in the table yet."""
    return [_trial(dict.fromkeys(SCHEMA.names) | _row(line)) for line in lines]


def keys(table: Path = TABLE) -> set[str]:
    """Keys of every trial in the table; none when there is no table yet."""
    return set(pq.read_table(table, columns=["key"])["key"].to_pylist()) if table.is_file() else set()


def write_table(lines: Iterable[dict[str, Any]], table: Path = TABLE) -> dict[str, int]:
    """Add lines of a recording to the table, which appears whole or not at all; what it then holds, in numbers."""
    rows = pq.read_table(table).to_pylist() if table.is_file() else []
    there = {row["key"] for row in rows}
    rows += [_row(line) for line in lines if line["key"] not in there]
    partial = table.with_suffix(".partial")
    table.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), partial, compression="zstd")
    os.replace(partial, table)
    return {
        "trials": len(rows),
        "configurations": len({row["config_hash"] for row in rows}),
        "methods": len({row["method"] for row in rows}),
        "failed": sum(row["status"] != "completed" for row in rows),
        "bytes": table.stat().st_size,
    }


def _row(line: dict[str, Any]) -> dict[str, Any]:
    derived: dict[str, Any] = {
        "method": line["config"]["method"],
        "config": json.dumps(line["config"]),
        "config_hash": config_hash(line["config"]),
        "environment": json.dumps(line["environment"]),
    }
    return {**line, **line["metrics"], **derived}


def _trial(row: dict[str, Any]) -> RecordedTrial:
    metrics = {name: row[name] for name in (*QUALITY, *COSTS) if row[name] is not None}
    plain = ("key", "part", "data_set", "split", "seed", "precision", "status", "reason", *_SECONDS, "curve")
    told = {name: json.loads(row[name]) for name in ("config", "environment")}
    return RecordedTrial(metrics=metrics, **told, **{name: row[name] for name in plain})
