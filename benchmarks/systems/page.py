"""The page of the systems, written from their register."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmarks.systems.register import System

PAGE = Path(__file__).resolve().parents[2] / "docs" / "systems.md"
_HEAD = """# Published systems, and what each one is here

{works} work, {partly} work in part, {missing} are not there. A row *works* when a user reaches it by a job file, a
command or the page, and a test shows the property that tells it from an imitation. Numbers are those of our register
of {all} systems; methods name their papers on the [page of methods](methods.md).

`make systems` runs every job file below, as small as it runs. This page is written from
[the register](../examples/systems/register.yaml) by `python -m benchmarks.systems --page`; a test fails where a job
file does not validate or a test does not exist.

| # | system | what it is here | state | door | what is checked | as published | our choice | missing |
|---|---|---|---|---|---|---|---|---|
"""


def page(rows: Sequence[System]) -> str:
    """The text of docs/systems.md."""
    counts = Counter(row.state for row in rows)
    states = {state: counts[state] for state in ("works", "partly", "missing")}
    return _HEAD.format(all=len(rows), **states) + "".join(f"| {' | '.join(_cells(row))} |\n" for row in rows)


def _cells(row: System) -> list[str]:
    door = f"[{row.job}](../examples/systems/{row.job})" if row.job else f"`{row.command}`" if row.command else ""
    tests = ", ".join(f"[{number}](../{test.partition('::')[0]})" for number, test in enumerate(row.tests, 1))
    checked = f"{row.check} ({tests})" if row.check else ""
    return [str(row.number), row.system, row.here, row.state, door, checked, row.certain, row.choice, row.missing]
