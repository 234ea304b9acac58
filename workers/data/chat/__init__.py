"""Conversations: the forms they are written in, and the text that a template makes of them."""
