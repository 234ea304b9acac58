"""A tiny ViT or DeiT with its image processor, written to disk."""

from __future__ import annotations

from pathlib import Path

import torch
import transformers
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

SIDE = 16


def write_vision_model(folder: Path, kind: str = "ViT", size: int = SIDE) -> Path:
    """Patches of 8 pixels: four of them, and one or two tokens of the model's own; `size` is the processor's."""
    config = getattr(transformers, f"{kind}Config")(
        image_size=SIDE, patch_size=8, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = getattr(transformers, f"{kind}ForImageClassification")(config)
        for name, parameter in model.named_parameters():
            if parameter.ndim == 1 and name.endswith("bias"):
                torch.nn.init.normal_(parameter, std=0.02)
    model.save_pretrained(folder)
    ViTImageProcessorPil(size={"height": size, "width": size}).save_pretrained(folder)
    return folder
