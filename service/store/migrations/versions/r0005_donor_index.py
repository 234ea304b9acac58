"""Exploits are found by their donor: deleting a trial must not walk through all of them."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the index."""
    op.create_index(op.f("ix_exploits_donor_id"), "exploits", ["donor_id"], unique=False)


def downgrade() -> None:
    """Drop the index."""
    op.drop_index(op.f("ix_exploits_donor_id"), "exploits")
