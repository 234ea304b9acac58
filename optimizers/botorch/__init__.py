"""Optimizers that stand on BoTorch: its models and acquisitions over our encoding. Needs the extra `botorch`."""
