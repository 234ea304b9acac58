"""What the rest of the product knows of a model before loading it. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from search_spaces.presets.shape import ModelShape
from workers.errors import InvalidInput
from workers.models.anatomy import TARGETS, Anatomy, Linear, Norm
from workers.models.families.registry import anatomy, heads, model_types
from workers.models.heads import Head
from workers.models.inferred import Shapes, architecture, infer
from workers.models.new_tokens import new_tokens, rows_for, untied_output
from workers.models.references import read_config, read_tensors, resolve
from workers.models.weights import stored_tensors
from workers.tasks.registry import task_of
from workers.tasks.section import TaskSection
from workers.tasks.task import Task


@dataclass(frozen=True)
class ModelDescription:
    """A model by its `config.json`. `shape` is what spaces are scaled with; `anatomy` names the parts.

    Of a task, `longest_text` is the number of tokens that its texts are cut to, None where no task is known, and
    `prompt_room` the number that these leave for a prompt; None: no bound. `task` is its type, empty where none is
    known. With `fresh_head` every trial trains a head of its own. `baselines` of the task need no model. Embeddings of
    `trained_tokens` are trained beside an adapter, and of `trained_outputs`, tokens that are new, the rows of the
    output layer `untied_output`, too. `row_tasks` names the tasks that rows are of, where these are several.
    """

    reference: str
    anatomy: Anatomy
    shape: ModelShape
    prompt_room: int | None = None
    longest_text: int | None = None
    fresh_head: bool = True
    baselines: tuple[str, ...] = ()
    trained_tokens: tuple[int, ...] = ()
    trained_outputs: tuple[int, ...] = ()
    untied_output: str = ""
    task: str = ""
    row_tasks: tuple[str, ...] = ()

    def layer_range(self, top_layers: int | None = None) -> range:
        """Indices of the last `top_layers` encoder layers (all of them when None), lowest first."""
        layers = self.anatomy.layers
        if top_layers is None:
            return range(layers)
        if not 1 <= top_layers <= layers:
            raise InvalidInput("top_layers", top_layers, f"1 to {layers}")
        return range(layers - top_layers, layers)

    def linears(self, targets: str = "all", layers: Iterable[int] | None = None) -> Iterator[tuple[int, Linear]]:
        """Linear layers of a target group (`qv`, `attention`, `mlp`, `all`) with the index of their encoder layer."""
        if targets not in TARGETS:
            raise InvalidInput("targets", targets, TARGETS)
        for index in self.layer_range() if layers is None else layers:
            for linear in self.anatomy.linears:
                if linear.groups & TARGETS[targets]:
                    yield index, linear

    def norms(self, layers: Iterable[int] | None = None) -> Iterator[tuple[int, Norm]]:
        """Norms inside the encoder layers with the index of their layer."""
        for index in self.layer_range() if layers is None else layers:
            for norm in self.anatomy.first_layer_norms if index == 0 else self.anatomy.norms:
                yield index, norm

    def path(self, layer: int, name: str) -> str:
        """Full module name of a part of an encoder layer, in the sequence-classification model."""
        return f"{self.anatomy.layers_path}.{layer}.{name}"


def describe(reference: str) -> ModelDescription:
    """Describe a model reference. Raises `InvalidInput` when it does not exist or its class is not supported."""
    config = read_config(reference)
    model = _described_by_weights(config, reference) if unknown(config) else describe_config(config, reference)
    poolers = {name.rpartition(".")[0] for name, _ in model.anatomy.outside if ".pooler." in name}
    return with_head(model, poolers) if poolers and _lacks_pooler(reference) else model


def unknown(config: Mapping[str, Any]) -> bool:
    """Whether a parsed `config.json` is of a class that has no family: its weights must tell what is in it."""
    return config.get("model_type") not in model_types()


def _described_by_weights(config: Mapping[str, Any], reference: str) -> ModelDescription:
    architecture(config)  # says of most classes why they cannot be used, before any file is read
    stored = read_tensors(reference)
    if stored is None:
        found = f"{reference}, whose weights the hub does not describe"
        raise InvalidInput("model", found, "a class of docs/models.md, or one whose weights are here")
    return describe_weights(config, {name: one.shape for name, one in stored.items()}, reference)


def _lacks_pooler(reference: str) -> bool:
    """Whether the checkpoint is there and holds no pooler, which then is a part of the head."""
    try:
        stored = read_tensors(reference)
    except InvalidInput:  # what is wrong with the weights is said where they are checked
        return False
    return stored is not None and not any(".pooler." in f".{name}" for name in stored)


def with_head(model: ModelDescription, head: Iterable[str], fresh: bool = True) -> ModelDescription:
    """The model with modules `head` in its head, so that they are no part of the body."""
    modules = tuple(f"{name}." for name in head)
    outside = tuple((name, shape) for name, shape in model.anatomy.outside if not name.startswith(modules))
    return replace(model, anatomy=replace(model.anatomy, outside=outside), fresh_head=fresh)


def describe_for(task: TaskSection) -> ModelDescription:
    """Describe the model of a task, with the room that its texts leave for a prompt. Raises `InvalidInput`."""
    return for_task(describe(task.model), task)


def for_task(model: ModelDescription, task: TaskSection) -> ModelDescription:
    """The model as a task sees it: with its texts and baselines, and with or without a head to train."""
    known = replace(with_texts(of_type(model, task_of(task)), task.max_length), row_tasks=tuple(task.parts()))
    return _with_tokens(known, task)


def of_type(model: ModelDescription, kind: Task) -> ModelDescription:
    """The model as all tasks of a type see it, whatever they read."""
    return replace(model, fresh_head=kind.head.fresh, baselines=kind.baselines, task=kind.name)


def _with_tokens(model: ModelDescription, task: TaskSection) -> ModelDescription:
    """The model with the tokens that a task trains, and those that it adds. Raises `InvalidInput`."""
    added = new_tokens(model.reference, task.added_tokens())
    if not added:
        return replace(model, trained_tokens=task.trained_tokens())
    ids, output = tuple(one.id for one in added), untied_output(model.reference)
    return replace(
        model,
        anatomy=replace(model.anatomy, vocabulary=rows_for(model.anatomy.vocabulary, added)),
        trained_tokens=(*task.trained_tokens(), *ids),
        trained_outputs=ids if output else (),
        untied_output=output,
    )


def require_head(model: ModelDescription, head: Head) -> None:
    """Raise `InvalidInput` where transformers has no such head for this class of model."""
    kind, wanted = model.anatomy.model_type, head.auto_class.removeprefix("AutoModelFor")
    if head.reads == "labelled" and not model.anatomy.causal:
        raise InvalidInput("model", f"a {kind} model, an encoder", "a decoder for tasks that write text")
    if wanted not in heads(kind):
        others = ", ".join(sorted(heads(kind))) or "none"
        allowed = f"a model of another class for this type of task: {kind} has no head for {wanted} (it has {others})"
        raise InvalidInput("model", f"a {kind} model", allowed)


def with_texts(model: ModelDescription, max_length: int) -> ModelDescription:
    """The model as a task with texts of up to `max_length` tokens sees it; 0: rows are as long as the model has it."""
    positions = model.anatomy.positions
    max_length = max_length or positions
    room = None if model.anatomy.relative_positions else max(positions - max_length, 0)
    return replace(model, prompt_room=room, longest_text=max_length)


def describe_config(config: Mapping[str, Any], reference: str = "") -> ModelDescription:
    """Describe a parsed `config.json` of a family."""
    return _with_shape(anatomy(config), reference)


def describe_weights(config: Mapping[str, Any], shapes: Shapes, reference: str = "") -> ModelDescription:
    """Describe a model in memory by its configuration and, where it has no family, the shapes of its parameters."""
    return _with_shape(infer(config, shapes) if unknown(config) else anatomy(config), reference)


def _with_shape(parts: Anatomy, reference: str) -> ModelDescription:
    shape = ModelShape(
        hidden_size=parts.hidden_size,
        layers=parts.layers,
        intermediate_size=parts.intermediate_size,
        heads=parts.heads,
        model_type=parts.model_type,
        targets=tuple(TARGETS) if parts.known_parts else ("all",),
    )
    return ModelDescription(reference, parts, shape)


def count_parameters(reference: str) -> int:
    """Stored parameters of a model, from the headers of its safetensors files."""
    tensors = stored_tensors(resolve(reference)).values()
    return sum(tensor.size for tensor in tensors if tensor.dtype.startswith(("F", "BF")))
