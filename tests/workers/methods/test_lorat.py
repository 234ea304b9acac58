"""`lorat`: token types are learnt from scratch, nothing else of the embeddings is, and they travel with the adapter."""

from __future__ import annotations

from pathlib import Path

import peft
import torch
from safetensors.torch import load_file
from torch.nn.functional import cross_entropy

from tests.workers.tiny_models import LABELS, batch, tiny_base, tiny_description, tiny_model
from workers.methods.attached import AdapterCard
from workers.methods.registry import method
from workers.models.loading import Base

LORAT = method("lorat")
TYPES = "bert.embeddings.token_type_embeddings"


def pairs(second: int = 5) -> dict[str, torch.Tensor]:
    """The rows of `batch`, each a pair whose second text begins at a token."""
    rows = batch()
    types = torch.zeros_like(rows["input_ids"])
    types[:, second:] = 1
    return {**rows, "token_type_ids": types}


def logits(model: torch.nn.Module, rows: dict[str, torch.Tensor]) -> torch.Tensor:
    with torch.no_grad():
        return model(**rows).logits  # type: ignore[no-any-return]


def plain(base: Base) -> torch.Tensor:
    with torch.no_grad():
        return base.model.bert(**pairs()).last_hidden_state  # type: ignore[no-any-return,operator,union-attr]


def test_types_are_learnt_from_scratch_and_travel_with_the_adapter(tmp_path: Path) -> None:
    base = tiny_base("bert")
    before, table = plain(base), base.model.get_submodule(TYPES).get_parameter("weight").clone()
    attached = LORAT.attach(base, LORAT.complete(base.description, {"rank": 2}), 3, None)
    (name,) = (one for one in attached.parameters() if "token_type" in one)
    start = attached.parameters()[name].detach().clone()
    assert not torch.allclose(start, table, atol=1e-2)
    assert not any("position" in one or "word" in one for one in attached.parameters())
    assert all("token_type" not in one for one in attached.heads())
    optimizer = torch.optim.AdamW(attached.parameters().values(), lr=1e-2)
    for _ in range(4):
        cross_entropy(attached.model(**pairs()).logits, LABELS).backward()
        optimizer.step()
        optimizer.zero_grad()
    learnt = attached.parameters()[name].detach().clone()
    assert (learnt - start).abs().amin(1).gt(0).all()  # both types
    attached.set_training(False)
    found, turned = logits(attached.model, pairs()), logits(attached.model, pairs(second=2))
    assert not torch.allclose(found, turned)  # where the second text begins matters
    attached.save(tmp_path, AdapterCard("lorat", "tiny"))
    stored = load_file(tmp_path / "adapter_model.safetensors")
    (kept,) = (value for one, value in stored.items() if "token_type" in one)
    assert torch.equal(kept, learnt)
    attached.detach()
    assert torch.equal(plain(base), before)  # other tasks have the table that they had
    loaded = peft.PeftModel.from_pretrained(tiny_model("bert"), str(tmp_path)).eval()
    torch.testing.assert_close(logits(loaded, pairs()), found, atol=1e-6, rtol=1e-5)


def test_models_that_tell_no_texts_apart_are_refused_by_name() -> None:
    assert LORAT.supports(tiny_description("bert"))
    for kind in ("modernbert", "distilbert", "llama"):
        assert not LORAT.supports(tiny_description(kind))
