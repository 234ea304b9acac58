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
    """Forget which trial confirms which; their rows stay as trials of the search."""
    op.drop_index("ix_trials_confirms", "trials")
    op.drop_column("trials", "confirms")
