"""`role_adapters`: each adapter can be taken off an export, and what the others do is the same to the last bit."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.nn.functional import cross_entropy

from tests.workers.tiny_models import LABELS, batch, tiny_base, tiny_description, tiny_model
from workers.errors import InvalidInput
from workers.methods.attached import AdapterCard, Attached
from workers.methods.catalogue.role_adapters import ROLES
from workers.methods.loading import load_adapter
from workers.methods.registry import method
from workers.models.loading import Base

CHOSEN = method("role_adapters")


def trained(knobs: dict[str, int]) -> tuple[Base, Attached]:
    base = tiny_base("bert")
    attached = CHOSEN.attach(base, CHOSEN.complete(base.description, knobs), 3, None)
    optimizer = torch.optim.AdamW(attached.parameters().values(), lr=3e-2)
    for _ in range(4):
        cross_entropy(attached.model(**batch()).logits, LABELS).backward()
        optimizer.step()
        optimizer.zero_grad()
    attached.set_training(False)
    return base, attached


def logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return model(**batch()).logits  # type: ignore[no-any-return]


def test_each_role_can_be_taken_off_and_the_others_stay_as_they_are_bit_for_bit(tmp_path: Path) -> None:
    _, attached = trained({"where_rank": 2, "what_rank": 4, "features_rank": 1})
    whole = logits(attached.model)
    attached.save(tmp_path, AdapterCard("role_adapters", "tiny"))
    stored = load_file(tmp_path / "adapter.safetensors")
    assert all(any(name.startswith(f"{role}.") for name in stored) for role in ROLES)
    seen = [whole]
    for without in (pair for count in (1, 2, 3) for pair in combinations(ROLES, count)):
        kept = {name: value.detach().clone() for name, value in attached.parameters().items()}
        with torch.no_grad():  # an update of zero is none
            for name, value in attached.parameters().items():
                if name.split(".")[0] in without and name.endswith("second"):
                    value.zero_()
            expected = logits(attached.model)
            for name, value in attached.parameters().items():
                value.copy_(kept[name])
        found = logits(load_adapter(tiny_model("bert"), tmp_path, without=without))
        assert torch.equal(found, expected)
        assert all(not torch.allclose(found, other) for other in seen)  # each of them does something
        seen.append(found)
    assert torch.equal(logits(load_adapter(tiny_model("bert"), tmp_path)), whole)
    bare = tiny_model("bert").eval()
    for name, values in attached.heads().items():
        bare.get_submodule(name).load_state_dict(values)
    assert torch.equal(logits(bare), seen[-1])  # without all of them it is the base with the head that was trained
    with pytest.raises(ValueError, match="without colour, allowed: where, what, features"):
        load_adapter(tiny_model("bert"), tmp_path, without=["colour"])


def test_without_features_attention_alone_is_trained() -> None:
    base, attached = trained({"features_rank": 0})
    named = {name.split(".", 2)[2].rpartition(".")[0] for name in attached.parameters() if name.split(".")[0] in ROLES}
    assert named == {f"attention.self.{name}" for name in ("query", "key", "value")} | {"attention.output.dense"}
    attached.detach()
    with pytest.raises(InvalidInput, match="at least 1"):
        CHOSEN.complete(base.description, {"where_rank": 0, "what_rank": 0, "features_rank": 0})


def test_an_adapter_without_roles_says_so(tmp_path: Path) -> None:
    base, lora = tiny_base("bert"), method("dylora")
    attached = lora.attach(base, lora.complete(base.description, {"rank": 2}), 3, None)
    attached.save(tmp_path, AdapterCard("dylora", "tiny"))
    with pytest.raises(ValueError, match="no roles"):
        load_adapter(tiny_model("bert"), tmp_path, without=["where"])


def test_models_with_one_projection_for_all_three_are_refused() -> None:
    assert CHOSEN.supports(tiny_description("llama"))
    assert not CHOSEN.supports(tiny_description("gpt2"))
