"""Putting a question to a law and printing what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from peftsearch.cli.options import connect, connect_or_answer
from peftsearch.cli.output import console, messages, print_json, rows_table


def ask(law: str, question: Mapping[str, Any], as_json: bool, url: str | None, token: str | None) -> None:
    """Ask and print: a table with the evidence, or JSON."""
    of_your_own = question.get("law") not in (None, "published")
    with (connect if of_your_own else connect_or_answer)(url, token) as client:
        answer = client.predict(law, **question)
    if as_json:
        print_json(answer)
        return
    console.print(
        rows_table([_row(answer, name) for name in answer["units"]], ("quantity", "value", "unit", "between"))
    )
    if "curve" in answer:
        console.print(rows_table(answer["curve"], ("tokens", "loss")))
    if layouts := answer.get("layouts", ()):
        console.print(rows_table(layouts, tuple(name for name in layouts[0] if name != "settings")))
        console.print(layouts[0]["settings"], markup=False, highlight=False)
    messages.print(f"{answer['standing']}: {answer['source']}. Valid for {answer['valid_for']}.", highlight=False)
    for warning in answer["warnings"]:
        messages.print(f"warning: {warning}", markup=False, highlight=False)


def _row(answer: Mapping[str, Any], name: str) -> dict[str, Any]:
    interval = answer["intervals"].get(name)
    between = f"{interval['low']:.4g} to {interval['high']:.4g} ({interval['level']:.0%})" if interval else ""
    return {"quantity": name, "value": answer[name], "unit": answer["units"][name], "between": between}
