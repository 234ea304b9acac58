"""Fine-tuning a language model beside TRL's `SFTTrainer`: the same rows, adapters and steps in one run."""
