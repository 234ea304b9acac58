"""Projects: jobs, answers and idempotency keys belong to one, as tokens did already."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_OTHERS = "project <> 'default'"


def upgrade() -> None:
    """What there is belongs to the project `default`, where all tokens were."""
    op.add_column("jobs", _project())
    op.create_index(op.f("ix_jobs_project_created_at_id"), "jobs", ["project", "created_at", "id"], unique=False)
    with op.batch_alter_table("answers") as answers:
        answers.add_column(_project())
        answers.drop_constraint("uq_answers_kind_name_version", type_="unique")
        answers.create_unique_constraint("uq_answers_project_kind_name_version", ["project", "kind", "name", "version"])
    _make_keys(["project", "key"], "SELECT 'default', key, body, job_id, created_at FROM idempotency_keys")


def downgrade() -> None:
    """Everything is in one project again. Names and keys of others carry theirs, so that none is lost or mistaken."""
    op.execute(f"UPDATE answers SET name = project || '/' || name WHERE {_OTHERS}")
    op.execute(f"UPDATE idempotency_keys SET key = project || '/' || key WHERE {_OTHERS}")
    _make_keys(["key"], "SELECT key, body, job_id, created_at FROM idempotency_keys")
    with op.batch_alter_table("answers") as answers:
        answers.drop_constraint("uq_answers_project_kind_name_version", type_="unique")
        answers.drop_column("project")
        answers.create_unique_constraint("uq_answers_kind_name_version", ["kind", "name", "version"])
    op.drop_index(op.f("ix_jobs_project_created_at_id"), "jobs")
    op.drop_column("jobs", "project")


def _project() -> sa.Column[str]:
    return sa.Column("project", sa.String(length=64), nullable=False, server_default="default")


def _make_keys(primary: list[str], rows: str) -> None:
    """Build the table of keys anew: neither database changes a primary key in place alike."""
    op.create_table(
        "new_idempotency_keys",
        *(sa.Column(name, sa.String(length=64), nullable=False) for name in primary if name == "project"),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("body", sa.String(length=64), nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_idempotency_keys_job_id_jobs"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint(*primary, name=op.f("pk_new_idempotency_keys")),
    )
    op.execute(f"INSERT INTO new_idempotency_keys {rows}")
    op.drop_table("idempotency_keys")
    op.rename_table("new_idempotency_keys", "idempotency_keys")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER INDEX pk_new_idempotency_keys RENAME TO pk_idempotency_keys")
    op.create_index(op.f("ix_idempotency_keys_job_id"), "idempotency_keys", ["job_id"], unique=False)
