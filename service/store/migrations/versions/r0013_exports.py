"""Exports: which adapters were downloaded, when, and how often."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Of what was downloaded before, nothing was kept."""
    op.create_table(
        "exports",
        sa.Column("trial_id", sa.String(length=48), nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("adapter", sa.String(length=64), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["trial_id"], ["trials.id"], name=op.f("fk_exports_trial_id_trials"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_exports_job_id_jobs"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("trial_id", name=op.f("pk_exports")),
    )
    op.create_index(op.f("ix_exports_job_id_last_at"), "exports", ["job_id", "last_at"])


def downgrade() -> None:
    """What was downloaded is only for looking on."""
    op.drop_table("exports")
