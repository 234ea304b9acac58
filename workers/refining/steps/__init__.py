"""One file for each step of a refine job."""
