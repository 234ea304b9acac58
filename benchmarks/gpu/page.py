"""`python -m benchmarks.gpu.page`: write the table of docs/engines.md from the record; a test compares the two."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from benchmarks.gpu.record import AIMS, Line

ROOT = Path(__file__).resolve().parents[2]
RECORD = ROOT / "benchmarks" / "results" / "gpu.json"
PAGE = ROOT / "docs" / "engines.md"


def main() -> None:
    """Rewrite the page."""
    PAGE.write_text(filled(PAGE.read_text(), json.loads(RECORD.read_text())))


def filled(page: str, record: dict[str, Any]) -> str:
    """The page with its table from the record."""
    around = re.compile(r"(<!-- gpu -->\n).*?(<!-- end gpu -->)", re.DOTALL)
    return around.sub(lambda match: match[1] + table(record) + match[2], page)


def table(record: dict[str, Any]) -> str:
    """Each aim, what was measured, and beside it what the same is over a captured graph and of the frozen base."""
    where, lines = record["environment"], record["lines"]
    head = "No GPU was at hand: nothing of this was measured.\n\n"
    if lines:
        head = f"{where['gpu']}, torch {where['torch']}, commit {where['commit']}.\n\n"
    columns = ("what", "measured", "aim", "over one trial as a captured graph", "of the frozen base alone")
    rows = [f"| {' | '.join(columns)} |", "|---|---|---|---|---|"]
    for name, (case, what, members, _, aim) in AIMS.items():
        line: Line = next(
            (one for one in lines if (one["case"], one["what"], one["members"]) == (case, what, members)), {}
        )
        measured = record["summary"]["aims"][name]["measured"]
        others = (_shown(line, "over_captured", "x"), _shown(line, "of_frozen", ""))
        shown = "not measured" if measured is None else f"{measured:g}"
        rows.append(f"| {name} | {shown} | {aim:g} | {others[0]} | {others[1]} |")
    return head + "\n".join(rows) + "\n"


def _shown(line: Line, name: str, unit: str) -> str:
    value = line.get(name)
    return "not measured" if value is None else f"{value:g}{unit}"


if __name__ == "__main__":
    main()
