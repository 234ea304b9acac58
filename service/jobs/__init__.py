"""What a kind of job is: its spec, its admission, and what its trials tell. One folder for each kind."""
