"""`kind: refine`: from trained adapters to better ones, step by step."""
