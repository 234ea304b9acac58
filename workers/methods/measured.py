"""The measured part of docs/methods.md, from what `python -m benchmarks.methods` recorded. Imports no torch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from workers.methods.registry import methods

MEASURED = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "methods.json"

_INTRODUCTION = """## Measured

`make bench-methods` on `{model}`: {rows[train]} training rows of {sets} (class-balanced), {max_length} tokens,
{epochs} epochs. Every method had the same budget: {tried} configurations, the first with its default knobs, the others
drawn from its own space, each with a learning rate in another fourth of its own range (so short a training needs the
upper ones). The one with the best accuracy on {rows[validation]} validation rows, averaged over the data sets, was
trained again with {seeds} fresh seeds and measured once on {rows[test]} test rows. Everything runs through the
product's own trials; the raw trials, with learning curves, are in `benchmarks/tables/`.

![accuracy over trained parameters](images/methods-pareto.svg)

- **accuracy** is the mean over data sets and seeds with its {level:.0%} interval (Student, {seeds} seeds): how far
  training noise moves the mean, not how another sample of rows would. Within the intervals, differences mean nothing.
- **parameters, bytes, memory** belong to the confirmed configuration; memory is the account described above.
- **training** is processor time of one thread for a whole confirmation: attaching, all steps, one evaluation. The
  machine was shared: expect tens of percent of noise.
- **latency** is how much longer than the plain base's a forward pass of 32 rows takes, in processor time (noise: some
  percent); methods that merge add nothing.

What this is not: a ranking for your task. One small model, few rows and about forty steps (batches of 16) favour
methods that move fast at high rates, and {tried} configurations tune a method with many knobs less well than one with
few. `space: {{preset: methods}}` asks the question on your data.
"""
_COLUMNS = ("method", "accuracy", "{sets}", "parameters", "bytes", "memory, MiB", "training, s", "latency", "merges")


def read_measured(path: Path = MEASURED) -> dict[str, Any] | None:
    """The committed results; None when there are none."""
    return json.loads(path.read_text()) if path.is_file() else None


_NOTHING = """## Measured

No method has a confirmed result yet: `make bench-methods` tunes every method at equal budget, confirms the best
configuration with fresh seeds on test rows, and writes the figures here. The trials recorded so far are in
`benchmarks/tables/`; they are validation figures of single configurations and no comparison of methods.
"""


def measured_section(measured: Mapping[str, Any] | None) -> str:
    """Markdown of the results, best accuracy first; says so when there are none."""
    known = {} if measured is None else measured["methods"]
    rows = {name: row for name, row in known.items() if name in methods()}
    if measured is None or not rows:
        return _NOTHING
    protocol = measured["protocol"]
    names = protocol["data_sets"]
    columns = [column for one in _COLUMNS for column in (names if one == "{sets}" else [one])]
    introduction = _INTRODUCTION.format(
        **{name: protocol[name] for name in ("model", "rows", "max_length", "epochs", "level")},
        sets=" and ".join(names),
        seeds=len(protocol["seeds"]),
        tried=max(row["tried"] for row in rows.values()),
    )
    table = ["| " + " | ".join([*columns, "source"]) + " |", "|" + "---|" * (len(columns) + 1)]
    table += ["| " + " | ".join(_cells(name, row, names)) + " |" for name, row in rows.items()]
    return "\n".join([introduction, *table, *_without(rows)])


def _cells(name: str, row: Mapping[str, Any], data_sets: list[str]) -> Iterator[str]:
    yield f"`{name}`"
    yield _interval(row["accuracy"])
    yield from (_interval(row["by_data_set"][data_set]) for data_set in data_sets)
    yield from (f"{row['trainable_params']:,}", f"{row['adapter_bytes']:,}", f"{row['peak_memory_mb']:.1f}")
    yield from (f"{row['processor_seconds']:.1f}", "0" if row["mergeable"] else f"{row['added_latency']:+.0%}")
    yield "yes" if row["mergeable"] else "no"
    yield methods()[name].source.replace("|", "\\|")


def _interval(value: Mapping[str, float]) -> str:
    return f"{value['mean']:.3f} ± {value['half_width']:.3f}"


def _without(rows: Mapping[str, Any]) -> list[str]:
    """Lines about methods of other types of task, and about those that came later or whose trials failed."""
    left = {name: one for name, one in methods().items() if name not in rows}
    elsewhere = [f"`{name}`" for name, one in left.items() if one.tasks]
    missing = [f"`{name}`" for name, one in left.items() if not one.tasks]
    lines = [""]
    if elsewhere:
        lines += [f"Made for other types of task ([which these are](tasks.md)): {', '.join(elsewhere)}.", ""]
    if missing:
        lines += [f"Not measured yet: {', '.join(missing)}.", ""]
    return lines
