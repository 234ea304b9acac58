"""docs/search-spaces.md says what the ready-made spaces are; a change of one must change the other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from search_spaces import constraints, serialization
from search_spaces.presets import ModelShape, preset, preset_names

PAGE = (Path(__file__).parents[2] / "docs" / "search-spaces.md").read_text()
MINILM = ModelShape(384, 6, 1536, 12, "bert")


@pytest.mark.parametrize("name", preset_names())
def test_the_table_of_a_preset_is_up_to_date(name: str) -> None:
    section = PAGE.partition(f"### `{name}`\n")[2].partition("\n### ")[0]
    rows = dict(re.findall(r"^\| `(\w+)`[^|]*\| ([^|]+) \|", section, flags=re.MULTILINE))
    space = preset(name, MINILM)
    documented = {parameter.name: parameter.allowed for parameter in space.parameters}
    for layer in range(1, MINILM.layers):
        documented.pop(f"layer_{layer}", None)
    assert rows == documented


@pytest.mark.parametrize("kind", [*serialization.PARAMETER_TYPES, *constraints.CONSTRAINT_TYPES])
def test_every_kind_of_parameter_and_constraint_is_documented(kind: str) -> None:
    assert f"`{kind}`" in PAGE or f"`{{type: {kind}," in PAGE
