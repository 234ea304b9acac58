"""The fast engine: the reference's mathematics with the waste removed.

What is gone: the frozen layers below the lowest trained one (their outputs are stored once and read back, over epochs
and trials), the tokens of the last layer that the head never sees, and the optimizer's per-tensor overhead.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from workers.engines.flat_adamw import FlatAdamW
from workers.engines.inputs import Inputs
from workers.engines.one_token import last_layer_for_one_token
from workers.engines.passes import Pass, WholePass, upper_passes
from workers.engines.positions import DrawnPositions
from workers.engines.precision import Precision, computing_in
from workers.engines.prefix_store import PrefixStore
from workers.engines.resident import ResidentBase
from workers.engines.sequences import in_sequences
from workers.engines.trainee import AttachedTrainee
from workers.engines.updates import Updates
from workers.hyperparameters import Hyperparameters
from workers.methods.attached import Attached
from workers.models.half_precision import format_of


@contextmanager
def fast_trainee(
    resident: ResidentBase,
    attached: Attached,
    train: Inputs,
    validation: Inputs,
    hyperparameters: Hyperparameters,
    store: PrefixStore,
    precision: Precision = "fp32",
    strategy: Updates | None = None,
    sequence: int = 0,
    positions: DrawnPositions | None = None,
) -> Iterator[AttachedTrainee]:
    """A trainee that skips every layer it may. On leaving, base and adapter are whole again.

    Training rows share sequences of so many tokens, with 0 none.
    """
    with ExitStack() as undo:
        passes: tuple[Pass, Pass] | None = None
        if attached.lowest_layer < resident.base.description.anatomy.layers:
            undo.enter_context(last_layer_for_one_token(resident.base))
        if attached.lowest_layer > 0 and positions is None:  # else no layer's states stay as they are
            passes = undo.enter_context(
                upper_passes(
                    resident,
                    attached.model,
                    (train, validation),
                    attached.lowest_layer,
                    store,
                    format_of(resident.base),
                )
            )
        if passes is None:  # nothing lies below, or no room for its states: the rest of the gain stays
            passes = (WholePass(attached.model, train), WholePass(attached.model, validation))
        passes = in_sequences(passes[0], sequence), passes[1]
        updates = strategy or FlatAdamW(attached.parameters(), hyperparameters.weight_decay, attached.rate_factors())
        trainee = AttachedTrainee(
            attached, passes, updates, hyperparameters, lambda: computing_in(precision, train.device.type), positions
        )
        try:
            yield trainee
        finally:
            trainee.release()
