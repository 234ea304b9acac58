"""`make chaos`: a service that is killed, cut off, filled up and misled at seeded moments, and what its job is then."""
