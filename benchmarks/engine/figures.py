"""Figures of docs/engines.md, drawn from a record alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.engine.drawing import AIM, COLOURS, FAINT, INK, Point, bar, line, picture, text
from benchmarks.engine.summary import AIMS

WIDTH = 720.0


def figures(record: dict[str, Any]) -> dict[str, str]:
    """SVG by file name, for the parts that the record has."""
    parts, drawn = record["parts"], {}
    if rows := parts.get("trials", {}).get("results"):
        drawn["engine-speedup.svg"] = speedups(rows, record["summary"]["default_precision"])
    if runs := [run for run in parts.get("search", {}).get("results") or [] if "curves" in run]:
        drawn["engine-search.svg"] = search(runs[0])
    if memory := parts.get("memory", {}).get("results"):
        drawn["engine-endurance.svg"] = endurance(memory)
    return drawn


def speedups(rows: Sequence[dict[str, Any]], precision: str) -> str:
    """Bars of each configuration's speed-up over Trainer with peft on a log scale, in float32 and as chosen here."""
    left, top, step = 190.0, 40.0, 30.0
    highest = max(row[name]["speedup"] for row in rows for name in ("fp32", precision))
    scale = (WIDTH - left - 70) / math.log(highest * 1.05)

    def x(value: float) -> float:
        return left + scale * math.log(max(value, 1.0))

    bottom = top + step * len(rows)
    shapes = []
    for value in (1, 2, 3, 6, 10, 20, 30):
        if value <= highest:
            shapes += [
                line([(x(value), top - 6), (x(value), bottom)], FAINT),
                text((x(value), 28), f"{value}x", "middle"),
            ]
    for name, aim in (("all", AIMS["geomean_speedup"]), ("upper third", AIMS["upper_layers_speedup"])):
        assert isinstance(aim, float)
        shapes += [line([(x(aim), top - 6), (x(aim), bottom)], AIM, dashed=True)]
        shapes += [text((x(aim), bottom + 16), f"aim, {name}", "middle", AIM)]
    for number, row in enumerate(rows):
        y = top + step * number
        shapes.append(text((left - 8, y + 17), row["label"], "end"))
        for offset, name, colour in ((3, precision, COLOURS[0]), (14, "fp32", "#80b3ff")):
            shapes.append(bar((left, y + offset), x(row[name]["speedup"]) - left, 10, colour))
        shapes.append(text((x(row[precision]["speedup"]) + 5, y + 13), f"{row[precision]['speedup']:.1f}"))
    title = f"Speed of a trial over Trainer with peft: dark {precision}, light float32"
    return picture(WIDTH, bottom + 26, title, [text((8, 16), title), *shapes])


def search(run: dict[str, Any]) -> str:
    """Hypervolume over wall clock of both searches."""
    curves = {"peftsearch": run["curves"]["ours"], "Optuna, Trainer and peft": run["curves"]["peer"]}
    end = max(points[-1][0] for points in curves.values())
    highest = max(points[-1][1] for points in curves.values()) * 1.08
    at = _axes(end, highest)
    shapes = _frame(at, end, highest, "seconds since the start of the search")
    for (name, points), colour in zip(curves.items(), COLOURS, strict=True):
        steps = [(0.0, 0.0)]
        for seconds, value in points:
            steps += [(seconds, steps[-1][1]), (seconds, value)]
        shapes.append(line([at(*point) for point in steps], colour, 2.0))
        last = at(*points[-1])
        shapes.append(
            text((min(last[0] + 4, WIDTH - 8), last[1] - 6), name, "start" if last[0] < 480 else "end", colour)
        )
    target = run["target_hypervolume"]
    shapes.append(line([at(0, target), at(end, target)], AIM, dashed=True))
    title = f"A search of {len(run['peer']['trials'])} trials: hypervolume over wall clock"
    return picture(WIDTH, 330, title, [text((8, 16), title), *shapes])


def endurance(memory: dict[str, Any]) -> str:
    """Resident memory after each of many trials in one process."""
    sizes = memory["resident_mib"]
    highest = max(sizes) * 1.15
    at = _axes(len(sizes), highest)
    shapes = _frame(at, len(sizes), highest, "trials trained by the process")
    shapes.append(line([at(number, size) for number, size in enumerate(sizes, 1)], COLOURS[0], 2.0))
    title = f"Resident memory (MiB) over {len(sizes)} trials in one process"
    return picture(WIDTH, 330, title, [text((8, 16), title), *shapes])


def _axes(end: float, highest: float) -> Callable[[float, float], Point]:
    """From values to pixels, for x in [0, end] and y in [0, highest]."""
    left, right, top, bottom = 60.0, WIDTH - 20, 36.0, 280.0
    return lambda x, y: (left + (right - left) * x / end, bottom - (bottom - top) * y / highest)


def _frame(at: Callable[[float, float], Point], end: float, highest: float, below: str) -> list[str]:
    """Axes with round values, and what the horizontal one counts."""
    shapes = [line([at(0, highest), at(0, 0), at(end, 0)], INK), text((at(end, 0)[0], 318), below, "end")]
    for value in _ticks(end):
        shapes.append(text((at(value, 0)[0], at(0, 0)[1] + 18), f"{value:g}", "middle"))
    for value in _ticks(highest):
        shapes += [
            line([at(0, value), at(end, value)], FAINT),
            text((at(0, 0)[0] - 6, at(0, value)[1] + 4), f"{value:g}", "end"),
        ]
    return shapes


def _ticks(end: float) -> list[float]:
    """About five round values from 0 on."""
    raw = end / 5
    power = 10 ** math.floor(math.log10(raw))
    step = power * next(factor for factor in (1, 2, 5, 10) if factor * power >= raw)
    return [round(step * number, 10) for number in range(int(end / step) + 1)]
