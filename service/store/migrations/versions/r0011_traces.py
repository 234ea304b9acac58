"""Traces: where in a trace a job was submitted, for whoever works on it later."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Jobs that are there belong to none."""
    op.add_column("jobs", sa.Column("trace", sa.String(length=64), nullable=True))


def downgrade() -> None:
    """Traces are only for looking on."""
    op.drop_column("jobs", "trace")
