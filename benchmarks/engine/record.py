"""The file that a run writes: results by part, kept as they come, so that a run can be interrupted and resumed."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import psutil
import torch

Json = dict[str, Any]


class Record:
    """`{"summary": …, "parts": {name: {"results": …, conditions}}, "machine": …}` in one JSON file.

    With `resume`, parts that were measured under the same conditions are continued; the others start anew.
    """

    def __init__(self, path: Path, resume: bool, minutes: float | None = None) -> None:
        self.path = path
        self._deadline = None if minutes is None else time.monotonic() + 60 * minutes
        self._resume = resume
        self.content: Json = {"parts": {}}
        if path.exists():
            self.content = json.loads(path.read_text())

    @property
    def parts(self) -> Json:
        """Every part by name."""
        parts: Json = self.content["parts"]
        return parts

    @property
    def time_is_up(self) -> bool:
        """Whether the minutes that were given are spent."""
        return self._deadline is not None and time.monotonic() >= self._deadline

    @property
    def minutes_left(self) -> float | None:
        """Minutes until time is up; None without a limit."""
        return None if self._deadline is None else max(0.0, self._deadline - time.monotonic()) / 60

    def open(self, name: str, conditions: Json) -> Json:
        """The part, with the results of an earlier run under `conditions` if this one resumes it."""
        before = self.parts.get(name)
        if self._resume and before is not None and all(before.get(key) == value for key, value in conditions.items()):
            return before  # type: ignore[no-any-return]
        part: Json = {"results": None, **conditions, "seconds": 0.0, "complete": False}
        self.parts[name] = part
        return part

    def save(self) -> None:
        """Write the file; a reader sees the old or the new one, never a half."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(".partial")
        partial.write_text(json.dumps(self.content, indent=1) + "\n")
        partial.replace(self.path)


def conditions_now() -> Json:
    """What a measurement may depend on besides its own settings."""
    return {"threads": torch.get_num_threads(), "load_average": [round(load, 2) for load in psutil.getloadavg()]}
