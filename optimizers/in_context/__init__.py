"""Search by a network that has learnt from past jobs how to foretell trials, and reads this job's as its context."""
