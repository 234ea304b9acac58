"""Metrics of a user's own, in `task.judges`: files of the operator's, judges over HTTP, tasks of lm-eval."""
