"""Tensor, pipeline and data parallel layouts of a decoder (Megatron-LM: Narayanan et al. 2021, arXiv 2104.04473).

    n = t · p · d, m = B / (d · b)                            GPUs; microbatches of a pipeline
    bubble = (p - 1) / (v · m)                                idle share over the ideal time, v model chunks a GPU
    F = 96 · B·s·l·h² · (1 + s / (6h) + V / (16·l·h))         operations of a step, activations computed again
    P = 12 · l·h² · (1 + 13 / (12h) + (V + s) / (12·l·h))     parameters

and of one layer's activations in bytes without recomputing s·b·h · (10 + 24 / t + 5·a·s / (h·t)) (Korthikanti et al.
2022, arXiv 2205.05198). Certain: these, and that t stays within a node. Choices: weights take 2 bytes a number, trained
ones 16 more; sums over tensor-parallel GPUs move 4 · 2 · b·s·h · 2 (t - 1) / t bytes a layer and microbatch, forward,
backward and again, at the speed of links in a node; the gradients of trained parameters go between nodes once a step,
beside the backward pass, which is two thirds of the products.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from predictors.answer import Answer, OutOfDomain, Quantity, positive

SOURCE = "Narayanan et al. 2021, Megatron-LM, arXiv 2104.04473; Korthikanti et al. 2022, arXiv 2205.05198"
_WEIGHT, _TRAINED = 2, 16  # bytes of a number: bf16; with fp32 gradient, weight and AdamW's moments 16 more
_GIBIBYTE = 1 << 30
_MOST_GPUS = 1 << 20


@dataclass(frozen=True)
class Decoder:
    """A GPT: `hidden` wide, `heads` of attention, rows of `sequence` tokens; `trained` is the share of its weights."""

    layers: int
    hidden: int
    heads: int
    vocabulary: int
    sequence: int
    trained: float = 1.0

    @property
    def parameters(self) -> float:
        """P, embeddings among them."""
        layers, hidden = self.layers, self.hidden
        more = 1 + 13 / (12 * hidden) + (self.vocabulary + self.sequence) / (12 * layers * hidden)
        return 12 * layers * hidden**2 * more

    def step_flops(self, batch: int) -> float:
        """F of a step of `batch` rows."""
        layers, hidden, sequence = self.layers, self.hidden, self.sequence
        more = 1 + sequence / (6 * hidden) + self.vocabulary / (16 * layers * hidden)
        return 96 * batch * sequence * layers * hidden**2 * more


@dataclass(frozen=True)
class Cluster:
    """`gpus` in nodes of `per_node`, each with `memory` GiB; `teraflops` is what one reaches by itself, and links move
    `inside` and `between` gigabytes a second within a node and from node to node."""

    gpus: int
    per_node: int = 8
    memory: float = 80.0
    teraflops: float = 160.0
    inside: float = 300.0
    between: float = 25.0


@dataclass(frozen=True)
class Layout:
    """One way to spread a step, and what it takes: `bubble` is idle time over ideal time, `memory` GiB of the fullest
    GPU, `seconds` of a step."""

    tensor: int
    pipeline: int
    data: int
    micro_batch: int
    chunks: int
    recompute: bool
    bubble: float
    memory: float
    seconds: float

    def settings(self, batch: int, layers: int) -> str:
        """Arguments of Megatron-LM."""
        found = [
            f"--tensor-model-parallel-size {self.tensor}",
            f"--pipeline-model-parallel-size {self.pipeline}",
            f"--micro-batch-size {self.micro_batch}",
            f"--global-batch-size {batch}",
        ]
        if self.chunks > 1:
            found.append(f"--num-layers-per-virtual-pipeline-stage {layers // (self.pipeline * self.chunks)}")
        if self.recompute:
            found.append("--recompute-granularity full --recompute-method uniform --recompute-num-layers 1")
        return " ".join(found)


def bubble(pipeline: int, micro_batches: int, chunks: int = 1) -> float:
    """Idle time of a pipeline over its ideal time."""
    return (pipeline - 1) / (chunks * micro_batches)


def layouts(model: Decoder, cluster: Cluster, batch: int) -> list[Layout]:
    """Every layout that is possible and fits, the quickest first. Raises `OutOfDomain` where a number is impossible."""
    _check(model, cluster, batch)
    found = [one for one in _possible(model, cluster, batch) if one.memory <= cluster.memory]
    return sorted(found, key=lambda one: (one.seconds, one.tensor, one.pipeline, one.chunks))


def parallel_layout(model: Decoder, cluster: Cluster, batch: int) -> tuple[Answer, list[Layout]]:
    """The quickest layout as an answer, and all that fit. Raises `OutOfDomain`, also where none does."""
    found = layouts(model, cluster, batch)
    if not found:
        least = min((one.memory for one in _possible(model, cluster, batch)), default=None)
        if least is None:
            raise OutOfDomain("gpus", cluster.gpus, "a number that divides by shares of the heads, layers and rows")
        raise OutOfDomain("memory", cluster.memory, f"at least {least:.1f} GiB a GPU, or more GPUs")
    best, flops = found[0], model.step_flops(batch) * 3 / 4  # what is computed again is no progress
    quantities = {
        "tensor_parallel": Quantity(best.tensor, "GPUs"),
        "pipeline_parallel": Quantity(best.pipeline, "GPUs"),
        "data_parallel": Quantity(best.data, "copies"),
        "micro_batch": Quantity(best.micro_batch, "rows"),
        "chunks": Quantity(best.chunks, "a GPU"),
        "bubble": Quantity(best.bubble, "of the ideal time"),
        "memory": Quantity(best.memory, "GiB a GPU"),
        "step_seconds": Quantity(best.seconds, "s"),
        "gpu_teraflops": Quantity(flops / best.seconds / cluster.gpus / 1e12, "TFLOP/s a GPU"),
        "parameters": Quantity(model.parameters, "parameters"),
    }
    warnings = ("seconds follow from the rates that you give, and nothing here has measured them",)
    return Answer(quantities, SOURCE, "published", "decoders trained with Megatron-LM", warnings), found


def _possible(model: Decoder, cluster: Cluster, batch: int) -> Iterator[Layout]:
    for tensor in _divisors(min(cluster.per_node, cluster.gpus)):
        if model.heads % tensor or cluster.gpus % tensor:
            continue
        for pipeline in _divisors(cluster.gpus // tensor):
            data = cluster.gpus // (tensor * pipeline)
            if model.layers % pipeline or batch % data:
                continue
            for micro in _divisors(batch // data):
                if micro <= 32:
                    yield from _with_chunks(model, cluster, batch, (tensor, pipeline, data, micro))


def _with_chunks(model: Decoder, cluster: Cluster, batch: int, split: tuple[int, int, int, int]) -> Iterator[Layout]:
    """Interleaving needs a pipeline, whole layers in each chunk, and microbatches that its length divides."""
    _, pipeline, data, micro = split
    count = batch // (data * micro)
    for chunks in range(1, 9):
        whole = (model.layers // pipeline) % chunks == 0
        if chunks > 1 and (pipeline == 1 or not whole or count % pipeline):
            continue
        for recompute in (False, True):
            memory = _memory(model, split, chunks, recompute)
            seconds = _seconds(model, cluster, batch, split, chunks, recompute)
            yield Layout(*split, chunks, recompute, bubble(pipeline, count, chunks), memory, seconds)


def _memory(model: Decoder, split: tuple[int, int, int, int], chunks: int, recompute: bool) -> float:
    """GiB of the first stage: of `pipeline` microbatches activations are alive at once, of more where interleaved."""
    tensor, pipeline, _, micro = split
    weights = model.parameters * (_WEIGHT + _TRAINED * model.trained) / (tensor * pipeline)
    size = model.sequence * micro * model.hidden
    whole = size * (10 + 24 / tensor + 5 * model.heads * model.sequence / (model.hidden * tensor))
    alive = model.layers * (1 + (pipeline - 1) / (pipeline * chunks) if chunks > 1 else 1)
    activations = alive * 2 * size + whole if recompute else alive * whole
    return (weights + activations) / _GIBIBYTE


def _seconds(
    model: Decoder, cluster: Cluster, batch: int, split: tuple[int, int, int, int], chunks: int, recompute: bool
) -> float:
    """Of a step: products, sums within a tensor-parallel group, both longer by the bubble; then gradients."""
    tensor, pipeline, data, micro = split
    count = batch // (data * micro)
    flops = model.step_flops(batch) * (1 if recompute else 3 / 4)
    products = flops / (cluster.gpus * cluster.teraflops * 1e12)
    moved = (4 if recompute else 3) * 2 * 2 * micro * model.sequence * model.hidden * 2 * (tensor - 1) / tensor
    sums = moved * (model.layers / pipeline) * count / (cluster.inside * 1e9)
    stages = 2 * 2 * micro * model.sequence * model.hidden * chunks * count * (pipeline > 1)
    gradients = 2 * (data - 1) / data * 4 * model.parameters * model.trained / (tensor * pipeline)
    apart = cluster.between if cluster.gpus > cluster.per_node else cluster.inside
    uncovered = max(0.0, gradients / (apart * 1e9) - products * 2 / 3)
    return (products + sums) * (1 + bubble(pipeline, count, chunks)) + stages / (apart * 1e9) + uncovered


def _check(model: Decoder, cluster: Cluster, batch: int) -> None:
    whole = {"layers": model.layers, "hidden_size": model.hidden, "heads": model.heads, "batch": batch}
    positive(**whole, gpus=cluster.gpus, memory=cluster.memory, teraflops=cluster.teraflops, trained=model.trained)
    positive(inside=cluster.inside, between=cluster.between, gpus_per_node=cluster.per_node)
    if cluster.gpus > _MOST_GPUS:
        raise OutOfDomain("gpus", cluster.gpus, f"at most {_MOST_GPUS}")
    if model.hidden % model.heads:
        raise OutOfDomain("heads", model.heads, f"a divisor of the hidden size {model.hidden}")
    if model.trained > 1:
        raise OutOfDomain("trained", model.trained, "a share of the weights, at most 1")


def _divisors(number: int) -> list[int]:
    return [one for one in range(1, int(number**0.5) + 1) if number % one == 0] + [
        number // one for one in range(int(number**0.5), 0, -1) if number % one == 0 and one * one != number
    ]
