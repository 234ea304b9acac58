"""Rows that a trial was measured on: a number of their own, no longer a text in its environment."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Take over what the environments say."""
    op.add_column("trials", sa.Column("evaluated_rows", sa.Integer(), nullable=True))
    trials = sa.table("trials", sa.column("environment", sa.JSON), sa.column("evaluated_rows", sa.Integer))
    told = trials.c.environment["evaluated_rows"].as_string()
    op.execute(sa.update(trials).where(told.is_not(None)).values(evaluated_rows=sa.cast(told, sa.Integer)))


def downgrade() -> None:
    """The environments say it, where they did. In place: to build the table anew would take reports away."""
    op.drop_column("trials", "evaluated_rows")
