"""Every test that takes `store` runs on SQLite and on PostgreSQL: a new database joins the suite by one line here."""

from __future__ import annotations

import itertools
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from service.store.store import Store, open_store
from service.store.tables import Table
from tests.service.store.examples import ManualClock

DATABASES = [pytest.param("sqlite", id="sqlite"), pytest.param("postgres", id="postgres", marks=pytest.mark.postgres)]
_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of a PostgreSQL server's maintenance database; the server comes from the wheel `pgserver`."""
    pgserver = pytest.importorskip("pgserver", reason="pgserver (PostgreSQL as a wheel) is not installed")
    # Not under pytest's folder, which is closed to the other user that PostgreSQL needs when tests run as root.
    with tempfile.TemporaryDirectory(prefix="peftsearch-postgres-", ignore_cleanup_errors=True) as folder:
        server = _start(pgserver, Path(folder))
        server.psql("ALTER SYSTEM SET fsync = off;")  # nobody cuts the power of a test
        server.psql("SELECT pg_reload_conf();")
        yield server.get_uri()
        server.cleanup()


def _start(pgserver, folder: Path):  # type: ignore[no-untyped-def]  # the wheel has no types
    """Start the server. It gets ten seconds, which a busy machine may need twice; the second call finds it running."""
    folder.chmod(0o755)
    for last in (False, False, True):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about XDG_RUNTIME_DIR
                return pgserver.get_server(folder, cleanup_mode="stop")
        except (subprocess.SubprocessError, OSError) as error:
            if last:
                pytest.skip(f"PostgreSQL cannot be started here: {error}")
    return None


@pytest.fixture(scope="session")
def postgres_tables(postgres_server: str) -> str:
    """URL of a database with empty tables; emptying it for each test is ten times faster than making a new one."""
    url = _new_database(postgres_server, "shared_tables")
    open_store(url).close()
    return url


@pytest.fixture
def empty_postgres(postgres_server: str) -> Iterator[str]:
    """URL of a database without tables."""
    name = f"empty_{next(_numbers)}"
    yield _new_database(postgres_server, name)
    _run(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


def _new_database(server: str, name: str) -> str:
    _run(server, f"CREATE DATABASE {name}")
    return server.replace("/postgres?", f"/{name}?")


def _run(url: str, statement: str) -> None:
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


@pytest.fixture(params=DATABASES)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a database that nobody has opened yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    return str(request.getfixturevalue("empty_postgres"))


@pytest.fixture(params=DATABASES)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a database with nothing in its tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    url = str(request.getfixturevalue("postgres_tables"))
    _run(url, f"TRUNCATE {', '.join(Table.metadata.tables)} RESTART IDENTITY CASCADE")
    return url


@pytest.fixture
def clock() -> ManualClock:
    """The time as the store sees it."""
    return ManualClock()


@pytest.fixture
def store(store_url: str, clock: ManualClock) -> Iterator[Store]:
    """An open, empty store."""
    store = open_store(store_url, clock)
    yield store
    store.close()
