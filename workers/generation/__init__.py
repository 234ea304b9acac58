"""Answers of causal language models: how they are written, scored and kept."""
