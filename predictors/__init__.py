"""Laws and regressions that answer without training."""
