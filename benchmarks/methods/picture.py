"""The methods' Pareto picture as SVG: accuracy over trained parameters, with the front. No plotting library needed."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, floor, log10
from typing import Any

from benchmarks.methods.results import front

_WIDTH, _HEIGHT = 920, 560
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 30, 56, 60
_STYLE = """
text{font:13px system-ui,sans-serif;fill:#3b4252} .title{font-size:16px;font-weight:600}
.axis{font-size:12px;fill:#68707f} .grid{stroke:#e3e6ec} .dot{fill:#9aa5b8} .bar{stroke:#8db8e2} .front{fill:#0b6bcb}
.line{fill:none;stroke:#0b6bcb;stroke-width:1.5} .name{font-weight:600;fill:#0b4f96}
"""


def picture(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """SVG of `rows` as `results` gives them under `methods`; empty text when there are none."""
    if not rows:
        return ""
    best = front(rows)
    scale = _Scale.of(rows)
    parts = [*_axes(scale), _line(rows, best, scale)]
    for name, row in sorted(rows.items(), key=lambda item: item[0] in best):
        parts += _point(name, row, name in best, scale)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="Accuracy over trained parameters of {len(rows)} methods"><style>{_STYLE}</style>'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>' + "\n".join(parts) + "</svg>\n"
    )


class _Scale:
    """From parameters and accuracy to pixels. No parameters at all lie one decade left of the fewest."""

    def __init__(self, decades: tuple[int, int], accuracies: tuple[float, float]) -> None:
        self.decades, self.accuracies = decades, accuracies

    @classmethod
    def of(cls, rows: Mapping[str, Mapping[str, Any]]) -> _Scale:
        """The scale that holds every row."""
        counts = [row["trainable_params"] for row in rows.values() if row["trainable_params"]] or [1]
        means = [row["accuracy"]["mean"] for row in rows.values()]
        return cls(
            (floor(log10(min(counts))) - 1, ceil(log10(max(counts)))),
            (floor(min(means) * 20) / 20 - 0.05, ceil(max(means) * 20) / 20),
        )

    def x(self, parameters: float) -> float:
        """Pixels from the left."""
        low, high = self.decades
        exponent = log10(parameters) if parameters else low
        return _LEFT + (exponent - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT)

    def y(self, accuracy: float) -> float:
        """Pixels from the top."""
        low, high = self.accuracies
        return _HEIGHT - _BOTTOM - (accuracy - low) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)


def _axes(scale: _Scale) -> list[str]:
    low, high = scale.decades
    parts = [
        _text(_LEFT, 30, "Test accuracy of each method's best configuration, with 95% intervals on the front", "title"),
        _text((_LEFT + _WIDTH) / 2, _HEIGHT - 16, "trained parameters without the head", "axis", "middle"),
    ]
    for decade in range(low, high + 1):
        x = scale.x(10.0**decade) if decade > low else scale.x(0)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"/>')
        parts.append(_text(x, _HEIGHT - _BOTTOM + 20, _short(decade) if decade > low else "0", "axis", "middle"))
    bottom, top = scale.accuracies
    for step in range(round((top - bottom) / 0.05) + 1):
        value = bottom + 0.05 * step
        y = scale.y(value)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(_text(_LEFT - 8, y + 4, f"{value:.2f}", "axis", "end"))
    return parts


def _line(rows: Mapping[str, Mapping[str, Any]], best: list[str], scale: _Scale) -> str:
    """The staircase below which everything is beaten."""
    path, level = "", 0.0
    for name in best:
        x, y = scale.x(rows[name]["trainable_params"]), scale.y(rows[name]["accuracy"]["mean"])
        path += f"M{x:.1f},{y:.1f}" if not path else f"L{x:.1f},{level:.1f}L{x:.1f},{y:.1f}"
        level = y
    return f'<path class="line" d="{path}L{_WIDTH - _RIGHT},{level:.1f}"/>'


def _point(name: str, row: Mapping[str, Any], on_front: bool, scale: _Scale) -> list[str]:
    x, y = scale.x(row["trainable_params"]), scale.y(row["accuracy"]["mean"])
    label = f"{name}: {row['accuracy']['mean']:.3f} ± {row['accuracy']['half_width']:.3f}, {row['trainable_params']:,}"
    kind, radius = ("front", 5) if on_front else ("dot", 4)
    dot = f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}"><title>{label}</title></circle>'
    if not on_front:
        return [dot]
    half = row["accuracy"]["half_width"]
    low, high = (min(max(scale.y(row["accuracy"]["mean"] + one), _TOP), _HEIGHT - _BOTTOM) for one in (-half, half))
    bar = f'<line class="bar" x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}"/>'
    # Nothing lies above and left of a point of the front, so its name has room there.
    return [bar, dot, _text(x - 8, y - 8, name, "name", "end") if x > 200 else _text(x + 8, y - 8, name, "name")]


def _short(decade: int) -> str:
    """10^decade as on a scale: 100, 1k, 10k, 1M."""
    thousands, rest = divmod(decade, 3)
    return f"{10**rest}{('', 'k', 'M', 'G', 'T')[thousands]}"


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'
