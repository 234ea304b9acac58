"""`pela`: compression by low rank before tuning (Guo et al. 2023, PELA, arXiv 2310.10700).

Certain: weights are truncated by their singular values, the small model learns the features of the large one, then it
is tuned. Choices: the large model is a winner folded into its base; features are what each layer gives, on the task's
texts, so that every layer knows what it has to do; the bound on how far weights may move while they learn is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import torch
from torch import Tensor, nn

from workers.assignment import Outcome
from workers.methods.attached import Attached, Batch, TrainingSetup
from workers.methods.calibration import real_tokens, some_batches
from workers.methods.forms.factorised import Factorised, nearest_factors
from workers.refining.folding import folded, head_of
from workers.refining.quantising.blocks import first_of
from workers.refining.retraining import beside, retrained
from workers.refining.scene import Scene, Tensors

_ROWS = 16  # of a batch


def pela(scene: Scene) -> Outcome:
    """The source in thin factors: truncated (`truncated_…`), distilled (`distilled_…`), then tuned.

    `feature_error` and `truncated_feature_error` are squared errors of the last layer's states over their size.
    """
    large, setup, given = folded(scene), scene.setup(), scene.given.options
    anatomy = scene.base.description.anatomy
    blocks = [f"{anatomy.layers_path}.{number}" for number in range(anatomy.layers)]
    with scene.attached(scene.given.seed) as attached:
        start = _truncated(large, attached, scene)
        with scene.measuring(attached) as measured:
            truncated = measured(start)
        before = _error(attached.model, large, blocks, setup)
        _distil(attached, large, blocks, setup, given["distil_steps"], given["distil_rate"])
        after = _error(attached.model, large, blocks, setup)
        learnt = {name: value.detach().clone() for name, value in attached.tensors().items()} | head_of(
            large, scene.base
        )
    outcome = retrained(scene, lambda _attached: learnt, "distilled")
    told = beside("truncated", truncated) | {"feature_error": after, "truncated_feature_error": before}
    return outcome.model_copy(update={"metrics": outcome.metrics | told})


def _truncated(large: nn.Module, attached: Attached, scene: Scene) -> Tensors:
    """The nearest factors to the large model's weights, by the names of the export, and its head."""
    found = {name: value.detach().clone() for name, value in attached.tensors().items()}
    path = f"{scene.base.description.anatomy.layers_path}."
    for name, module in attached.model.named_modules():
        if isinstance(module, Factorised):
            stored = large.get_parameter(f"{name}.weight")
            weight = stored.T if module.transposed else stored
            own = name.removeprefix(path)
            found[f"{own}.second"], found[f"{own}.first"] = nearest_factors(weight, len(module.first))
    return found | head_of(large, scene.base)


def _distil(
    attached: Attached, large: nn.Module, blocks: list[str], setup: TrainingSetup, steps: int, rate: float
) -> None:
    """Train the factors to give the large model's features."""
    factors = [
        value
        for module in attached.model.modules()
        if isinstance(module, Factorised)
        for value in (module.first, module.second)
    ]
    optimizer = torch.optim.Adam(factors, rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, steps))
    for batch in islice(_again_and_again(setup), steps):
        off, size = _squares(attached.model, large, blocks, setup, batch)
        for value, gradient in zip(factors, torch.autograd.grad((off / size).mean(), factors), strict=True):
            value.grad = gradient
        optimizer.step()
        schedule.step()
    for value in factors:
        value.grad = None


def _again_and_again(setup: TrainingSetup) -> Iterator[Batch]:
    while True:
        yield from setup.batches(_ROWS)


@torch.no_grad()
def _error(small: nn.Module, large: nn.Module, blocks: list[str], setup: TrainingSetup) -> float:
    """The squared error of the last block's features over their own squares, on up to 64 rows."""
    sums = [_squares(small, large, blocks, setup, batch) for batch in some_batches(setup, 64)]
    return float(sum(off[-1] for off, _ in sums) / sum(size[-1] for _, size in sums))


def _squares(
    small: nn.Module, large: nn.Module, blocks: list[str], setup: TrainingSetup, batch: Batch
) -> tuple[Tensor, Tensor]:
    """The sums of squared errors and of squares of every block's features of a batch [blocks], padding left out."""
    with torch.no_grad():
        wanted = _features(large, blocks, setup, batch)
    real, found = real_tokens(batch, wanted[0]), _features(small, blocks, setup, batch)
    off = [((mine - theirs).square() * real).sum() for mine, theirs in zip(found, wanted, strict=True)]
    return torch.stack(off), torch.stack([(theirs.square() * real).sum() for theirs in wanted])


def _features(model: nn.Module, blocks: list[str], setup: TrainingSetup, batch: Batch) -> list[Tensor]:
    """What blocks give for a batch, each [rows, tokens, hidden]."""
    seen: list[Tensor] = []
    handles = [
        model.get_submodule(block).register_forward_hook(lambda _module, _given, out: seen.append(first_of(out)))
        for block in blocks
    ]
    try:
        setup.outputs(model, batch)
    finally:
        for handle in handles:
            handle.remove()
    return seen
