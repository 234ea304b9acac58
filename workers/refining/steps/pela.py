"""`pela`: compression by low rank before tuning (Guo et al. 2023, PELA, arXiv 2310.10700).

Certain: weights are truncated by their singular values, the small model learns the features of the large one, then it
is tuned. Choices: the large model is a winner folded into its base; features are what the last layer gives, on the
task's texts; the bound on how far weights may move while they learn is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import torch
from torch import Tensor, nn

from workers.assignment import Outcome
from workers.methods.attached import Attached, Batch, TrainingSetup
from workers.methods.forms.factorised import Factorised, nearest_factors
from workers.refining.folding import folded, head_prefixes
from workers.refining.quantising.blocks import first_of, real_tokens
from workers.refining.retraining import beside, retrained
from workers.refining.scene import Scene, Tensors

_ROWS = 16  # of a batch


def pela(scene: Scene) -> Outcome:
    """The source in thin factors: truncated (`truncated_…`), distilled (`distilled_…`), then tuned.

    `feature_error` and `truncated_feature_error` are squared errors of the last layer's states over their size.
    """
    large, setup, given = folded(scene), scene.setup(), scene.given.options
    block = f"{scene.base.description.anatomy.layers_path}.{scene.base.description.anatomy.layers - 1}"
    with scene.attached(scene.given.seed) as attached:
        start = _truncated(large, attached, scene)
        with scene.measuring(attached) as measured:
            truncated = measured(start)
        before = _error(attached.model, large, block, setup)
        _distil(attached, large, block, setup, given["distil_steps"], given["distil_rate"])
        after = _error(attached.model, large, block, setup)
        learnt = {name: value.detach().clone() for name, value in attached.tensors().items()} | _head(large, scene)
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
    return found | _head(large, scene)


def _head(large: nn.Module, scene: Scene) -> Tensors:
    return {name: value for name, value in large.state_dict().items() if name.startswith(head_prefixes(scene.base))}


def _distil(attached: Attached, large: nn.Module, block: str, setup: TrainingSetup, steps: int, rate: float) -> None:
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
        off, size = _squares(attached.model, large, block, setup, batch)
        for value, gradient in zip(factors, torch.autograd.grad(off / size, factors), strict=True):
            value.grad = gradient
        optimizer.step()
        schedule.step()
    for value in factors:
        value.grad = None


def _again_and_again(setup: TrainingSetup) -> Iterator[Batch]:
    while True:
        yield from setup.batches(_ROWS)


@torch.no_grad()
def _error(small: nn.Module, large: nn.Module, block: str, setup: TrainingSetup) -> float:
    """The squared error of features over their own squares, on up to 64 rows."""
    sums = [_squares(small, large, block, setup, batch) for batch in islice(setup.batches(_ROWS), 4)]
    return sum(float(off) for off, _ in sums) / sum(float(size) for _, size in sums)


def _squares(
    small: nn.Module, large: nn.Module, block: str, setup: TrainingSetup, batch: Batch
) -> tuple[Tensor, Tensor]:
    """The sums of squared errors and of squares of the features of a batch, padding left out."""
    with torch.no_grad():
        wanted = _features(large, block, setup, batch)
    real = real_tokens(batch, wanted)
    return ((_features(small, block, setup, batch) - wanted).square() * real).sum(), (wanted.square() * real).sum()


def _features(model: nn.Module, block: str, setup: TrainingSetup, batch: Batch) -> Tensor:
    """What a block gives for a batch [rows, tokens, hidden]."""
    seen: list[Tensor] = []
    handle = model.get_submodule(block).register_forward_hook(lambda _module, _given, out: seen.append(first_of(out)))
    try:
        setup.outputs(model, batch)
    finally:
        handle.remove()
    return seen[0]
