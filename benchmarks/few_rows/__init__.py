"""What options for few training rows are worth: altered copies, mixed rows, contrast, neighbours, a pool of texts."""
