"""Reading server-sent events line by line (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from __future__ import annotations

import json

from peftsearch.results import Event

END = "end"
"""Kind of the last event of a stream that was asked to stop when its job is over."""


class EventReader:
    """Collects the lines of one stream into events and remembers where to resume.

    `last` is the sequence number of the last whole event, to be sent as `Last-Event-ID`.
    """

    def __init__(self, after: int = 0) -> None:
        self.last = after
        self._fields: dict[str, list[str]] = {}

    def feed(self, line: str) -> Event | None:
        """Take one line without its end; the event that it completes, if it does."""
        if line:
            name, _, value = line.partition(":")
            if name:  # a line that starts with a colon is a comment: a heartbeat
                self._fields.setdefault(name, []).append(value.removeprefix(" "))
            return None
        fields, self._fields = self._fields, {}
        if "data" not in fields:
            return None
        if "id" in fields:
            self.last = int(fields["id"][-1])
        payload = json.loads("\n".join(fields["data"]))
        return Event(self.last, fields.get("event", ["message"])[-1], payload.get("job_id", ""), payload)

    def restart(self) -> None:
        """Forget a half-read event: its stream broke and the server will send it again."""
        self._fields = {}
