"""`python -m benchmarks.sft.recycling`: greedy answers with drafts from a table of recycled tokens, beside plain ones.

Token Recycling (Luo et al. 2024, arXiv 2408.08696): of every token that a model has read, a table remembers which were
likeliest to come next. From these a tree of drafts is grown, one pass reads all of it, and the longest branch that the
model would have written itself is kept. Processor time of one core, answers of built-in prompts; the record goes to
`benchmarks/results/recycling.json`. Why the product does not answer so: docs/decisions/no-recycled-drafts.md.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from workers.data.pysft import read_pysft
from workers.generation.answers import answer
from workers.generation.prompts import prompt_of
from workers.generation.settings import GenerationSettings
from workers.models.heads import CAUSAL
from workers.models.loading import load_base, load_tokenizer

MODEL = "builtin:smollm2"
RESULTS = Path(__file__).parents[1] / "results" / "recycling.json"
_KEPT = 8
"""Successors that are remembered of a token."""
_TREE = (6, 3, 2, 2, 1, 1)
"""Children of the first node of each level of the tree; its later nodes have fewer."""


@dataclass(frozen=True)
class Tree:
    """The shape of all drafts: node 0 is the last token that is sure.

    Attributes:
        parents: of each node, before it in order; that of node 0 is -1.
        ranks: which of its parent's remembered successors a node is.
        depths: steps from node 0.
    """

    parents: tuple[int, ...]
    ranks: tuple[int, ...]
    depths: tuple[int, ...]

    @classmethod
    def grown(cls, children: Sequence[int] = _TREE) -> Tree:
        """Likely nodes have many children: node i of a level has those of the first, divided by i + 1."""
        parents, ranks, depths, level = [-1], [0], [0], [0]
        for depth, most in enumerate(children, start=1):
            following: list[int] = []
            for place, node in enumerate(level):
                for rank in range(most // (place + 1)):
                    following.append(len(parents))
                    parents.append(node)
                    ranks.append(rank)
                    depths.append(depth)
            level = following
        return cls(tuple(parents), tuple(ranks), tuple(depths))

    def sees(self) -> Tensor:
        """`[nodes, nodes]`: which nodes a node attends to, its forefathers and itself."""
        found = torch.eye(len(self.parents), dtype=torch.bool)
        for node, parent in enumerate(self.parents):
            if parent >= 0:
                found[node] |= found[parent]
        return found


@dataclass
class Recycler:
    """Writes answers of one prompt at a time, and remembers between them what followed what.

    Attributes:
        model: a decoder of transformers whose layers see every token before them.
        table: `[vocabulary, 8]` the likeliest successors of each token when it was last read; -1 where it was not.
        passes: passes over the model that the last answer took.
    """

    model: Any
    table: Tensor
    tree: Tree
    passes: int = 0

    @classmethod
    def of(cls, model: Any) -> Recycler:
        """A table without memories. It takes 64 bytes for each token of the vocabulary."""
        vocabulary = model.get_input_embeddings().weight.shape[0]
        device = next(model.parameters()).device
        return cls(model, torch.full((vocabulary, _KEPT), -1, device=device), Tree.grown())

    @torch.inference_mode()
    def write(self, prompt: Sequence[int], most: int, stops: Sequence[int]) -> list[int]:
        """At most `most` tokens that follow a prompt, up to the first of `stops`, that included."""
        from transformers import DynamicCache

        device = self.table.device
        cache: Any = DynamicCache(config=self.model.config)
        ids = torch.tensor([list(prompt)], device=device)
        logits = self.model(input_ids=ids, past_key_values=cache, use_cache=True).logits[0]
        self._remember(ids[0], logits)
        written, self.passes = [int(logits[-1].argmax())], 1
        while len(written) < most and written[-1] not in stops:
            sure = self._step(cache, written[-1])
            end = next((place for place, token in enumerate(sure) if token in stops), len(sure) - 1)
            sure = sure[: min(end + 1, most - len(written))]
            written += sure
        return written

    def _step(self, cache: Any, last: int) -> list[int]:
        """Read a tree of drafts behind `last`; the tokens that are sure now, one at least."""
        nodes, tokens = self._drafts(last)
        before, count = cache.get_seq_length(), len(nodes)
        ids = torch.tensor([tokens], device=self.table.device)
        depths = torch.tensor([[self.tree.depths[node] for node in nodes]], device=ids.device)
        mask = torch.ones(count, before + count, dtype=torch.bool, device=ids.device)
        mask[:, before:] = self.tree.sees().to(ids.device)[nodes][:, nodes]
        logits = self.model(
            input_ids=ids,
            attention_mask=mask[None, None],
            position_ids=before + depths,
            past_key_values=cache,
            use_cache=True,
        ).logits[0]
        self.passes += 1
        self._remember(ids[0], logits)
        branch, sure = self._accepted(nodes, tokens, logits.argmax(-1).tolist())
        kept = torch.tensor([*range(before), *(before + place for place in branch)], device=ids.device)
        for layer in cache.layers:
            layer.keys, layer.values = layer.keys[:, :, kept], layer.values[:, :, kept]
        return sure

    def _drafts(self, last: int) -> tuple[list[int], list[int]]:
        """The nodes of the tree that have a token, and their tokens."""
        nodes, tokens, of = [0], [last], {0: last}
        successors: dict[int, list[int]] = {}
        for node in range(1, len(self.tree.parents)):
            parent = of.get(self.tree.parents[node])
            if parent is None:
                continue
            if parent not in successors:
                successors[parent] = self.table[parent].tolist()
            token = successors[parent][self.tree.ranks[node]]
            if token >= 0:
                of[node] = token
                nodes.append(node)
                tokens.append(token)
        return nodes, tokens

    def _accepted(self, nodes: list[int], tokens: list[int], wanted: list[int]) -> tuple[list[int], list[int]]:
        """Places of the nodes on the branch that the model writes itself, and its tokens with the one behind them."""
        branch, sure = [0], [wanted[0]]
        for place in range(1, len(nodes)):
            if self.tree.parents[nodes[place]] == nodes[branch[-1]] and tokens[place] == sure[-1]:
                branch.append(place)
                sure.append(wanted[place])
        return branch, sure

    def _remember(self, tokens: Tensor, logits: Tensor) -> None:
        self.table[tokens] = logits.topk(_KEPT, dim=-1).indices


def main() -> None:
    """Measure and print the record."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sft.recycling", description=__doc__)
    parser.add_argument("--prompts", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=64, help="tokens of an answer at most")
    parser.add_argument("--formats", nargs="+", default=["float32", "bfloat16"])
    given = parser.parse_args()
    torch.set_num_threads(1)
    record = {"model": MODEL, **{name: measured(name, given.prompts, given.tokens) for name in given.formats}}
    RESULTS.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record, indent=1))


def measured(number_format: str, prompts: int, tokens: int) -> dict[str, Any]:
    """Seconds of both ways for the same prompts, and how many answers are the same."""
    model = load_base(MODEL, 0, kind=CAUSAL).model.to(getattr(torch, number_format))
    tokenizer = load_tokenizer(MODEL)
    stops = [int(tokenizer.eos_token_id)]
    recycler, settings = Recycler.of(model), GenerationSettings(max_new_tokens=tokens)
    plain = drafted = 0.0
    same = passes = written = 0
    for text in read_pysft("validation")["prompt"][:prompts]:
        ids = prompt_of([{"role": "user", "content": text}], tokenizer)
        started = time.process_time()
        (expected,) = answer(model, tokenizer, [ids], settings)
        plain += time.process_time() - started
        started = time.process_time()
        found = recycler.write(ids, tokens, stops)
        drafted += time.process_time() - started
        same += str(tokenizer.decode(found, skip_special_tokens=True)).strip() == expected.text
        passes, written = passes + recycler.passes, written + len(found)
    return {
        "times as fast": round(plain / drafted, 2),
        "tokens a pass": round(written / passes, 2),
        "answers that are the same": f"{same} of {prompts}",
    }


if __name__ == "__main__":
    main()
