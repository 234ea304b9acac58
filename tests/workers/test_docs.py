"""The pages about methods and data agree with the code."""

from __future__ import annotations

from pathlib import Path

from peft import PEFT_TYPE_TO_CONFIG_MAPPING

from workers.data.files import SUFFIXES
from workers.data.pydocs import HELD_OUT_PER_CLASS
from workers.hyperparameters import Hyperparameters
from workers.methods.families_page import page as models_page
from workers.methods.measured import read_measured
from workers.methods.page import page
from workers.methods.registry import methods
from workers.models.description import describe
from workers.models.families.registry import model_types
from workers.strategies.registry import strategies
from workers.tasks.registry import METRICS

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_methods_page_is_up_to_date() -> None:
    assert (DOCS / "methods.md").read_text() == page(read_measured())


def test_models_page_is_up_to_date() -> None:
    text = (DOCS / "models.md").read_text()
    assert text == models_page()
    assert [one for one in model_types() if f"`{one}`" not in text] == []


def test_measured_figures_are_on_the_page() -> None:
    """A measured method that is still registered has its figures there; the others are named as not measured."""
    measured = read_measured() or {"methods": {}}
    _, _, figures = (DOCS / "methods.md").read_text().partition("## Measured")
    for name, row in measured["methods"].items():
        line = f"| `{name}` | {row['accuracy']['mean']:.3f} ± {row['accuracy']['half_width']:.3f} |"
        assert (line in figures) == (name in methods())
    if not measured["methods"]:
        assert "No method has a confirmed result yet" in figures
        return
    unmeasured = [name for name in methods() if name not in measured["methods"]]
    assert [name for name in unmeasured if f"`{name}`" not in figures] == []


def test_every_method_is_on_the_page() -> None:
    text = (DOCS / "methods.md").read_text()
    assert [name for name in methods() if f"| `{name}`" not in text] == []


def test_every_tuner_of_peft_is_a_method_or_has_a_reason_not_to_be() -> None:
    model = describe("builtin:minilm")
    ours = {one.peft_config(model, one.complete(model, {}))[0] for one in methods().values() if one.peft_config}
    ours |= {"CPTConfig"}  # `cpt`, which is our own
    _, _, absent = (DOCS / "methods.md").read_text().partition("## Not registered, and why")
    for kind, config in PEFT_TYPE_TO_CONFIG_MAPPING.items():
        assert config.__name__ in ours or kind.value.lower() in absent, kind


def test_hyperparameters_and_strategies_are_documented() -> None:
    text = (DOCS / "search-spaces.md").read_text()
    fields = Hyperparameters.model_fields.keys() - {"strategy_knobs"}
    assert [name for name in fields if f"`{name}`" not in text] == []
    assert [name for name in strategies() if f"\n| `{name}` |" not in text] == []


def test_data_page_names_formats_and_numbers() -> None:
    text = (DOCS / "data.md").read_text()
    assert all(suffix in text for suffix in SUFFIXES)
    assert f"{HELD_OUT_PER_CLASS} rows of each class" in text


def test_adding_a_method_stays_short() -> None:
    text = (DOCS / "adding-a-method.md").read_text()
    code = [line for block in text.split("```")[1::2] for line in block.splitlines()[1:]]
    assert len(code) <= 40


def test_metrics_are_described() -> None:
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.description


def test_adding_a_task_stays_short() -> None:
    text = (DOCS / "adding-a-task.md").read_text()
    code = [line for block in text.split("```")[1::2] for line in block.splitlines()[1:]]
    assert len(code) <= 60
