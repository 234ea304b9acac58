"""Put the updates of all members on the base, and take them off again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from torch import nn

from workers.engines.sharded import whole_at
from workers.engines.stacked.attention import IMPLEMENTATION
from workers.engines.stacked.layout import Layout
from workers.engines.stacked.places import (
    PREFIX_ATTRIBUTE,
    OwnLinear,
    StackedBottleneck,
    StackedLinear,
    StackedNorm,
    StackedPrefix,
)
from workers.engines.stacked.stack import Stack
from workers.methods.declaration.update_forms import Form
from workers.methods.forms.bottleneck import AdaptedAttention, AdaptedBertOutput, AdaptedFeedForward
from workers.models.loading import Base

_BESIDE_LINEAR: frozenset[Form] = frozenset({"low-rank", "scale", "bias"})
_AROUND: frozenset[Form] = frozenset({"serial", "parallel"})


@contextmanager
def updates_on(base: Base, stack: Stack, layout: Layout) -> Iterator[tuple[nn.Module, ...]]:
    """Inside, the base computes with each member's updates on its rows; behind it the base is whole.

    Yields the modules that do it: what is captured reads tensors of theirs.
    """
    forms: dict[str, set[Form]] = {}
    for place, form in sorted(stack.places()):
        forms.setdefault(place, set()).add(form)
    # Sublayers last: what lies inside them is replaced under its own name first.
    order = sorted(forms, key=lambda place: (bool(forms[place] & _AROUND), place))
    modules: list[nn.Module] = []
    with ExitStack() as undo:
        for place in order:
            own = forms[place]
            if "prefix" in own:
                undo.enter_context(_with_prefix(base, place, StackedPrefix(place, stack, layout)))
            with whole_at(base.model, place):
                if own & _AROUND:
                    modules.append(_around(base, place, own, stack, layout))
                elif own - {"prefix"}:
                    modules.append(_instead(base, place, own, stack, layout))
            if own - {"prefix"}:
                undo.enter_context(_replaced(base.model, place, modules[-1]))
        yield tuple(modules)


def _instead(base: Base, place: str, forms: set[Form], stack: Stack, layout: Layout) -> nn.Module:
    """What stands for a linear layer or a norm of the base."""
    original = base.model.get_submodule(place)
    if "head" in forms and isinstance(original, nn.Linear):
        return OwnLinear(original, place, stack, layout)
    if "head" in forms or "norm" in forms:
        return StackedNorm(original, place, "head" if "head" in forms else "norm", stack, layout)
    if unknown := forms - _BESIDE_LINEAR:
        raise ValueError(
            f"{place} has updates of the forms {sorted(forms)}, of which {sorted(unknown)} go nowhere there"
        )
    return StackedLinear(original, place, stack, layout)


def _around(base: Base, place: str, forms: set[Form], stack: Stack, layout: Layout) -> nn.Module:
    """A sublayer with bottlenecks behind and beside it."""
    anatomy = base.description.anatomy
    bottlenecks: dict[Form, nn.Module | None] = {
        form: StackedBottleneck(place, form, stack, layout) if form in forms else None for form in sorted(_AROUND)
    }
    # Below the path of the layers comes a layer's number.
    relative = place.removeprefix(f"{anatomy.layers_path}.").partition(".")[2]
    kind: type[AdaptedBertOutput | AdaptedFeedForward | AdaptedAttention]
    if relative == anatomy.feed_forward:
        kind = AdaptedBertOutput if relative == "output" else AdaptedFeedForward
    else:
        kind = AdaptedBertOutput if anatomy.attention_output else AdaptedAttention
    return kind(base.model.get_submodule(place), bottlenecks["serial"], bottlenecks["parallel"])


@contextmanager
def _with_prefix(base: Base, place: str, prefix: StackedPrefix) -> Iterator[None]:
    attention, config = base.model.get_submodule(place), base.model.config
    before = config._attn_implementation
    if before not in ("sdpa", IMPLEMENTATION):
        raise ValueError(f"prefixes need attention implementation 'sdpa', the model uses {before!r}")
    attention.add_module(PREFIX_ATTRIBUTE, prefix)
    config._attn_implementation = IMPLEMENTATION
    try:
        yield
    finally:
        delattr(attention, PREFIX_ATTRIBUTE)
        config._attn_implementation = before


@contextmanager
def _replaced(model: nn.Module, name: str, module: nn.Module) -> Iterator[None]:
    parent, _, child = name.rpartition(".")
    owner = model.get_submodule(parent)
    original = owner.get_submodule(child)
    setattr(owner, child, module)
    try:
        yield
    finally:
        setattr(owner, child, original)
