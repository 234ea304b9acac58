"""Scores of wanted tokens against the loss of transformers' own models: every family of decoders, every way there."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers
from torch.nn.functional import cross_entropy

from tests.workers.tiny_models import BUILDERS, VOCABULARY, tiny_description
from workers.hyperparameters import Hyperparameters
from workers.models import token_scores as module
from workers.models.token_scores import token_scores
from workers.tasks.criterion import IGNORED
from workers.tasks.losses import token_loss
from workers.tasks.measures import TokenMeasure

DECODERS = [kind for kind in BUILDERS if tiny_description(kind).anatomy.causal]


def language_model(kind: str, **changes: Any) -> transformers.PreTrainedModel:
    """The tiny model of a class with a head over its vocabulary."""
    config = BUILDERS[kind]().config
    for name, value in changes.items():
        setattr(config, name, value)
    torch.manual_seed(0)
    return transformers.AutoModelForCausalLM.from_config(config).eval()


def rows() -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Four rows of nine tokens, the first padded, and the tokens wanted at each position."""
    ids = torch.randint(3, VOCABULARY, (4, 9), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    mask[0, 6:] = 0
    targets = torch.cat([ids[:, 1:], torch.full((4, 1), IGNORED)], dim=1)
    targets[:, :3] = IGNORED
    targets[0, 5:] = IGNORED
    return {"input_ids": ids * mask, "attention_mask": mask}, targets


@pytest.mark.parametrize("kind", DECODERS)
def test_scores_are_those_of_all_logits(kind: str) -> None:
    model, (batch, targets) = language_model(kind), rows()
    logits = model(**batch, use_cache=False).logits.float()
    smoothed = Hyperparameters(label_smoothing=0.3)
    expected = [
        cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum", label_smoothing=s) for s in (0, 0.3)
    ]
    trained = [value for name, value in model.named_parameters() if "layers.0" in name or "h.0" in name]
    model.requires_grad_(False)
    for value in trained:
        value.requires_grad_(True)
    scores = token_scores(model, batch, targets)
    losses = [token_loss(scores, targets, chosen) for chosen in (Hyperparameters(), smoothed)]
    assert [one.item() for one in losses] == pytest.approx([one.item() for one in expected], rel=1e-5)
    for mine, theirs in zip(losses, expected, strict=True):
        for own, other in zip(
            *(torch.autograd.grad(one, trained, retain_graph=True) for one in (mine, theirs)), strict=True
        ):
            torch.testing.assert_close(own, other, rtol=2e-4, atol=1e-5)
    measure = TokenMeasure()
    measure.add(scores.detach(), targets)
    wanted = targets != IGNORED
    right = (logits.argmax(-1)[wanted] == targets[wanted]).double().mean()
    assert measure.result()["token_accuracy"] == pytest.approx(float(right))


def test_chunks_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("llama", "gemma2"):  # a plain head, and one whose logits are capped
        model, (batch, targets) = language_model(kind), rows()
        whole = token_scores(model, batch, targets)
        with monkeypatch.context() as patch:
            patch.setattr(module, "_LOGITS", 2 * VOCABULARY)
            torch.testing.assert_close(token_scores(model, batch, targets), whole)


def test_a_pass_never_holds_the_logits_of_all_positions(monkeypatch: pytest.MonkeyPatch) -> None:
    model, (batch, targets) = language_model("llama").requires_grad_(False), rows()
    monkeypatch.setattr(module, "_LOGITS", 2 * VOCABULARY)
    largest, head = 0, model.get_output_embeddings().weight.T.shape

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            nonlocal largest
            found = function(*args, **(kwargs or {}))
            wide = isinstance(found, torch.Tensor) and found.shape[-1:] == (VOCABULARY,)
            if wide and found.shape != head:  # the matrix itself, the other way round
                largest = max(largest, found.numel())
            return found

    model.get_input_embeddings().weight.requires_grad_(True)
    with Watch():
        token_scores(model, batch, targets)[..., 0].sum().backward()
    assert largest == 2 * VOCABULARY
