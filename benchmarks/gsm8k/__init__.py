"""Exact match of a winner on GSM8K beside its base."""
