"""Small language models trained from scratch on mixtures of text: stand-ins for a model that would cost too much."""
