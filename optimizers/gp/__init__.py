"""Bayesian optimization with Gaussian processes: features, regression, improvement, candidates, and the optimizer."""
