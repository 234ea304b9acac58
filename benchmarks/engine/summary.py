"""Every promise beside its aim, from the parts of a record."""

from __future__ import annotations

import statistics
from typing import Any

import torch

from benchmarks.whole_searches import mean_speedup
from workers.engines.precision import bf16_speedup, choose

AIMS = {
    "geomean_speedup": 3.0,
    "upper_layers_speedup": 6.0,
    "search_speedup": 10.0,
    "pack_speedup": {"2": None, "4": None, "8": None, "16": None, "32": 15.0},
    "memory_growth": 1.02,
}
PACK_NOTE = "on one thread of a CPU, which one trial fills already; the aim of 15 is for a GPU"


def machine() -> dict[str, Any]:
    """What the number format was chosen by."""
    return {
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "bf16_speedup": round(bf16_speedup(), 2),
        "default_precision": choose("auto"),
    }


def summarise(parts: dict[str, Any], default: str) -> dict[str, Any]:
    """The summary; `default` is the number format that `auto` chooses here. What was not measured is None."""
    trials = _trials(parts.get("trials", {}).get("results") or [], default)
    runs = parts.get("search", {}).get("results") or []
    memory = parts.get("memory", {}).get("results") or {}
    search = mean_speedup(runs)
    measured = {
        "geomean_speedup": trials.get("geomean_speedup"),
        "upper_layers_speedup": trials.get("upper_layers_speedup"),
        "search_speedup": None if search is None else round(search, 2),
        "pack_speedup": parts.get("packs", {}).get("results") or {},
        "memory_growth": round(memory["memory_growth"], 4) if memory else None,
    }
    summary: dict[str, Any] = {name: {"measured": value, "aim": AIMS[name]} for name, value in measured.items()}
    summary["pack_speedup"]["note"] = PACK_NOTE
    return summary | {
        "default_precision": default,
        **{name: value for name, value in trials.items() if name not in measured},
        "search": [_search(run) for run in runs if "curves" in run],
        "time_growth": round(memory["time_growth"], 4) if memory else None,
        "trials_in_a_row": memory.get("trials"),
    }


def _trials(rows: list[dict[str, Any]], default: str) -> dict[str, Any]:
    compared = [row for row in rows if row["label"] != "head only"]
    groups = {
        "geomean_speedup": compared,
        "upper_layers_speedup": [row for row in compared if row["upper"]],
        "other_layers_speedup": [row for row in compared if not row["upper"]],
        "head_only_speedup": [row for row in rows if row["label"] == "head only"],
    }
    found = {name: chosen for name, chosen in groups.items() if chosen}
    return {
        **{name: _mean(chosen, default) for name, chosen in found.items()},
        **{f"{name}_fp32": _mean(chosen, "fp32") for name, chosen in found.items()},
        "configurations": len(compared),
    }


def _mean(rows: list[dict[str, Any]], precision: str) -> float:
    return round(statistics.geometric_mean(row[precision]["speedup"] for row in rows), 2)


def _search(run: dict[str, Any]) -> dict[str, Any]:
    names = ("seed", "peer_s", "our_s", "our_reached_s", "our_reached_after", "target_hypervolume", "our_hypervolume")
    ratios = ("speedup", "speedup_from_reached", "speedup_of_all_trials")
    rounded = {name: None if run[name] is None else round(run[name], 4) for name in (*names, *ratios)}
    ended = [trial["state"] for trial in run["ours"]["trials"]]
    return rounded | {
        "load_average": run["load_average"],
        "our_completed": ended.count("completed"),
        "our_stopped": ended.count("stopped"),
    }
