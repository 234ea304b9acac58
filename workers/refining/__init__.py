"""What comes after a winner: stored adapters made smaller, merged, pruned or measured, each step one file."""
