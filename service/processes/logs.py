"""Logs of the service's processes: lines for people, or JSON with the ids of the job and the trial that they tell of.

No credential gets into either, tracebacks included.
"""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime
from typing import Any, Literal

from service.redaction import redacted
from workers import tracing

Form = Literal["text", "json"]
_ID = re.compile(r"\b(j[a-z2-7]{11})(-\d+)?\b")  # as the store makes them


class _Lines(logging.Formatter):
    """`12:00:00 conductor: message`."""

    def format(self, record: logging.LogRecord) -> str:
        """One record, with its traceback."""
        return redacted(super().format(record))


class _JsonLines(logging.Formatter):
    """One object a line: `time`, `level`, `process`, `logger`, `message`, and where they are told `job_id`, `trial_id`,
    `trace_id`, `span_id`, `traceback`."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """One record."""
        message = redacted(record.getMessage())
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "process": self._process,
            "logger": record.name,
            "message": message,
        }
        if (named := _ID.search(message)) is not None:
            line["job_id"] = named[1]
        if (trial := next((one for one in _ID.finditer(message) if one[2]), None)) is not None:
            line |= {"job_id": trial[1], "trial_id": trial[0]}
        line |= tracing.ids()
        if record.exc_info:
            line["traceback"] = redacted(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


def log_to_stderr(process: str, form: Form) -> None:
    """Write what this process logs to stderr, in one of the two forms."""
    handler = logging.StreamHandler()
    prefix = "" if process == "api" else f"{process}: "
    lines = _Lines(f"%(asctime)s {prefix}%(message)s", datefmt="%H:%M:%S")
    handler.setFormatter(_JsonLines(process) if form == "json" else lines)
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it reports every look at the schema
