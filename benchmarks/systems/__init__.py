"""The published systems, row by row: what each one is here, the job that reaches it, the tests of what it promises."""
