"""The process that drives running jobs: proposes trials, dispatches them, applies their reports, ends the job."""
