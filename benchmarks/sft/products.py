"""The products with frozen weights that no trainer of these adapters can do without, and nothing else.

A pass forward through every layer that is trained, one back to its input, and both through the head for tokens that
are wanted; the layers below once for every row, unless their states are stored, and of pairs all layers forward once
for what the base says of them, unless that is. Numbers are random: products take as long with any.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from benchmarks.sft.clock import answer
from benchmarks.sft.plan import MODEL, Plan
from workers.models.heads import CAUSAL
from workers.models.loading import load_base


def prepared(plan: Plan) -> Callable[[], list[float]]:
    """Everything but the products."""
    torch.set_num_threads(1)
    base = load_base(MODEL, 0, kind=CAUSAL)
    number = torch.bfloat16 if plan["precision"] == "bf16" else torch.float32
    stack = base.model.get_submodule(base.description.anatomy.layers_path)
    assert isinstance(stack, nn.ModuleList)
    layers = [[one.weight.to(number) for one in layer.modules() if isinstance(one, nn.Linear)] for layer in stack]
    head = base.model.get_output_embeddings().weight.to(number)
    lowest = len(layers) - int(plan["knobs"]["top_layers"])

    def train() -> list[float]:
        for epoch in range(plan["epochs"]):
            for tokens, wanted in _steps(plan):
                if epoch == 0 and not plan["states_stored"]:
                    _products(layers[:lowest], tokens, back=False)
                if epoch == 0 and not plan["likelihoods_stored"]:
                    _products(layers, tokens, back=False)
                    _products([[head]], wanted, back=False)
                _products(layers[lowest:], tokens, back=True)
                _products([[head]], wanted, back=True)
        return []

    return train


def _steps(plan: Plan) -> Iterator[tuple[int, int]]:
    """Tokens of each step of an epoch, padding left out, and how many of them are wanted."""
    size = plan["rows_per_step"]
    for start in range(0, len(plan["input_ids"]), size):
        rows, targets = plan["input_ids"][start : start + size], plan["targets"][start : start + size]
        yield sum(map(len, rows)), sum(one != plan["ignored"] for row in targets for one in row)


def _products(layers: list[list[Tensor]], tokens: int, back: bool) -> None:
    for weight in (one for layer in layers for one in layer):
        output = torch.ones(tokens, weight.shape[1], dtype=weight.dtype) @ weight.T
        if back:
            output @ weight


def main() -> None:
    """Answer a plan on standard input with what its products take."""
    with torch.inference_mode():
        answer(prepared)


if __name__ == "__main__":
    main()
