"""One PEFT method (with its variants) per file; `workers.methods.registry` reads them all."""
