"""`python -m benchmarks.engine.page`: write the figures and the tables of docs/engines.md from the recorded run.

The page keeps its prose; what stands between `<!-- NAME -->` and `<!-- end NAME -->` comes from the record, so the page
says nothing that was not measured (a test compares them).
"""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.engine.figures import figures

ROOT = Path(__file__).resolve().parents[2]
RECORD = ROOT / "benchmarks" / "results" / "engine.json"
PAGE = ROOT / "docs" / "engines.md"
IMAGES = ROOT / "docs" / "images"


def main() -> None:
    """Rewrite figures and page."""
    record = json.loads(RECORD.read_text())
    for name, svg in figures(record).items():
        (IMAGES / name).write_text(svg)
    PAGE.write_text(filled(PAGE.read_text(), record))


def filled(page: str, record: dict[str, Any]) -> str:
    """The page with its tables from the record."""
    for name, table in {"promises": promises(record), "trials": trials(record), "search": search(record)}.items():
        around = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)
        page = around.sub(partial(_between, table), page)
    return page


def _between(table: str, around: re.Match[str]) -> str:
    return around[1] + table + around[2]


def promises(record: dict[str, Any]) -> str:
    """Every promise with what was measured beside its aim."""
    summary = record["summary"]

    def plain(value: float | None) -> str:
        return "not measured" if value is None else f"{value:g}"

    def ratio(name: str) -> str:
        value = summary[name]["measured"]
        return "not reached" if value is None else f"{value:g}x"

    packs = ", ".join(f"{size}: {value:g}x" for size, value in summary["pack_speedup"]["measured"].items())
    return _table(
        ("promise", "measured", "aim"),
        [
            (
                f"geometric mean of {summary['configurations']} configurations",
                f"{ratio('geomean_speedup')} (float32 {summary['geomean_speedup_fp32']:g}x)",
                "3x",
            ),
            (
                "upper third of the layers",
                f"{ratio('upper_layers_speedup')} (float32 {summary['upper_layers_speedup_fp32']:g}x)",
                "6x",
            ),
            ("whole search of 30 trials", ratio("search_speedup"), "10x"),
            ("pack, by members", packs, "15x at 32, on a GPU"),
            (
                f"memory after {plain(summary['trials_in_a_row'])} trials",
                plain(summary["memory_growth"]["measured"]),
                "1.02",
            ),
            ("time of a trial, last fifth over second", plain(summary["time_growth"]), "1.02"),
        ],
    )


def trials(record: dict[str, Any]) -> str:
    """Each configuration's processor time on Trainer and our speed-up."""
    part = record["parts"]["trials"]
    rows, sizes = part["results"], part["rows"]
    said = f"{sizes[0]} training and {sizes[1]} validation rows; {_load(part)}\n\n"
    return said + _table(
        ("configuration", "Trainer, s", "float32", "bfloat16"),
        [
            (
                row["label"],
                f"{row['trainer']['processor_s']:.1f}",
                *(f"{row[name]['speedup']:.1f}x" for name in ("fp32", "bf16")),
            )
            for row in rows
        ],
    )


def search(record: dict[str, Any]) -> str:
    """Wall clock and hypervolume of both searches."""
    part = record["parts"]["search"]
    said = (
        f"{part['train_rows']} training and {part['validation_rows']} validation rows, "
        f"{part['epochs']} epochs a trial.\n\n"
    )
    return said + _table(
        (
            "seed",
            "script, 30 trials",
            "its hypervolume",
            "ours reaches it",
            "ours, 30 trials",
            "our hypervolume",
            "ratio",
            "load",
        ),
        [
            (
                str(run["seed"]),
                f"{run['peer_s']:.0f} s",
                f"{run['target_hypervolume']:.3f}",
                "never"
                if run["our_reached_s"] is None
                else f"after {run['our_reached_s']:.0f} s, {run['our_reached_after']:g} trials",
                f"{run['our_s']:.0f} s",
                f"{run['our_hypervolume']:.3f}",
                "–" if run["speedup"] is None else f"{run['speedup']:.1f}x",
                f"{run['load_average']['peer']:.1f} and {run['load_average']['ours']:.1f}",
            )
            for run in record["summary"]["search"]
        ],
    )


def _load(part: dict[str, Any]) -> str:
    return f"load average of the two cores at the start: {part['load_average'][0]:.1f}."


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join("| " + " | ".join(cells) + " |\n" for cells in lines)


if __name__ == "__main__":
    main()
