"""The schema: migrations make what the models say, old databases open, and an upgrade happens wholly or not at all."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, inspect, text
from sqlalchemy.exc import OperationalError

from service.errors import BadInput, Unavailable
from service.store.engine import Database
from service.store.migrate import MIGRATIONS
from service.store.records import NewTrial
from service.store.store import Store, open_store
from service.store.tables import Table

DUMPS = sorted((Path(__file__).parent / "databases").glob("*.sql"))


def test_migrations_make_the_tables_of_the_models(empty_url: str) -> None:
    open_store(empty_url).close()
    database = Database(empty_url)
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, Table.metadata)
    database.close()
    assert differences == []


def test_opening_again_keeps_everything(empty_url: str) -> None:
    first = open_store(empty_url)
    job = first.create_job("a", {"objectives": []})
    first.close()
    second = open_store(empty_url)
    assert second.get_job(job.id) == job
    second.close()


@pytest.mark.parametrize("dump", DUMPS, ids=lambda dump: dump.stem)
def test_databases_of_every_release_open_and_read(dump: Path, tmp_path: Path) -> None:
    file = tmp_path / "old.db"
    with sqlite3.connect(file) as connection:
        connection.executescript(dump.read_text())
    connection.close()
    store = open_store(f"sqlite:///{file}")
    job = next(job for job in store.list_jobs().items if job.name == "of an old release")
    trials = {trial.number: trial for trial in store.searched_trials(job.id)}
    assert [trials[n].state for n in sorted(trials)] == ["completed", "failed", "running", "paused", "queued"]
    assert job.counts["completed"] == 1
    assert [trial.number for trial in store.front(job.id)] == [0]
    assert trials[0].metrics["accuracy"] == 0.75
    assert trials[0].config == {"method": "lora", "rank": 0}
    assert trials[1].reason == "nan_loss: at step 3"
    assert [stored.metrics for stored in store.reports(trials[0].id)] == [{"accuracy": 0.1}, {"accuracy": 0.2}]
    assert len(store.events_after(0, job.id)) == 17
    assert store.create_job(job.name, job.spec, "key of an old release").id == job.id
    assert store.check_token("pfs_of_an_old_release").scopes == {"read", "work"}
    _assert_additions(store, job.id, dump.stem)
    claimed = store.claim_trial(job.id, "worker of today", 60)
    assert claimed is not None
    assert claimed.number == 4
    store.close()


def _assert_additions(store: Store, job_id: str, revision: str) -> None:
    """What later revisions added is there since they did."""
    confirming = [trial.confirms for trial in store.confirmations(job_id)]
    assert confirming == ([f"{job_id}-0"] if revision >= "0002" else [])
    exploits = [exploit.donor_id for exploit in store.job_exploits(job_id)]
    assert exploits == ([f"{job_id}-0"] if revision >= "0003" else [])
    answers = {answer.body["a"] for answer in store.newest_answers("law", project="default")}
    assert answers == ({1} if revision >= "0004" else set())
    answers = {answer.body["a"] for answer in store.newest_answers("law", project="vision")}
    assert answers == ({2} if revision >= "0006" else set())
    deeds = [entry.deed.who for entry in store.audit_trail().items]
    assert deeds == (["of an old release"] if revision >= "0007" else [])
    rows = [trial.evaluated_rows for trial in store.searched_trials(job_id) if trial.state == "completed"]
    assert rows == ([500] if revision >= "0008" else [None])
    remarks = [(one.tags, one.note) for one in (store.get_job(job_id), store.get_trial(f"{job_id}-0"))]
    assert remarks == ([(["old"], "of then"), (["odd"], None)] if revision >= "0010" else [([], None)] * 2)
    told = [(hook.events, [one.state for one in store.deliveries(hook.id).items]) for hook in store.list_webhooks()]
    assert told == ([(["job.completed"], ["delivered"])] if revision >= "0009" else [])
    then = Store(store._database, lambda: datetime(2026, 1, 1, tzinfo=UTC))
    assert [seen.node.name for seen in then.nodes_seen()] == (["then"] if revision >= "0012" else [])
    exported = [(one.trial_id, one.times) for one in store.exports(job_id)]
    assert exported == ([(f"{job_id}-0", 2)] if revision >= "0013" else [])
    trace = store.get_job(job_id).trace
    assert trace == ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" if revision >= "0011" else None)


def test_rows_that_an_environment_told_of_become_a_number(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    with sqlite3.connect(file) as connection:
        connection.executescript(next(dump for dump in DUMPS if dump.stem == "0007").read_text())
        connection.execute("UPDATE trials SET environment = ? WHERE number = 0", ['{"evaluated_rows": "32"}'])
    connection.close()
    store = open_store(f"sqlite:///{file}")
    job = next(job for job in store.list_jobs().items if job.name == "of an old release")
    rows = {trial.number: trial.evaluated_rows for trial in store.searched_trials(job.id)}
    assert (rows[0], rows[1]) == (32, None)
    store.close()


def test_an_older_program_finds_no_confirmations_among_its_trials(tmp_path: Path) -> None:
    """It would take them for trials of the search."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    with sqlite3.connect(tmp_path / "store.db") as connection:
        connection.executescript(DUMPS[-1].read_text())
        counted = "SELECT queued + running + paused + completed + stopped + failed FROM jobs"
        before = connection.execute(counted).fetchone()[0]
    connection.close()
    database, config = Database(url), Config()
    config.set_main_option("script_location", str(MIGRATIONS))

    def down(connection: Connection) -> None:
        config.attributes["connection"] = connection
        command.downgrade(config, "0001")

    database.write(down)
    with database.engine.connect() as connection:
        numbers = connection.execute(text("SELECT number FROM trials ORDER BY number")).scalars().all()
        after = connection.execute(text(counted)).scalar_one()
        reports = connection.execute(text("SELECT count(*) FROM reports")).scalar_one()
    database.close()
    assert (list(numbers), before - after, reports) == ([0, 1, 2, 3, 4], 1, 2)


def test_there_is_a_database_of_every_revision() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    revisions = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert [dump.stem for dump in DUMPS] == revisions[::-1]


def test_a_database_of_a_newer_release_is_refused(empty_url: str) -> None:
    open_store(empty_url).close()
    database = Database(empty_url)
    database.write(lambda connection: connection.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    database.close()
    with pytest.raises(Unavailable, match=r"schema 9999.*newer version"):
        open_store(empty_url)


def test_an_upgrade_that_fails_half_way_changes_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE trials (mine TEXT)"))  # in the way of the first migration's fifth table
    with pytest.raises((Unavailable, OperationalError), match="trials"):
        open_store(url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT name FROM sqlite_master")).scalars().all() == ["trials"]
    engine.dispose()


@pytest.mark.parametrize("url", ["", "mysql://host/db", "sqlite://", "sqlite:///:memory:", "store.db", "http://x"])
def test_other_databases_are_refused_by_name(url: str) -> None:
    with pytest.raises(BadInput, match=r"sqlite:///FILE or postgresql://"):
        open_store(url)


def test_a_database_that_cannot_be_reached_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        open_store("postgresql://nobody@127.0.0.1:1/nothing?connect_timeout=2")
    (tmp_path / "folder.db").mkdir()
    with pytest.raises(Unavailable, match=r"folder\.db"):
        open_store(f"sqlite:///{tmp_path / 'folder.db'}")


def test_every_migration_can_be_taken_back(empty_url: str) -> None:
    """Down to nothing and up again, step by step, with rows of two projects in the tables."""
    store = open_store(empty_url)
    for project in ("default", "vision"):
        job = store.create_job("a", {"objectives": []}, "key", project)
        store.add_trials(job.id, [NewTrial({"rank": 1}, "user", 0)])
        store.add_answer("law", "mine", {"x": project}, project=project)
    store.close()
    database, config = Database(empty_url), Config()
    config.set_main_option("script_location", str(MIGRATIONS))

    def step(connection: Connection, go: Callable[[Config, str], None], to: str) -> None:
        config.attributes["connection"] = connection
        go(config, to)

    database.write(lambda connection: step(connection, command.downgrade, "0005"))
    with database.engine.connect() as connection:
        names = connection.execute(text("SELECT name FROM answers ORDER BY id")).scalars().all()
        keys = connection.execute(text("SELECT key FROM idempotency_keys ORDER BY key")).scalars().all()
    assert (names, keys) == (["mine", "vision/mine"], ["key", "vision/key"])
    with database.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM trials")).scalar_one() == 2
    database.write(lambda connection: step(connection, command.upgrade, "head"))
    for _ in ScriptDirectory.from_config(config).walk_revisions():
        database.write(lambda connection: step(connection, command.downgrade, "-1"))
    with database.engine.connect() as connection:
        assert set(inspect(connection).get_table_names()) <= {"alembic_version", "sqlite_sequence"}
    database.close()
    open_store(empty_url).close()
