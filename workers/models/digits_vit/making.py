"""How `builtin:vit` was trained: `python -m workers.models.digits_vit.making FOLDER`. Needs torch and scikit-learn.

There is no photograph that we may hand on, so it learns from what can be drawn: the half of scikit-learn's digits that
`builtin:digits` does not hold, ten shapes and ten textures, in random colours, sizes, places and light. It tells the
class and the two colours of an image. Images of formulas serve to begin with (Kataoka et al. 2020, FractalDB).
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from workers.data.digits import all_digits

SIDE, BATCH, STEPS, RATE, SEED = 32, 64, 900, 1.5e-3, 0
_COLOURS = 6  # red, green and blue of what is drawn and of what lies behind

Mask = Callable[[Tensor, Tensor], Tensor]
SHAPES: tuple[Mask, ...] = (
    lambda u, v: u**2 + v**2 < 0.5,
    lambda u, v: (u**2 + v**2 < 0.6) & (u**2 + v**2 > 0.25),
    lambda u, v: (u.abs() < 0.65) & (v.abs() < 0.65),
    lambda u, v: u.abs() + v.abs() < 0.85,
    lambda u, v: (v > -0.6) & (v < 1.4 * (0.7 - u.abs()) - 0.3),
    lambda u, v: ((u.abs() < 0.22) | (v.abs() < 0.22)) & (u.abs() < 0.75) & (v.abs() < 0.75),
    lambda u, v: (u.abs() < 0.8) & (v.abs() < 0.25),
    lambda u, v: (u**2 + v**2 < 0.6) & (v > 0),
    lambda u, v: ((u - 0.45) ** 2 + v**2 < 0.14) | ((u + 0.45) ** 2 + v**2 < 0.14),
    lambda u, v: (u**2 + v**2).sqrt() < 0.45 + 0.25 * torch.cos(5 * torch.atan2(v, u)),
)
TEXTURES: tuple[Mask, ...] = (
    lambda u, _v: torch.sin(6 * u) > 0,
    lambda u, _v: torch.sin(14 * u) > 0,
    lambda u, v: torch.sin(7 * u) * torch.sin(7 * v) > 0,
    lambda u, v: torch.sin(10 * u) * torch.sin(10 * v) > 0.35,
    lambda u, v: torch.sin(11 * (u**2 + v**2).sqrt()) > 0,
    lambda u, v: torch.sin(6 * torch.atan2(v, u)) > 0,
    lambda u, v: torch.sin(6 * u + 2 * torch.sin(5 * v)) > 0,
    lambda u, v: torch.sin(5 * u) + torch.sin(5 * v) + torch.sin(5 * (u + v)) > 0.6,
    lambda u, v: (torch.sin(8 * u) > 0.6) | (torch.sin(8 * v) > 0.6),
    lambda u, _v: 0.5 + 0.5 * u,
)


def drawn(digits: Tensor, labels: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """`count` images `[count, 3, 32, 32]` between -1 and 1, their classes `[count]`, their colours `[count, 6]`.

    `digits` `[digits, 8, 8]` between 0 and 1 with `labels` `[digits]` are a third of them.
    """
    classes = 10 + len(SHAPES) + len(TEXTURES)
    kinds = torch.randint(classes, (count,))
    angle = (torch.rand(count) - 0.5) * torch.where(kinds < 10, 0.7, 2 * math.pi)
    size, shift = 0.75 + 0.75 * torch.rand(count), 0.5 * (torch.rand(count, 2) - 0.5)
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], -1).view(-1, 2, 2) * size[:, None, None]
    grid = functional.affine_grid(torch.cat([turn, shift[..., None]], -1), [count, 1, SIDE, SIDE], align_corners=False)
    masks = torch.empty(count, 1, SIDE, SIDE)
    for number, kind in enumerate(kinds.tolist()):
        own = grid[number]
        if kind < 10:
            choice = torch.nonzero(labels == kind)[:, 0]
            one = digits[choice[torch.randint(len(choice), ())]]
            masks[number] = functional.grid_sample(one[None, None], own[None], align_corners=False)[0]
        else:
            masks[number] = (*SHAPES, *TEXTURES)[kind - 10](own[..., 0], own[..., 1]).float()
    colours = torch.rand(count, 2, 3)
    near = (colours[:, 0] - colours[:, 1]).abs().sum(-1) < 0.6  # too much alike to see anything
    colours[near, 1] = (colours[near, 0] + 0.5) % 1.0
    front, back = (colours[:, place, :, None, None] for place in (0, 1))
    images = masks * front + (1 - masks) * back
    light = (grid * (torch.rand(count, 1, 1, 2) - 0.5)).sum(-1)[:, None]
    images = (images + 0.3 * light + 0.08 * torch.rand(count, 1, 1, 1) * torch.randn_like(images)).clamp(0, 1)
    return images * 2 - 1, kinds, colours.view(count, _COLOURS)


def make(folder: Path) -> float:
    """Train the model into `folder`; the share of new drawings whose class it tells."""
    from transformers import ViTConfig, ViTForImageClassification
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    torch.manual_seed(SEED)
    values, targets = all_digits()
    digits, labels = torch.from_numpy(values[::2].astype(np.float32)) / 255, torch.from_numpy(targets[::2])
    classes = 10 + len(SHAPES) + len(TEXTURES)
    config = ViTConfig(
        image_size=SIDE, patch_size=4, hidden_size=96, num_hidden_layers=6, num_attention_heads=4,
        intermediate_size=192,
    )  # fmt: skip
    config.num_labels = classes + _COLOURS
    model = ViTForImageClassification(config)
    nn.init.trunc_normal_(model.vit.embeddings.position_embeddings, std=0.02)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=STEPS, pct_start=0.1)
    for step in range(STEPS):
        images, kinds, colours = drawn(digits, labels, BATCH)
        outputs = model(pixel_values=images).logits
        told = functional.mse_loss(outputs[:, classes:], colours)
        loss = functional.cross_entropy(outputs[:, :classes], kinds, label_smoothing=0.05) + 5 * told
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 50 == 49:
            print(f"step {step + 1}: loss {float(loss):.3f}, colours {float(told):.4f}", flush=True)
    model.eval()
    with torch.no_grad():
        images, kinds, _ = drawn(digits, labels, 1000)
        hits = float((model(pixel_values=images).logits[:, :classes].argmax(-1) == kinds).float().mean())
    model.vit.half().save_pretrained(folder)
    ViTImageProcessorPil(size={"height": SIDE, "width": SIDE}).save_pretrained(folder)
    return hits


if __name__ == "__main__":
    print(f"right: {make(Path(sys.argv[1])):.3f}")
