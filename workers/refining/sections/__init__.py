"""What a job file says of each step: its options and what they may be. Imports neither torch nor ray."""
