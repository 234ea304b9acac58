"""Column types that behave alike on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect, String
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time. SQLite has no time zones and would hand back a naive one, which compares with nothing."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], Any]:
        """Refuse naive times; store UTC. In SQLite as text that sorts by time, the form of SQLAlchemy's own type."""
        if dialect.name == "sqlite":
            return lambda value: None if value is None else _utc(value).isoformat(" ", "microseconds")[:26]
        return lambda value: None if value is None else _utc(value)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None]:  # noqa: ARG002
        """Hand out UTC whatever the database's own time zone is."""
        if dialect.name == "sqlite":
            return lambda value: None if value is None else datetime.fromisoformat(value).replace(tzinfo=UTC)
        return lambda value: None if value is None else value.astimezone(UTC)


class FreeText(TypeDecorator[str]):
    """Text that people or programs wrote: error messages, names. PostgreSQL refuses NUL and lone surrogates in text,
    and an error message with one in it must not cost the result it belongs to."""

    impl = String
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[str | None], str | None]:  # noqa: ARG002
        """Replace what a database cannot hold with a visible stand-in."""
        return lambda value: None if value is None else storable(value)

    def result_processor(self, dialect: Dialect, coltype: object) -> None:  # noqa: ARG002
        """Nothing to undo."""
        return


def _utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError(f"{value!r} has no time zone; the store takes aware UTC times")
    return value if value.tzinfo is UTC else value.astimezone(UTC)


def storable(text: str) -> str:
    """The text with NUL and lone surrogates replaced by U+FFFD."""
    if text.isascii() and "\x00" not in text:
        return text
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")
