"""`kind: law`: a small designed grid of short trainings, and the law that they obey."""
