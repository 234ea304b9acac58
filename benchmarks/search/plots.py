"""Figures as SVG text: regret over trials, one panel a problem, and the cost of a suggestion."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any

# Told apart by the colour-blind, too (Okabe & Ito 2008).
COLOURS = {
    "auto": "#d55e00",
    "auto+past": "#cc79a7",
    "optuna-gp": "#0072b2",
    "optuna-tpe": "#56b4e9",
    "optuna-nsga2": "#999999",
    "ax": "#009e73",
    "random": "#444444",
    "gp": "#d55e00",
}
_WIDTH, _HEIGHT, _GAP, _COLUMNS = 250, 170, 52, 4
_LEAST = 1e-3  # regret below is drawn at the floor of the logarithmic axis


def regret_curves(lines: Sequence[dict[str, Any]]) -> str:
    """Mean regret and its 90 % interval over trials; lines of optimizers without a colour are left out."""
    problems = list(dict.fromkeys(line["problem"] for line in lines))
    shown = [name for name in COLOURS if any(line["optimizer"] == name for line in lines) and name != "gp"]
    rows = math.ceil(len(problems) / _COLUMNS)
    panels = []
    for index, problem in enumerate(problems):
        x, y = 50 + (index % _COLUMNS) * (_WIDTH + _GAP), 60 + (index // _COLUMNS) * (_HEIGHT + _GAP)
        own = [line for line in lines if line["problem"] == problem and line["optimizer"] in shown]
        panels.append(f'<g transform="translate({x},{y})">{_panel(problem, own)}</g>')
    key = "".join(
        f'<rect x="{50 + 130 * i}" y="14" width="18" height="4" fill="{COLOURS[name]}"/>'
        f'<text x="{74 + 130 * i}" y="20">{escape(name)}</text>'
        for i, name in enumerate(shown)
    )
    width, height = 50 + _COLUMNS * (_WIDTH + _GAP), 60 + rows * (_HEIGHT + _GAP)
    return _picture(width, height, "Regret over trials, mean and 90 % interval", key + "".join(panels))


def _panel(title: str, lines: Sequence[dict[str, Any]]) -> str:
    top = max(max(line["high_by_trial"]) for line in lines)
    floor = max(_LEAST, min(min(line["low_by_trial"]) for line in lines))
    span = math.log10(max(top / floor, 10.0))
    trials = max(line["trials"] for line in lines)

    def at(trial: int, regret: float) -> str:
        height = (math.log10(max(regret, floor)) - math.log10(floor)) / span
        return f"{trial / max(trials - 1, 1) * _WIDTH:.1f},{_HEIGHT * (1 - min(height, 1.0)):.1f}"

    shapes = [_frame(title, floor, span, trials)]
    for line in lines:
        colour = COLOURS[line["optimizer"]]
        band = [at(t, value) for t, value in enumerate(line["high_by_trial"])]
        band += [at(t, value) for t, value in reversed(list(enumerate(line["low_by_trial"])))]
        curve = [at(t, value) for t, value in enumerate(line["regret_by_trial"])]
        shapes.append(f'<polygon points="{" ".join(band)}" fill="{colour}" opacity="0.15"/>')
        shapes.append(f'<polyline points="{" ".join(curve)}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
    return "".join(shapes)


def _frame(title: str, floor: float, span: float, trials: int) -> str:
    marks = []
    for power in range(math.ceil(math.log10(floor) - 1e-9), math.floor(math.log10(floor) + span + 1e-9) + 1):
        y = _HEIGHT * (1 - (power - math.log10(floor)) / span)
        marks.append(f'<line x1="0" x2="{_WIDTH}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e0e0e0"/>')
        marks.append(f'<text x="-6" y="{y + 4:.1f}" text-anchor="end">{10.0**power:g}</text>')
    return (
        f'<text x="0" y="-8" font-weight="bold">{escape(title)}</text>'
        + "".join(marks)
        + f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="none" stroke="#888"/>'
        + f'<text x="0" y="{_HEIGHT + 15}">1</text>'
        + f'<text x="{_WIDTH}" y="{_HEIGHT + 15}" text-anchor="end">{trials} trials</text>'
    )


def cost_curves(lines: Sequence[dict[str, Any]]) -> str:
    """CPU seconds of one suggestion over the length of the history, both axes logarithmic, beside a cubic curve."""
    width, height = 420, 280
    xs = [math.log10(line["trials"]) for line in lines]
    ys = [math.log10(max(line["cpu_seconds"], 1e-3)) for line in lines]
    left, right = math.floor(min(xs)), math.ceil(max(xs))
    low, high = math.floor(min(ys)), math.ceil(max(ys)) + 1

    def at(x: float, y: float) -> tuple[float, float]:
        return (x - left) / (right - left) * width, height * (1 - (y - low) / (high - low))

    shapes = [f'<rect width="{width}" height="{height}" fill="none" stroke="#888"/>']
    for power in range(left, right + 1):
        x, _ = at(power, low)
        shapes.append(f'<text x="{x:.0f}" y="{height + 16}" text-anchor="middle">{10**power:,}</text>')
    for power in range(low, high + 1):
        _, y = at(left, power)
        shapes.append(f'<line x1="0" x2="{width}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e0e0e0"/>')
        shapes.append(f'<text x="-6" y="{y + 4:.1f}" text-anchor="end">{10.0**power:g} s</text>')
    for name in dict.fromkeys(line["optimizer"] for line in lines):
        points = [at(x, y) for x, y, line in zip(xs, ys, lines, strict=True) if line["optimizer"] == name]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        shapes.append(f'<polyline points="{path}" fill="none" stroke="{COLOURS[name]}" stroke-width="2"/>')
        shapes += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{COLOURS[name]}"/>' for x, y in points]
        shapes.append(f'<text x="{points[-1][0] - 4:.0f}" y="{points[-1][1] - 8:.0f}" text-anchor="end">{name}</text>')
    start = next(line for line in lines if line["optimizer"] == "gp" and line["trials"] >= 100)
    x0, y0 = math.log10(start["trials"]), math.log10(start["cpu_seconds"])
    reach = min(right - x0, (high - y0) / 3)
    (x1, y1), (x2, y2) = at(x0, y0), at(x0 + reach, y0 + 3 * reach)
    shapes.append(
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#666" stroke-dasharray="4 3"/>'
        f'<text x="{x2 + 6:.0f}" y="{y2 + 14:.0f}">cubic</text>'
    )
    body = f'<g transform="translate(60,20)">{"".join(shapes)}</g>'
    return _picture(width + 80, height + 50, "CPU seconds of one suggestion over trials so far", body)


def _picture(width: float, height: float, title: str, body: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img" '
        f'font-family="system-ui, sans-serif" font-size="11" fill="#222">\n<title>{escape(title)}</title>\n'
        f'<rect width="{width:g}" height="{height:g}" fill="#fff"/>\n{body}\n</svg>\n'
    )
