"""How a PEFT method declares itself. Nothing here imports torch."""
