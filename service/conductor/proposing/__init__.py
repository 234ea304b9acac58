"""Proposals and conclusions: computed in a process of their own, kept ready in a short queue."""
