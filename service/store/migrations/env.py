"""Run by Alembic, only ever with the open transaction that `service.store.migrate` hands over."""

from alembic import context

from service.store.tables import Table

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Table.metadata,
    render_as_batch=True,  # SQLite alters a table by copying it
)
with context.begin_transaction():
    context.run_migrations()
