"""The configuration of what a step makes: the method, knobs and hyperparameters of its result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from search_spaces.presets.lora import largest_rank
from workers.hyperparameters import split_config
from workers.methods.registry import method
from workers.models.description import ModelDescription


def result_config(
    step: str, choice: Mapping[str, Any], configs: Sequence[Mapping[str, Any]], model: ModelDescription
) -> dict[str, Any]:
    """The result's configuration, from those of the adapters that the step works on, best first."""
    if step in ("soup", "merge"):
        return _joint_lora(configs, model)
    if step == "prune_retrain":
        return _masked(choice, configs[0], model)
    if step == "d90":
        own = {"dimensions": choice["dimensions"], "targets": "all", "top_layers": model.shape.layers}
        return {"method": "said", **_hyperparameters(configs[0]), **own, "learning_rate": choice["learning_rate"]}
    return dict(configs[0])


def _joint_lora(configs: Sequence[Mapping[str, Any]], model: ModelDescription) -> dict[str, Any]:
    """A LoRA with room for all updates: the sum of the ranks, where any of them is; its scale is 1."""
    knobs = [_knobs(config, model) for config in configs]
    rank = min(sum(one["rank"] for one in knobs), largest_rank(model.shape))
    layers = max(one["top_layers"] for one in knobs)
    wanted = {linear.name for one in knobs for _, linear in model.linears(one["targets"])}
    covering = [group for group in model.shape.targets if wanted <= {linear.name for _, linear in model.linears(group)}]
    targets = min(covering, key=lambda group: len(list(model.linears(group))))
    own = {"rank": rank, "alpha": rank, "targets": targets, "top_layers": layers}
    return {"method": "lora", **_hyperparameters(configs[0]), **own}


def _masked(choice: Mapping[str, Any], config: Mapping[str, Any], model: ModelDescription) -> dict[str, Any]:
    """A masked LoRA of the same rank on all layers, so that all of the base is pruned; its scale is 1."""
    rank = _knobs(config, model)["rank"]
    own = {"rank": rank, "alpha": rank, "pattern": choice["pattern"], "targets": "all"}
    own |= {"sparsity": choice["sparsity"]} if choice["pattern"] == "free" else {}
    own |= {"top_layers": model.shape.layers, "learning_rate": choice["learning_rate"]}
    return {"method": "masked_lora", **_hyperparameters(config), **own}


def _knobs(config: Mapping[str, Any], model: ModelDescription) -> dict[str, Any]:
    name, knobs, _ = split_config(config)
    return method(name).complete(model, knobs)


def _hyperparameters(config: Mapping[str, Any]) -> dict[str, Any]:
    """What of a configuration is no knob of its method: it stays as it is."""
    name, knobs, _ = split_config(config)
    return {
        key: value for key, value in config.items() if key != "method" and key.removeprefix(f"{name}.") not in knobs
    }
