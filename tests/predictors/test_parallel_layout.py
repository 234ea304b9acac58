"""Layouts by Megatron-LM's formulas: worked values of the paper, its rules, and what cannot be."""

from __future__ import annotations

import pytest

from predictors.answer import OutOfDomain
from predictors.parallel_layout import Cluster, Decoder, Layout, bubble, layouts, parallel_layout

GPT3 = Decoder(layers=96, hidden=12288, heads=96, vocabulary=51200, sequence=2048)
TRILLION = Decoder(layers=128, hidden=25600, heads=160, vocabulary=51200, sequence=2048)
SMALL = Decoder(layers=24, hidden=2304, heads=24, vocabulary=51200, sequence=2048)


def test_sizes_and_days_are_those_of_the_paper() -> None:
    billions = [model.parameters / 1e9 for model in (GPT3, TRILLION)]
    assert billions == pytest.approx([174.6, 1008.0], rel=1e-3)  # Table 1
    steps = 300e9 / (1536 * GPT3.sequence)
    assert steps * GPT3.step_flops(1536) / (1024 * 140e12) / 86_400 == pytest.approx(34, rel=0.03)  # section 5.1
    steps = 450e9 / (3072 * TRILLION.sequence)
    assert steps * TRILLION.step_flops(3072) / (3072 * 163e12) / 86_400 == pytest.approx(84, rel=0.03)


def test_the_bubble_falls_with_microbatches_and_interleaving() -> None:
    assert bubble(4, 8) == pytest.approx(3 / 8)
    assert bubble(4, 16) == bubble(4, 8) / 2 == bubble(4, 8, chunks=2)
    assert bubble(1, 8) == 0


def test_layouts_divide_the_model_and_fit() -> None:
    cluster = Cluster(gpus=96, per_node=8)
    found = layouts(GPT3, cluster, 96)
    assert found
    for one in found:
        assert one.tensor * one.pipeline * one.data == 96
        assert GPT3.heads % one.tensor == GPT3.layers % (one.pipeline * one.chunks) == 0
        assert 96 % (one.data * one.micro_batch) == 0
        assert one.tensor <= 8
        assert one.memory <= 80
    assert [one.seconds for one in found] == sorted(one.seconds for one in found)
    thousands = layouts(GPT3, Cluster(gpus=768), 1536)[0]
    assert thousands.tensor * thousands.pipeline > 8  # 175 billion weights with AdamW need more than a node


def test_a_model_that_fits_is_only_copied_and_adapters_need_less() -> None:
    _, found = parallel_layout(Decoder(24, 1024, 16, 51200, 1024), Cluster(gpus=8), 64)
    assert (found[0].tensor, found[0].pipeline, found[0].data) == (1, 1, 8)
    whole, adapter = (
        min(one.memory for one in layouts(Decoder(40, 5120, 40, 51200, 2048, trained), Cluster(gpus=8), 8))
        for trained in (1.0, 0.001)
    )
    assert adapter < whole / 3


def test_settings_are_megatrons() -> None:
    one = Layout(8, 12, 8, 1, 2, recompute=True, bubble=0.1, memory=60.0, seconds=1.0)
    said = one.settings(1536, 96)
    assert "--tensor-model-parallel-size 8 --pipeline-model-parallel-size 12 --micro-batch-size 1" in said
    assert "--global-batch-size 1536 --num-layers-per-virtual-pipeline-stage 4 --recompute-granularity full" in said


@pytest.mark.parametrize(
    ("model", "cluster", "batch", "field"),
    [
        (GPT3, Cluster(gpus=8), 8, "memory"),
        (GPT3, Cluster(gpus=7), 8, "gpus"),
        (Decoder(2, 100, 3, 10, 10), Cluster(gpus=1), 1, "heads"),
        (Decoder(2, 100, 2, 10, 10, 1.5), Cluster(gpus=1), 1, "trained"),
        (SMALL, Cluster(gpus=1 << 21), 8, "gpus"),
    ],
)
def test_what_cannot_be_is_refused_by_name(model: Decoder, cluster: Cluster, batch: int, field: str) -> None:
    with pytest.raises(OutOfDomain) as caught:
        parallel_layout(model, cluster, batch)
    assert caught.value.field == field
