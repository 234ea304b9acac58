"""What a job needs next: of a search, and of a job that follows a plan."""
