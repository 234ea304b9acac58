"""Connections and transactions. Two kinds only: `write` takes the database's write lock first, `read` takes none.

SQLite runs in WAL mode: readers never wait, writers queue. A transaction that starts by reading and then writes is
refused by SQLite without waiting when another writer came between ("database is locked"), so writers begin IMMEDIATE.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DisconnectionError, OperationalError
from sqlalchemy.exc import TimeoutError as NoFreeConnection
from sqlalchemy.pool import ConnectionPoolEntry

from service.errors import BadInput, Unavailable
from service.redaction import redacted

T = TypeVar("T")

LOCK_SECONDS = 60.0  # how long a SQLite writer waits for the others; one transaction takes about a millisecond
SERIALIZATION_FAILURES = frozenset({"40001", "40P01"})  # PostgreSQL: serialization failure, deadlock
TRIES = 5
BELIEVED = 1.0  # seconds for which a connection that was in use is taken for alive
_URLS = "sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE"


class Database:
    """An engine and the two kinds of transactions on it. Safe to share between threads, not across a fork."""

    def __init__(self, url: str) -> None:
        """Connect lazily; raises BadInput for a URL that is neither SQLite nor PostgreSQL."""
        self.url = _parse(url)
        self.sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = _sqlite_engine(self.url) if self.sqlite else _postgresql_engine(self.url)
        # SQLite has one writer at a time. Its own way to wait is to sleep and look again; threads of one process hand
        # a connection on instead, which also saves fetching one from the pool.
        self._turn = threading.Lock()
        self._writer: Connection | None = None
        # Without a transaction around them, reads on PostgreSQL save the round trip that ends it. SQLite needs no help.
        autocommit = {} if self.sqlite else {"isolation_level": "AUTOCOMMIT"}
        self._reading = self.engine.execution_options(**autocommit)

    def write(self, operation: Callable[[Connection], T]) -> T:
        """Run `operation` in one transaction: all of it happens, or nothing. It may be run again after a deadlock, or
        on another connection where the first one was found cut before the end."""
        for attempt in range(TRIES):
            done = False

            def noted(connection: Connection) -> T:
                nonlocal done
                result = operation(connection)
                done = True
                return result

            try:
                return self._once(noted)
            except OperationalError as error:
                # Cut while it commits, a transaction may have happened; that is for the caller to find out.
                cut = error.connection_invalidated and not done
                again = cut or getattr(error.orig, "sqlstate", None) in SERIALIZATION_FAILURES
                if not again or attempt == TRIES - 1:
                    raise _unavailable(error) from error
            except NoFreeConnection as error:
                raise _unavailable(error) from error
        raise AssertionError("the last try returns or raises")

    def _once(self, operation: Callable[[Connection], T]) -> T:
        if not self.sqlite:
            with self.engine.begin() as connection:
                return operation(connection)
        with self._turn:
            if self._writer is None:
                self._writer = self.engine.connect()
            with self._writer.begin():
                _lock_for_writing(self._writer)
                return operation(self._writer)

    def read(self, operation: Callable[[Connection], T]) -> T:
        """Run `operation` without a transaction: each of its statements sees the latest committed state."""
        for again in (True, False):
            try:
                with self._reading.connect() as connection:
                    return operation(connection)
            except (OperationalError, NoFreeConnection) as error:
                if not (again and isinstance(error, OperationalError) and error.connection_invalidated):
                    raise _unavailable(error) from error
        raise AssertionError("the second try returns or raises")

    def close(self) -> None:
        """Close the connections."""
        with self._turn:
            if self._writer is not None:
                self._writer.close()
                self._writer = None
        self.engine.dispose()


def _unavailable(error: OperationalError | NoFreeConnection) -> Unavailable:
    return Unavailable(f"the database does not answer: {getattr(error, 'orig', error)}")


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise BadInput("database", redacted(url), _URLS) from None
    backend = parsed.get_backend_name()
    if backend == "sqlite" and parsed.database not in (None, "", ":memory:"):
        return parsed
    if backend in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    raise BadInput("database", parsed.render_as_string(), _URLS)


_to_json = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def _postgresql_engine(url: URL) -> Engine:
    # PostgreSQL allows 100 connections by default, for all processes together.
    engine = create_engine(url, json_serializer=_to_json, pool_size=5, max_overflow=15)
    _ping_the_rested(engine)
    return engine


def _ping_the_rested(engine: Engine) -> None:
    """Ask a connection that has rested whether it lives, as the server may have been restarted; one that answered a
    moment ago is believed, which saves each transaction of a busy service a round trip."""

    def note_use(_: object, record: ConnectionPoolEntry) -> None:
        record.info["used"] = time.monotonic()

    def check(connection: Any, record: ConnectionPoolEntry, _: object) -> None:
        if time.monotonic() - record.info.get("used", time.monotonic()) < BELIEVED:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise DisconnectionError from error  # the pool opens another one

    event.listen(engine, "checkin", note_use)
    event.listen(engine, "checkout", check)


def _sqlite_engine(url: URL) -> Engine:
    file = Path(str(url.database))
    file.parent.mkdir(parents=True, exist_ok=True)
    _switch_to_wal(file)
    engine = create_engine(
        url,
        json_serializer=_to_json,
        pool_size=10,
        max_overflow=30,
        # The driver's own BEGIN is deferred; ours (`_lock_for_writing`) is not.
        connect_args={"timeout": LOCK_SECONDS, "isolation_level": None, "cached_statements": 256},
    )
    event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    connection.execute("PRAGMA foreign_keys=ON")
    # Survives any crash of the process. After a power cut the last transactions may be missing, never half of one.
    connection.execute("PRAGMA synchronous=NORMAL")


def _lock_for_writing(connection: Connection) -> None:
    """Begin with the write lock. Not an event listener: one of those makes every statement look for further ones."""
    driver: Any = connection.connection.dbapi_connection
    try:
        driver.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        raise Unavailable(f"the database cannot be written to: {error}") from error


def _switch_to_wal(file: Path) -> None:
    """Make the file a WAL database. It stays one, and SQLite does not wait for locks here, so we do."""
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            with closing(sqlite3.connect(file, timeout=LOCK_SECONDS)) as connection:
                connection.execute("PRAGMA journal_mode=WAL").fetchone()
                return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise Unavailable(f"cannot open the database {file}: {error}") from error
            time.sleep(0.02)
