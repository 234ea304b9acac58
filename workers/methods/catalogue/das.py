"""`das`: layers that are not run, found by a bandit while adapters learn to stand for them.

Certain: a bandit over which modules are redundant, taught by the losses under drawn sets while the adapters are
trained, then the most redundant are left out for good and adapters take their place. Choices: whole layers are left
out, never the first, which language models count their cached tokens by; one adapter for each layer is parallel to its
feed-forward part, or stands for it; losses are of training rows, three sets at a time; importance moves as in IST.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

from search_spaces.parameters import Float, Int, Ordinal
from search_spaces.presets.autopeft import sizes
from search_spaces.priors import Bell
from workers.methods.attached import TrainingSetup
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates
from workers.methods.declaration.module_rates import PARALLEL_SCALE, module_rate
from workers.methods.declaration.needs import OWN_LAYERS, SHARED_ATTENTION, SUBLAYERS
from workers.methods.declaration.own_method import OwnHooks, own_method
from workers.models.description import ModelDescription

if TYPE_CHECKING:
    import torch
    from torch import nn

    from workers.methods.forms.bypassed import Bandit, Bypass
    from workers.models.loading import Base

_SETS = 3  # compared at a time
_COMPARISONS = 24  # in a search, at most
_ROWS = 32  # that they are compared on


def _knobs(model: ModelDescription) -> Knobs:
    most = max(1, model.shape.layers // 2)
    own = (
        Ordinal("size", sizes(model.shape.hidden_size)[1:]),
        Int("skipped", 1, most, prior=Bell(max(1, most // 2), spread=0.5)),
        Float("search_share", 0.1, 0.7, prior=Bell(0.4, spread=0.3)),
    )
    return Knobs(own)


def _install(base: Base, knobs: KnobValues, generator: torch.Generator) -> dict[str, nn.Parameter]:
    import torch

    from workers.methods.forms.bottleneck import Bottleneck, adapt_feed_forward
    from workers.methods.forms.bypassed import Bypass

    anatomy, device = base.description.anatomy, base.model.device
    draw = int(torch.randint(2**31, (), generator=generator))
    trained: dict[str, nn.Parameter] = {}
    for index in range(anatomy.layers):
        layer = base.model.get_submodule(f"{anatomy.layers_path}.{index}")
        adapter = Bottleneck(anatomy.hidden_size, knobs["size"], PARALLEL_SCALE, generator).to(device)
        adapt_feed_forward(anatomy, layer, None, adapter)
        if index > 0:
            Bypass(adapter, draw).to(device).around(layer, anatomy.layers_return_tuples)
        trained |= {f"{index}.{name}": value for name, value in adapter.named_parameters()}
    return trained


def bypasses(base: Base) -> list[Bypass]:
    """What may stand for the layers, in their order."""
    from workers.methods.forms.bypassed import Bypass

    return [module for module in base.model.modules() if isinstance(module, Bypass)]


def _search(base: Base, knobs: KnobValues, setup: TrainingSetup, step: int) -> None:
    """Compare sets when it is due, draw that of the next step, and at the end of the search settle."""
    from workers.methods.forms.bypassed import Bandit

    last = max(1, round(knobs["search_share"] * setup.total_steps))
    if step > last:
        return
    bandit = Bandit(bypasses(base), knobs["skipped"])
    interval = max(1, last // _COMPARISONS)
    if step % interval == 0:
        _compare(base, bandit, setup, step, interval)
    bandit.skip(bandit.best() if step == last else bandit.drawn(step))


def _compare(base: Base, bandit: Bandit, setup: TrainingSetup, step: int, interval: int) -> None:
    import torch

    sets = [bandit.drawn(step, number) for number in range(1, _SETS + 1)]
    # Another batch each time, as far as they go.
    (found,) = deque(islice(setup.batches(_ROWS), step // interval + 1), maxlen=1)
    training = [module for module in base.model.modules() if module.training]
    losses = []
    try:
        for module in training:
            module.training = False
        with torch.no_grad():
            for places in sets:
                bandit.skip(places)
                losses.append(float(setup.loss(setup.outputs(base.model, found), found["labels"])))
    finally:
        for module in training:
            module.training = True
    bandit.learn(sets, losses)


def _parameters(model: ModelDescription, knobs: KnobValues) -> int:
    hidden, size = model.shape.hidden_size, int(knobs["size"])
    return int(model.shape.layers * (2 * hidden * size + size + hidden))


def _rate_factor(name: str, knobs: KnobValues) -> float:
    return module_rate(
        f"{name.partition('.')[0]}.parallel.{name.partition('.')[2]}", int(knobs["size"]), PARALLEL_SCALE
    )


METHODS = (
    own_method(
        "das",
        family="adapter",
        summary="layers that are not run, found by a bandit, with adapters in their place",
        source="Wu et al. 2023, DAS, arXiv 2309.01479",
        learning_rates=LearningRates(5e-5, 2e-3, 8e-4),
        knobs=_knobs,
        install=_install,
        trainable_parameters=_parameters,
        lowest_layer=lambda _model, _knobs: 0,
        hooks=OwnHooks(after_step=_search, rate_factor=_rate_factor),
        mergeable=False,
        needs=(SUBLAYERS, SHARED_ATTENTION, OWN_LAYERS),
    ),
)
