"""The language of search spaces (`space` and its parts) and ready-made ones (`presets`)."""
