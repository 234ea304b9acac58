"""Batched answers of a causal language model, with an adapter on it or without. Needs torch.

Rows of like length are answered together, padded on the left so that every answer begins at the same place; a row's
answer is that which it gets alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from workers.generation.drawing import drawing
from workers.generation.settings import GenerationSettings
from workers.generation.stops import stop_tokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase
    from transformers.generation.streamers import BaseStreamer


@dataclass(frozen=True)
class Answer:
    """What a model wrote.

    Attributes:
        text: without special tokens.
        ids: its tokens, the one that ended it among them.
        finished: whether it ended by itself.
    """

    text: str
    ids: tuple[int, ...]
    finished: bool

    @property
    def tokens(self) -> int:
        """How many tokens, without the one that ended it."""
        return len(self.ids) - self.finished


def answer(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[int]],
    settings: GenerationSettings,
    keys: Sequence[int] | None = None,
    streamer: BaseStreamer | None = None,
) -> list[Answer]:
    """Answers to prompts (token ids, at least one each), in their order.

    Args:
        model: a causal model of transformers, or a `PeftModel` of one; evaluation mode and cache are put back behind.
        tokenizer: decodes, and says where answers end.
        prompts: token ids of every row as training sees them.
        settings: how long answers are, whether drawn, how many rows at once.
        keys: numbers of the rows that say which draws are theirs; by default their places.
        streamer: takes in tokens as they come; for one prompt.

    Raises:
        ValueError: for a prompt of no tokens.
    """
    if empty := [row for row, prompt in enumerate(prompts) if not len(prompt)]:
        raise ValueError(f"row {empty[0]}: a prompt of no tokens; allowed: at least one")
    numbers = list(range(len(prompts))) if keys is None else list(keys)
    stops = stop_tokens(tokenizer, getattr(model, "generation_config", None))
    found: dict[int, Answer] = {}
    with _answering(model):
        for rows in _batches([len(prompt) for prompt in prompts], settings.batch_size, _takes_padding(model)):
            ids = _generate(
                model, [prompts[row] for row in rows], settings, stops, [numbers[row] for row in rows], streamer
            )
            found |= {row: _read(tokens, tokenizer, stops) for row, tokens in zip(rows, ids.tolist(), strict=True)}
    return [found[row] for row in range(len(prompts))]


def _batches(lengths: Sequence[int], size: int, padded: bool) -> Iterator[list[int]]:
    """Places of rows that are answered together, the longest first; of one length each unless they may be `padded`."""
    order = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    groups = [order] if padded else [list(rows) for _, rows in groupby(order, key=lambda row: lengths[row])]
    for rows in groups:
        for start in range(0, len(rows), size):
            yield rows[start : start + size]


def _takes_padding(model: Any) -> bool:
    """Not where peft puts vectors before the padding, so that the text's distance from them would depend on it."""
    config = getattr(model, "active_peft_config", None)
    return config is None or not config.is_prompt_learning or config.peft_type == "PREFIX_TUNING"


def _generate(
    model: Any,
    prompts: Sequence[Sequence[int]],
    settings: GenerationSettings,
    stops: tuple[int, ...],
    keys: Sequence[int],
    streamer: BaseStreamer | None,
) -> Tensor:
    """New tokens `[rows, at most max_new_tokens]`; behind its stop a row holds that stop again."""
    device, padding = next(model.parameters()).device, stops[0] if stops else 0
    length = max(len(prompt) for prompt in prompts)
    ids = torch.full((len(prompts), length), padding)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, length - len(prompt) :] = torch.as_tensor(list(prompt))
        mask[row, length - len(prompt) :] = 1
    written: Tensor = model.generate(
        input_ids=ids.to(device),
        attention_mask=mask.to(device),
        logits_processor=drawing(settings, keys),
        max_new_tokens=settings.max_new_tokens,
        do_sample=False,
        num_beams=1,
        temperature=None,  # a generation_config of the model may hold these; they would only warn
        top_p=None,
        top_k=None,
        repetition_penalty=1.0,
        eos_token_id=list(stops) or None,
        pad_token_id=padding,
        use_cache=True,
        streamer=streamer,
    )
    return written[:, length:].cpu()


def _read(tokens: list[int], tokenizer: PreTrainedTokenizerBase, stops: tuple[int, ...]) -> Answer:
    """The answer in a row of new tokens."""
    end = next((place for place, token in enumerate(tokens) if token in stops), None)
    text = str(tokenizer.decode(tokens[:end], skip_special_tokens=True))
    ids = tokens if end is None else tokens[: end + 1]
    return Answer(text.strip(), tuple(ids), finished=end is not None)


@contextmanager
def _answering(model: nn.Module) -> Iterator[None]:
    """Inside, the model is in evaluation mode; behind it every module is as it was."""
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        with torch.inference_mode():
            yield
    finally:
        for module in training:
            module.training = True
