"""`builtin:vit`: a small ViT of our own, in files beside this one. See docs/decisions/small-vit.md."""

from __future__ import annotations

from pathlib import Path


def folder() -> Path:
    """Where `from_pretrained` finds it."""
    return Path(__file__).resolve().parent
