"""Training strategies: which parameters a step updates, and how their gradients become a step."""
