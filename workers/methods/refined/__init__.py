"""Methods that only steps of refine jobs make: without the adapters that they begin with there is nothing to train."""
