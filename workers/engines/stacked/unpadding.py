"""Let the layers of a base compute on tokens side by side, where that is known to give what padded rows give.

Embeddings, masks and heads run on padded rows as ever, by the model's own code; in front of the first layer the padding
is left out, behind the last it is put back. In between nothing but attention looks at more than one token. Whether that
is so for a class of model is tried out once on each base.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn

from workers.engines.batches import longest_of, side_by_side
from workers.engines.inputs import Inputs
from workers.engines.passes import WholePass
from workers.engines.stacked import attention
from workers.engines.stacked.layout import Layout
from workers.engines.stacked.unpadded import Plan, Unpadded, plan
from workers.engines.transfers import to_device
from workers.models.half_precision import holds_bfloat16
from workers.models.loading import Base

_TRIED: WeakKeyDictionary[nn.Module, str | None] = WeakKeyDictionary()
_ROWS = 4  # that it is tried on
_CLOSE = {True: 5e-2, False: 1e-4}  # relative difference of outputs that rounding explains, of bases in bfloat16 or not


def on_device(planned: Plan, device: torch.device) -> Unpadded:
    """What a plan says, as a pass takes it."""
    arrays = {name: to_device(values, device) for name, values in planned.arrays().items()}
    return Unpadded(planned.block, longest=planned.longest, **arrays)


@contextmanager
def unpadded_layers(base: Base, layout: Layout, lowest_layer: int, last_narrowed: bool) -> Iterator[bool]:
    """Inside, passes that `layout` has a plan for run the layers from `lowest_layer` on without padding.

    With `last_narrowed` the last layer computes one token of each row, and has padded rows. Yields False, and changes
    nothing, where no layer is left.
    """
    layers = list(base.model.get_submodule(base.description.anatomy.layers_path).children())[lowest_layer:]
    layers = layers[:-1] if last_narrowed else layers
    if not layers:
        yield False
        return
    hooks = [one.register_forward_pre_hook(_Entry(layout, one is layers[0]), with_kwargs=True) for one in layers]
    hooks.append(layers[-1].register_forward_hook(_exit(layout)))
    try:
        with attention.members_attend(base, layout):
            yield True
    finally:
        for hook in hooks:
            hook.remove()


class _Entry:
    """In front of a layer: what is of single positions is taken without padding, hidden states by the first alone."""

    def __init__(self, layout: Layout, first: bool) -> None:
        self._layout, self._first = layout, first

    def __call__(
        self, _layer: nn.Module, args: tuple[Any, ...], options: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        tokens = self._layout.unpadded
        if tokens is None:
            return None
        given = {name: self._table(tokens, name, value) for name, value in options.items()}
        if not self._first:
            return args, given
        self._layout.inside = True
        if args:
            return (tokens.tokens(args[0]), *args[1:]), given
        return args, given | {"hidden_states": tokens.tokens(options["hidden_states"])}

    def _table(self, tokens: Unpadded, name: str, value: Any) -> Any:
        """Rotary tables and the like; masks stay those of padded rows, which attention meets them with."""
        if "mask" in name or name == "hidden_states":
            return value
        if isinstance(value, tuple):
            return tuple(self._table(tokens, name, one) for one in value)
        if isinstance(value, Tensor) and value.ndim >= 2 and value.shape[1] == tokens.longest:
            return tokens.table(value) if value.shape[0] in (1, tokens.rows) else value
        return value


def _exit(layout: Layout) -> Any:
    """Behind the last layer: rows are padded again."""

    def put_back(_layer: nn.Module, _args: Any, output: Any) -> Any:
        tokens = layout.current
        if tokens is None:
            return output
        layout.inside = False
        if isinstance(output, Tensor):
            return tokens.padded(output)
        return (tokens.padded(output[0]), *output[1:])

    return put_back


def why_padded(base: Base, inputs: Inputs) -> str | None:
    """Why passes of this base are padded; None where they need not be. `inputs` are some of its rows."""
    if base.model not in _TRIED:
        _TRIED[base.model] = _tried(base, inputs)
    return _TRIED[base.model]


def _tried(base: Base, inputs: Inputs) -> str | None:
    if base.model.config._attn_implementation not in ("sdpa", attention.IMPLEMENTATION):
        return f"its attention is {base.model.config._attn_implementation}"
    together = inputs.criterion.together
    order = np.argsort(longest_of(inputs.lengths[: len(inputs) // together * together], together), kind="stable")
    rows = side_by_side(order[np.linspace(0, len(order) - 1, _ROWS).astype(int)], together)
    lengths = inputs.lengths[rows]
    if lengths.min() == lengths.max():
        return "its rows are of one length"
    layout = Layout(1, inputs.device, looped=False)
    layout.arrange([(0, len(rows), int(lengths.max()))])
    planned = on_device(plan(layout.stretches, lengths, int(lengths.max()), few_shapes=True), inputs.device)
    whole = WholePass(base.model, inputs)
    try:
        with torch.no_grad(), ExitStack() as undo:
            padded = whole.outputs(rows).float()
            undo.enter_context(unpadded_layers(base, layout, 0, last_narrowed=False))
            with layout.without_padding(planned):
                found = whole.outputs(rows).float()
    except Exception as error:  # a class of model that hands something else from layer to layer
        return f"its layers do not take tokens side by side: {type(error).__name__}: {str(error)[:100]}"
    if layout.attentions < base.description.anatomy.layers:
        return "attention of some layers is their own"
    if inputs.criterion.targets != "row" and not inputs.criterion.scored:
        real = torch.arange(found.shape[1], device=found.device) < to_device(lengths, inputs.device)[:, None]
        padded, found = padded[real], found[real]
    apart = float((found - padded).norm() / padded.norm().clamp_min(1e-12))
    if not apart <= _CLOSE[holds_bfloat16(base) or found.device.type != "cpu"]:
        return f"its outputs differ by {apart:.1e} from those of padded rows"
    return None
