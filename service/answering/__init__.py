"""Answers that take seconds: computed in processes of their own, a few at a time, within bounds of time and memory."""
