"""Jobs whose trials follow a plan: what they train, in which stages, and what is concluded from it."""
