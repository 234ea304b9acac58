"""What leaving training rows out is worth where some are wrong: filters beside random rows of the same number."""
