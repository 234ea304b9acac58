"""Bring a database to the schema of this program. Several processes may start at once: the first one does the work.

The whole upgrade is one transaction under the database's write lock (SQLite) or an advisory lock (PostgreSQL), so a
crash in its midst leaves the old schema and the next start begins again.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, func, inspect, select

from service.errors import Unavailable
from service.store.engine import Database
from service.store.tables import Table

MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK_KEY = 0x7065_6674_6D69


def check_tables(database: Database) -> None:
    """Raise Unavailable when a table of this program is not there (any more)."""
    present = database.read(lambda connection: set(inspect(connection).get_table_names()))
    if lack := sorted(set(Table.metadata.tables) - present):
        raise Unavailable(f"the database lacks the table{'s' * (len(lack) > 1)} {', '.join(lack)}: restore a backup")


def revision(database: Database) -> str | None:
    """The schema that the database is at."""
    return database.read(lambda connection: MigrationContext.configure(connection).get_current_revision())


def upgrade(database: Database) -> None:
    """Create or upgrade the tables; raises Unavailable when a newer program has upgraded them already."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    scripts = ScriptDirectory.from_config(config)

    def run(connection: Connection) -> None:
        if connection.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(_LOCK_KEY)))
        present = MigrationContext.configure(connection).get_current_revision()
        if present == scripts.get_current_head():
            return
        known = {script.revision for script in scripts.walk_revisions()}
        if present is not None and present not in known:
            raise Unavailable(
                f"the database is at schema {present}, which this version does not know (it knows up to "
                f"{scripts.get_current_head()}): a newer version has upgraded it; install that version"
            )
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

    database.write(run)
