"""The door to peftsearch: a typed Python client, the command line and a loader for exported adapters."""
