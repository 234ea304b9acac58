"""What a trained model says of each row that it is measured on, in files beside its adapter. Needs torch."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from workers.engines.inputs import Inputs
from workers.engines.passes import WholePass, evaluation_batches
from workers.methods.attached import Attached


@torch.no_grad()
def keep_predictions(folder: Path, attached: Attached, evaluated: Inputs) -> None:
    """Write what the type of task gives as predictions; nothing where the job asks for none."""
    if evaluated.criterion.predictions is None:
        return
    found, split = evaluated.criterion.predictions(), WholePass(attached.model, evaluated)
    attached.set_training(False)
    try:
        for rows in evaluation_batches(split):
            found.add(split.outputs(rows).float(), evaluated.targets(rows))
    finally:
        attached.set_training(True)
    for name, content in found.files().items():
        (folder / name).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
