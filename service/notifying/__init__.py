"""Tells the addresses that are allowed what has happened."""
