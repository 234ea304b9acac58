"""The language of search spaces (`space`, `parameters`, `conditions`, `constraints`) and ready-made ones (`presets`)."""
