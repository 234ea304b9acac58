"""How good written answers are: one file for each score. They import no torch."""
