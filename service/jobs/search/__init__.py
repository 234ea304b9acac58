"""`kind: search`: configurations of a space, proposed by an optimizer."""
