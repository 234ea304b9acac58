"""The language of search spaces and the ready-made spaces."""
