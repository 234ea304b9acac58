"""JobSpecs of the kinds that follow a plan instead of searching: what a user submits for them."""
