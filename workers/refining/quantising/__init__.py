"""Whole numbers for the weights of a winner, block after block."""
