"""The lines that were measured, stored as they come, and what they say of each aim."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Line = dict[str, Any]

AIMS: Mapping[str, tuple[str, str, int, str, float]] = {
    "bert-base 8x64, 8 members over Trainer": ("bert-base 8x64", "pack", 8, "over_trainer", 50.0),
    "bert-base 8x64, 32 members over Trainer": ("bert-base 8x64", "pack", 32, "over_trainer", 65.0),
    "bert-base 8x64, 32 members of the frozen base": ("bert-base 8x64", "pack", 32, "of_frozen", 0.9),
    "bert-base 8x64, alone over Trainer": ("bert-base 8x64", "pack", 1, "over_trainer", 4.0),
    "decoder-0.5b 2x512, 8 members over Trainer": ("decoder-0.5b 2x512", "pack", 8, "over_trainer", 12.0),
    "decoder-0.5b 2x512, 32 members over Trainer": ("decoder-0.5b 2x512", "pack", 32, "over_trainer", 15.0),
    "decoder-0.5b 2x512, 32 members of the frozen base": ("decoder-0.5b 2x512", "pack", 32, "of_frozen", 0.9),
    "decoder-0.5b 1x128, 32 members over Trainer": ("decoder-0.5b 1x128", "pack", 32, "over_trainer", 25.0),
    "decoder-0.5b 1x128, 32 members of the frozen base": ("decoder-0.5b 1x128", "pack", 32, "of_frozen", 0.9),
    "decoder-1.2b 2x512, 32 members over Trainer": ("decoder-1.2b 2x512", "pack", 32, "over_trainer", 6.0),
    "decoder-1.2b 2x512, 32 members of the frozen base": ("decoder-1.2b 2x512", "pack", 32, "of_frozen", 0.9),
    "bert-base 8x64, 16 autopeft members of 16 of lora": ("bert-base 8x64", "autopeft pack", 16, "of_lora_pack", 0.8),
    "bert-base 8x64, search of 64 trials over Optuna, Trainer": (
        "bert-base 8x64",
        "search",
        64,
        "over_script",
        30.0,
    ),
}
"""By name: case, what was measured, members, which number of the line, and how much it should be."""


class Record:
    """`{"summary": …, "environment": …, "lines": […]}` in one JSON file.

    Lines of another environment (GPU, versions, commit) are left behind when a run begins; its own are kept, so that a
    run that was cut off goes on.
    """

    def __init__(self, path: Path, environment: Mapping[str, str], say: Callable[[str], None] = print) -> None:
        self._path, self._environment, self._say = path, dict(environment), say
        self.lines: list[Line] = []
        if path.exists():
            before = json.loads(path.read_text())
            if before["environment"] == self._environment:
                self.lines = before["lines"]

    def find(self, case: str, what: str, members: int) -> Line | None:
        """A line that is there."""
        mine = (line for line in self.lines if (line["case"], line["what"], line["members"]) == (case, what, members))
        return next(mine, None)

    def measure(self, case: str, what: str, members: int, run: Callable[[], Line]) -> Line:
        """The line, measured now unless it is there. What fails is a line, too, and says why."""
        if (line := self.find(case, what, members)) is not None:
            return line
        try:
            found = run()
        except Exception as error:  # the next line may well succeed: others may be smaller
            found = {"failed": f"{type(error).__name__}: {str(error)[:200]}"}
        line = {"case": case, "what": what, "members": members, **found}
        self.lines.append(line)
        self._say(json.dumps(line))
        self.save()
        return line

    def save(self) -> None:
        """Write the file; a reader sees the old or the new one, never a half."""
        content = {
            "summary": summary(self.lines, self._environment),
            "environment": self._environment,
            "lines": self.lines,
        }
        self._path.parent.mkdir(parents=True, exist_ok=True)
        partial = self._path.with_suffix(".partial")
        partial.write_text(json.dumps(content, indent=1) + "\n")
        partial.replace(self._path)


def summary(lines: list[Line], environment: Mapping[str, str]) -> dict[str, Any]:
    """The GPU and the commit that were measured, and each aim with what was: null with a reason where nothing was."""
    aims: dict[str, dict[str, float | str | None]] = {}
    for name, (case, what, members, number, aim) in AIMS.items():
        wanted = (case, what, members)
        line = next((one for one in lines if (one["case"], one["what"], one["members"]) == wanted), None)
        measured = None if line is None else line.get(number)
        aims[name] = {"measured": measured, "aim": aim}
        if measured is None:
            aims[name]["reason"] = _why_not(line, environment)
    return {"gpu": environment.get("gpu"), "commit": environment.get("commit"), "aims": aims}


def _why_not(line: Line | None, environment: Mapping[str, str]) -> str:
    if environment.get("gpu") in (None, "none"):
        return "no GPU was at hand"
    if line is None:
        return f"not in this run ({environment.get('form', 'unknown')})"
    return str(line.get("failed", "what it is compared with was not measured"))
