"""Clusters: the machines that each conductor trains on, as it saw them last."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nobody has looked yet."""
    op.create_table(
        "clusters",
        sa.Column("conductor", sa.String(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("nodes", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("conductor", name=op.f("pk_clusters")),
    )


def downgrade() -> None:
    """What was seen is only for looking on."""
    op.drop_table("clusters")
