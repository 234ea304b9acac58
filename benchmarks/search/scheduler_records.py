"""What the benchmarks of schedulers keep: one JSON file with a part for each, and a figure of the first."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

# Told apart by the colour-blind, too (Okabe & Ito 2008).
COLOURS = {
    "freeze-thaw": "#d55e00",
    "asha": "#0072b2",
    "hyperband": "#56b4e9",
    "median": "#009e73",
    "optuna-halving": "#999999",
    "optuna-hyperband": "#cc79a7",
    "optuna-median": "#b8a000",
    "none": "#222222",
}
_WIDTH, _LEFT, _ROW = 420, 230, 14


def keep(path: Path, part: str, lines: Sequence[dict[str, Any]]) -> None:
    """Put `lines` into the file as its `part`; the other parts stay as they are."""
    parts = json.loads(path.read_text()) if path.exists() else {}
    parts[part] = list(lines)
    shown = [f'"{name}": [\n' + ",\n".join(map(json.dumps, own)) + "\n]" for name, own in sorted(parts.items())]
    path.write_text("{" + ",\n".join(shown) + "}\n")


def spending(lines: Sequence[dict[str, Any]], mark: str) -> str:
    """SVG: share of the budget until the front was there (`mark`: of its hypervolume), a dot for the median over orders
    and a line to the worst; a ring at the right edge where most orders never got there."""
    problems = list(dict.fromkeys(line["problem"] for line in lines))
    shapes, y = [], 60.0
    for problem in problems:
        shapes.append(f'<text x="8" y="{y + 4:g}" font-weight="bold">{escape(problem)}</text>')
        for line in (line for line in lines if line["problem"] == problem):
            shapes.append(_row(line, mark, y))
            y += _ROW
        y += _ROW
    grid = []
    for tenth in range(0, 11, 2):
        x = _LEFT + _WIDTH * tenth / 10
        grid.append(f'<line x1="{x:g}" x2="{x:g}" y1="46" y2="{y:g}" stroke="#e0e0e0"/>')
        grid.append(f'<text x="{x:g}" y="40" text-anchor="middle">{tenth * 10} %</text>')
    aim = _LEFT + _WIDTH * 0.3
    grid.append(f'<line x1="{aim:g}" x2="{aim:g}" y1="46" y2="{y:g}" stroke="#d55e00" stroke-dasharray="4 3"/>')
    width, height = _LEFT + _WIDTH + 140, y + 10
    title = f"Share of the budget until {float(mark):.0%} of the front's hypervolume; dashed: the aim"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img" '
        f'font-family="system-ui, sans-serif" font-size="11" fill="#222">\n<title>{escape(title)}</title>\n'
        f'<rect width="{width:g}" height="{height:g}" fill="#fff"/>\n<text x="8" y="18">{escape(title)}</text>\n'
        + "\n".join([*grid, *shapes])
        + "\n</svg>\n"
    )


def _row(line: dict[str, Any], mark: str, y: float) -> str:
    name, middle, worst = line["scheduler"], line["until_median"][mark], line["until_worst"][mark]
    colour = COLOURS.get(name, "#222222")
    at = _LEFT + _WIDTH * (1.0 if middle is None else middle)
    end = _LEFT + _WIDTH * (1.0 if worst is None else worst)
    dot = "none" if middle is None else colour
    return (
        f'<line x1="{at:.1f}" x2="{end:.1f}" y1="{y:g}" y2="{y:g}" stroke="{colour}" opacity="0.4" stroke-width="3"/>'
        f'<circle cx="{at:.1f}" cy="{y:g}" r="4" fill="{dot}" stroke="{colour}"/>'
        f'<text x="{_LEFT + _WIDTH + 12}" y="{y + 4:g}">{escape(name)}</text>'
    )
