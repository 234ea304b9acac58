"""LLAMBO (Liu et al. 2024): a language model proposes configurations and predicts how good they are."""
