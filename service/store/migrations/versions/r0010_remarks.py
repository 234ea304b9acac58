"""Tags and notes of jobs and trials."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nobody has said anything yet."""
    for table in ("jobs", "trials"):
        op.add_column(table, sa.Column("tags", sa.JSON(), server_default=sa.text("'[]'"), nullable=False))
        op.add_column(table, sa.Column("note", sa.String(), nullable=True))


def downgrade() -> None:
    """What was said is forgotten. In place: to build `jobs` anew would take away all that refers to its rows."""
    for table in ("jobs", "trials"):
        op.drop_column(table, "note")
        op.drop_column(table, "tags")
