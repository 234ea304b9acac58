"""The SQL store. Start at `service.store.store`: `open_store` and `Store`."""
