"""What is taken home of a winner beside its adapter: whole checkpoints, GGUF files, commands that serve it."""
