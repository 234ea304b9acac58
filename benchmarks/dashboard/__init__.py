"""What the dashboard takes with 50,000 trials, measured in a real browser on the real service."""
