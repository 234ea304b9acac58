"""One file for each type of task; see docs/adding-a-task.md."""
