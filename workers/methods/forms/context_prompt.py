"""A prompt of training examples, whose embeddings move within a small distance of where they began. Needs torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from workers.methods.attached import Batch
from workers.models.token_scores import LIKELIHOOD, token_scores
from workers.tasks.criterion import IGNORED

FORMAT, INPUT, LABEL = range(3)
"""Kinds of a prompt's tokens: what all examples begin with and what stands before all answers; the rest that is read;
answers, which are learnt and never moved."""
_MOST_ROWS = 512


class ContextPrompt(nn.Module):
    """[E(context) + δ; E(text)]: the tokens of some training rows in front of every text, the nearest example last.

    Buffers `ids`, `kinds` and `shots` `[length]`: the context's tokens, their kinds, and how many examples away from
    the text they are, from 1. `delta` `[length, hidden]` is trained, zero at the start.
    """

    ids: Tensor
    kinds: Tensor
    shots: Tensor

    def __init__(self, words: nn.Module, length: int, hidden: int) -> None:
        super().__init__()
        self.delta = nn.Parameter(torch.zeros(length, hidden))
        for name in ("ids", "kinds", "shots"):
            self.register_buffer(name, torch.zeros(length, dtype=torch.long))
        self._words = [words]  # in a list, so that it does not become a part of this module

    def fill(self, batches: Iterable[Batch]) -> None:
        """Take the context from training rows: whole ones as they fit, the farthest cut at its beginning."""
        examples = list(_chosen(_examples(batches), len(self.ids)))
        front, back = _common([text[: answer.index(True)] for text, answer in examples])
        ids: list[int] = []
        kinds: list[int] = []
        shots: list[int] = []
        for shot, (text, answer) in enumerate(examples, start=1):  # the nearest first
            begins = answer.index(True)
            own = [
                LABEL if learnt else FORMAT if place < front or begins - back <= place < begins else INPUT
                for place, learnt in enumerate(answer)
            ]
            ids, kinds, shots = [*text, *ids], [*own, *kinds], [*[shot] * len(text), *shots]
        for name, values in (("ids", ids), ("kinds", kinds), ("shots", shots)):
            getattr(self, name).copy_(torch.tensor(values[-len(self.ids) :]))

    def project(self, epsilon: float, format_epsilon: float) -> None:
        """Bring every vector of `delta` back into its ball: of tokens of the format, of those that are read; answers
        stay where they were."""
        radius = torch.tensor([format_epsilon, epsilon, 0.0], device=self.delta.device)[self.kinds][:, None]
        with torch.no_grad():
            norm = self.delta.norm(dim=1, keepdim=True)
            self.delta.mul_((radius / norm.clamp(min=1e-12)).clamp(max=1.0))

    def vectors(self) -> Tensor:
        """The prompt `[length, hidden]`; answers take no part in what is trained."""
        words: Tensor = self._words[0](self.ids)
        moves = (self.kinds != LABEL)[:, None] * self.delta
        return words + moves.to(words.dtype)

    def context_loss(self, model: nn.Module, decay: float) -> Tensor:
        """Σ over examples of decay to the power of their distance · the mean loss of their answers, in nats.

        The model reads from left to right, so what follows the prompt does not matter and one pass serves a batch.
        """
        following = torch.cat([self.kinds[1:], self.kinds.new_full((1,), INPUT)]) == LABEL
        targets = torch.where(following, self.ids.roll(-1), IGNORED)[None]
        prompt = self.vectors()[None]
        mask = torch.ones(prompt.shape[:2], dtype=torch.long, device=prompt.device)
        scores = token_scores(model, {"inputs_embeds": prompt, "attention_mask": mask}, targets)[0, :, LIKELIHOOD]
        shots = self.shots.roll(-1)[following]
        counts = torch.bincount(shots)[shots]
        return (decay**shots / counts * scores[following]).sum()

    def listen(self, model: nn.Module) -> None:
        """Stand in front of the text whenever `model` is called with named token ids."""
        model.register_forward_pre_hook(self._embed, with_kwargs=True)

    def _embed(self, _model: nn.Module, arguments: Any, named: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        ids = named.get("input_ids")
        if ids is None:
            return arguments, dict(named)
        cache, length = named.get("past_key_values"), len(self.ids)
        begun = cache is not None and cache.get_seq_length() > 0
        rows = len(ids)
        changed: dict[str, Any] = {}
        if (mask := named.get("attention_mask")) is not None:
            changed["attention_mask"] = torch.cat([mask.new_ones(rows, length), mask], dim=1)
        if (positions := named.get("position_ids")) is not None:
            before = torch.arange(length, device=ids.device).expand(rows, -1)
            changed["position_ids"] = positions + length if begun else torch.cat([before, positions + length], dim=1)
        if not begun:
            words: Tensor = self._words[0](ids)
            prompt = self.vectors().to(words.dtype).expand(rows, -1, -1)
            changed |= {"input_ids": None, "inputs_embeds": torch.cat([prompt, words], dim=1)}
        if (types := named.get("token_type_ids")) is not None and not begun:
            changed["token_type_ids"] = torch.cat([types.new_zeros(rows, length), types], dim=1)
        return arguments, {**named, **changed}


Example = tuple[list[int], list[bool]]
"""Tokens of a row up to the end of its answer, and which of them are the answer's."""


def _examples(batches: Iterable[Batch]) -> Iterator[Example]:
    for batch in batches:
        for ids, mask, labels in zip(batch["input_ids"], batch["attention_mask"], batch["labels"], strict=True):
            learnt = torch.cat([labels.new_zeros(1, dtype=torch.bool), labels[:-1] != IGNORED])
            end = int(learnt.nonzero().max()) + 1
            kept = mask[:end] == 1
            yield ids[:end][kept].tolist(), learnt[:end][kept].tolist()


def _chosen(examples: Iterator[Example], length: int) -> Iterator[Example]:
    """Rows that together have `length` tokens at least, the one that may have to be cut last."""
    left, passed = length, None
    for number, example in enumerate(examples):
        if len(example[0]) <= left:
            left -= len(example[0])
            yield example
        elif passed is None or len(example[0]) < len(passed[0]):
            passed = example
        if left == 0:
            return
        if number >= _MOST_ROWS:
            break
    if passed is None:
        raise ValueError(f"all training rows together have {length - left} tokens; a context of {length} needs more")
    while left > 0:
        left -= len(passed[0])
        yield passed


def _common(prompts: list[list[int]]) -> tuple[int, int]:
    """How many tokens all prompts begin with, and how many all end with: what a template writes around them."""
    if len(prompts) < 2:
        return 0, 0
    shortest = min(map(len, prompts))

    def alike(place: int) -> bool:
        return len({prompt[place] for prompt in prompts}) == 1

    front = next((place for place in range(shortest) if not alike(place)), shortest)
    back = next((place for place in range(shortest - front) if not alike(-1 - place)), shortest - front)
    return front, back
