"""The few shapes that the figures are made of, as SVG text. Coordinates are in pixels from the top left."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

INK, FAINT, AIM = "#24292f", "#d0d7de", "#8250df"
COLOURS = ("#0969da", "#9a6700")  # ours, theirs; told apart by the colour-blind too
Point = tuple[float, float]


def picture(width: float, height: float, title: str, shapes: Sequence[str]) -> str:
    """An SVG file on a white ground with a title for readers who hear it."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img" '
        f'font-family="system-ui, sans-serif" font-size="12">\n<title>{escape(title)}</title>\n'
        f'<rect width="{width:g}" height="{height:g}" fill="#ffffff"/>\n' + "\n".join(shapes) + "\n</svg>\n"
    )


def text(at: Point, words: str, anchor: str = "start", colour: str = INK) -> str:
    """Words whose `anchor` (start, middle, end) is at a point on their baseline."""
    return f'<text x="{at[0]:.1f}" y="{at[1]:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(words)}</text>'


def bar(at: Point, width: float, height: float, colour: str) -> str:
    """A filled rectangle from its top left corner."""
    return f'<rect x="{at[0]:.1f}" y="{at[1]:.1f}" width="{max(width, 0):.1f}" height="{height:.1f}" fill="{colour}"/>'


def line(points: Sequence[Point], colour: str, width: float = 1.0, dashed: bool = False) -> str:
    """A line through points."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dash = ' stroke-dasharray="4 3"' if dashed else ""
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width:g}"{dash}/>'
