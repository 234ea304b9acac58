"""Confirmations: trials that train the configuration of another one again, on data that the search never saw."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Let a trial name the one that it confirms."""
    op.add_column("trials", sa.Column("confirms", sa.String(length=48), nullable=True))
    op.create_index(
        "ix_trials_confirms",
        "trials",
        ["job_id", "number"],
        unique=False,
        sqlite_where=sa.text("confirms IS NOT NULL"),
        postgresql_where=sa.text("confirms IS NOT NULL"),
    )


def downgrade() -> None:
    """Forget the confirmations: an older program would take them for trials of the search."""
    confirming = "SELECT id FROM trials WHERE confirms IS NOT NULL"
    op.execute(f"DELETE FROM reports WHERE trial_id IN ({confirming})")
    for state in ("queued", "running", "paused", "completed", "stopped", "failed"):
        theirs = f"job_id = jobs.id AND confirms IS NOT NULL AND state = '{state}'"
        op.execute(f"UPDATE jobs SET {state} = {state} - (SELECT count(*) FROM trials WHERE {theirs})")
    op.execute("DELETE FROM trials WHERE confirms IS NOT NULL")
    op.drop_index("ix_trials_confirms", "trials")
    op.drop_column("trials", "confirms")
