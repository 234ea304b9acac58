"""What packs gain on a GPU: `python -m benchmarks.gpu`. Needs torch, transformers and peft, no service and no data."""
