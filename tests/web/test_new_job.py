"""The page where jobs are written: form and text are one, problems stand at their fields, nothing is lost."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.web.search import Search

pytestmark = pytest.mark.browser
JOB = """\
# what this is about
name: from the form
task: {model: builtin:minilm, train: train.csv, validation: 0.25, max_length: 16}
space: {preset: lora, overrides: {batch_size: {value: 8}}}
objectives:
  - {metric: accuracy, direction: maximize}
budget: {trials: 4, epochs: 1}
"""


def editor(page: Page) -> Locator:
    """The text of the job file."""
    return page.get_by_label("Job file (YAML)")


def field(page: Page, name: str) -> Locator:
    """A field of the form."""
    return page.locator(".job-form").get_by_label(re.compile(rf"^{name}( required)?$"))


@pytest.mark.slow
def test_a_text_survives_leaving_and_reloading_until_it_is_discarded(page: Page) -> None:
    page.goto("/#/new")
    expect(editor(page)).to_contain_text("builtin:minilm")
    expect(page.get_by_role("button", name="Start over")).to_have_count(0)
    editor(page).fill("name: half written")
    page.goto("/#/")
    page.goto("/#/new")
    expect(editor(page)).to_have_text("name: half written")
    page.reload()
    expect(editor(page)).to_have_text("name: half written")
    page.get_by_role("button", name="Start over").click()
    expect(editor(page)).to_contain_text("builtin:minilm")


@pytest.mark.slow
def test_a_copied_job_is_sound_yaml_and_has_a_text_of_its_own(page: Page, search: Search) -> None:
    other = Search(search.store, search.artifacts, search.folder, name="sweep: lora")
    page.goto("/#/new")
    editor(page).fill("name: half written")
    page.goto(f"/#/new?from={other.job.id}")
    expect(editor(page)).to_contain_text('name: "sweep: lora"')
    page.goto("/#/new")
    expect(editor(page)).to_have_text("name: half written")


@pytest.mark.slow
def test_form_and_text_are_one_and_comments_stay(page: Page, search: Search) -> None:
    page.goto("/#/new")
    editor(page).fill(JOB)
    expect(field(page, "name")).to_have_value("from the form")
    expect(page.get_by_text("No problems found")).to_be_visible()
    field(page, "trials").fill("6")
    field(page, "scheduler").select_option("asha")
    field(page, "reduction").fill("2")
    page.get_by_role("button", name="Add an objective").click()
    page.get_by_role("group", name="objective 2").get_by_label("metric").select_option("trainable_params")
    for written in ("# what this is about", "trials: 6", "name: asha", "reduction: 2", "metric: trainable_params"):
        expect(editor(page)).to_contain_text(written)
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("from the form")
    spec = search.store.list_jobs().items[0].spec
    assert spec["scheduler"] == {"name": "asha", "options": {"reduction": 2}}
    assert [one["metric"] for one in spec["objectives"]] == ["accuracy", "trainable_params"]


def test_problems_stand_at_their_fields_all_at_once_as_one_types(page: Page) -> None:
    page.goto("/#/new")
    editor(page).fill(JOB.replace("train.csv", "nowhere.csv").replace("trials: 4", "trials: 0"))
    expect(page.get_by_text("2 problems").first).to_be_visible()
    train = field(page, "train")
    expect(train).to_have_attribute("aria-invalid", "true")
    expect(page.locator(".job-form .field-problem").first).to_contain_text("does not exist")
    expect(field(page, "trials")).to_have_attribute("aria-invalid", "true")
    expect(page.locator(".cm-lintRange-error").first).to_be_visible()
    train.fill("train.csv")
    field(page, "trials").fill("4")
    expect(page.get_by_text("No problems found")).to_be_visible()
    expect(train).to_have_attribute("aria-invalid", "false")


@pytest.mark.slow
def test_the_data_is_shown_before_anything_is_trained(page: Page) -> None:
    page.goto("/#/new")
    editor(page).fill(JOB)
    data = page.get_by_role("region", name="Data", exact=True)
    expect(data).to_contain_text("train: 60 rows")
    expect(data.get_by_role("table", name="Label balance")).to_contain_text("50 %")
    expect(data).to_contain_text("sentence number")
    estimate = page.get_by_role("region", name="Estimate")
    expect(estimate).to_contain_text("No trial of this model has run here")
    expect(estimate).to_contain_text(
        re.compile(r"A trial takes about [\d,]+ to [\d,]+ MiB beside [\d,]+ MiB of the base")
    )


@pytest.mark.slow
def test_a_file_is_sent_and_shown_as_data(page: Page, search: Search, tmp_path: Path) -> None:
    page.expected_errors = ("422",)  # type: ignore[attr-defined]
    page.goto("/#/new")
    editor(page).fill(JOB)
    sent = page.get_by_label("or send a file of training data")
    wrong = tmp_path / "mine.exe"
    wrong.write_text("x")
    sent.set_input_files(wrong)
    expect(page.locator(".upload").get_by_role("alert")).to_contain_text(".parquet")
    file = tmp_path / "mine.csv"
    file.write_text("text,label\n" + "".join(f"word {number},{number % 4}\n" for number in range(100)))
    sent.set_input_files(file)
    expect(page.get_by_text("mine.csv is there")).to_be_visible()
    expect(field(page, "train")).to_have_value(re.compile("/mine.csv$"))
    data = page.get_by_role("region", name="Data", exact=True)
    expect(data).to_contain_text("train: 76 rows")  # of each class as many in both splits
    expect(data.get_by_role("table", name="Label balance")).to_contain_text("25 %")
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("from the form")
    assert search.store.list_jobs().items[0].spec["task"]["train"].endswith("/mine.csv")


@pytest.mark.slow
def test_every_type_of_task_has_a_form(page: Page) -> None:
    page.goto("/#/new")
    types = field(page, "type")
    expect(types.locator("option")).not_to_have_count(0)
    for name in types.locator("option").all_inner_texts():
        types.select_option(name)
        expect(editor(page)).to_contain_text(f"type: {name}")
        expect(page.get_by_role("group", name="Task").get_by_text("more fields")).to_be_visible()
        expect(page.get_by_text("No problems found")).to_be_visible()
    types.select_option("program")
    expect(editor(page)).not_to_contain_text("train_rows")  # what the type does not have goes with the one before


@pytest.mark.slow
def test_another_type_brings_its_own_data_and_what_one_wrote_stays(page: Page) -> None:
    page.goto("/#/new")
    expect(page.get_by_text("No problems found")).to_be_visible()
    field(page, "type").select_option("causal-lm")
    for gone in ("builtin:pydocs", "1500", "accuracy", "builtin:minilm"):
        expect(editor(page)).not_to_contain_text(gone)
    expect(editor(page)).to_contain_text("builtin:pysft")
    expect(editor(page)).to_contain_text("metric: loss")
    expect(page.get_by_text("No problems found")).to_be_visible()
    field(page, "type").select_option("text-regression")
    expect(editor(page)).to_contain_text("label: log2_words")
    expect(page.get_by_text("No problems found")).to_be_visible()
    editor(page).fill(JOB)
    field(page, "type").select_option("text-regression")
    for kept in ("train: train.csv", "validation: 0.25", "max_length: 16", "batch_size"):
        expect(editor(page)).to_contain_text(kept)
    expect(field(page, "metric")).to_have_value("accuracy")


@pytest.mark.slow
def test_the_steps_of_a_refine_job_are_written_in_the_form(page: Page, search: Search) -> None:
    source = Search(search.store, search.artifacts, search.folder, name="source", seed=1)
    search.start()  # a conductor takes the oldest job first
    source.begin()
    source.complete(source.lora(4), 0.7, 36_864, adapter=True)
    page.goto("/#/new")
    page.get_by_role("group", name="Job", exact=True).get_by_label("kind").select_option("refine")
    field(page, "job").fill("nowhere")
    page.get_by_role("button", name="Add a step").click()
    step = page.get_by_role("group", name="step 1", exact=True)
    step.get_by_label("step", exact=True).select_option("compress")
    expect(step).to_contain_text("ComPEFT")
    step.get_by_text("2 options").click()
    step.get_by_label("keep").fill("[2]")
    expect(step.locator(".field-problem")).to_contain_text("less than 1")
    expect(page.get_by_text("2 problems").first).to_be_visible()  # that of the source as well
    step.get_by_label("keep").fill("[0.2, 0.4]")
    field(page, "job").fill(source.job.id)
    page.get_by_role("button", name="Add a step").click()
    second = page.get_by_role("group", name="step 2", exact=True)
    second.get_by_label("step", exact=True).select_option("merge")
    page.get_by_role("button", name="Move step 2 up").click()
    expect(step.get_by_label("step", exact=True)).to_have_value("merge")
    page.get_by_role("button", name="Remove step 1").click()
    expect(second).to_have_count(0)
    expect(page.get_by_text("No problems found")).to_be_visible()
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("quickstart")
    (step_spec,) = search.store.list_jobs().items[0].spec["steps"]
    assert (step_spec["step"], step_spec["keep"]) == ("compress", [0.2, 0.4])


@pytest.mark.slow
def test_the_editor_says_what_could_be_written(page: Page) -> None:
    page.goto("/#/new")
    expect(field(page, "name")).to_be_visible()
    editor(page).fill("name: x\ntask:\n  ")
    editor(page).press("Control+End")
    editor(page).press_sequentially("max")
    expect(page.get_by_role("option", name="max_length")).to_be_visible()


def example(page: Page, token: str, name: str) -> None:
    """Write the job that a type of task gives as its example."""
    items = page.request.get("/v1/tasks", headers={"Authorization": f"Bearer {token}"}).json()["items"]
    job = next(one["example"] for one in items if one["name"] == name)
    editor(page).fill(json.dumps(job))
    expect(page.get_by_text("No problems found")).to_be_visible()


@pytest.mark.slow
def test_each_kind_of_data_is_shown_as_it_is(page: Page, token: str) -> None:
    page.goto("/#/new")
    data = page.get_by_role("region", name="Data", exact=True)
    example(page, token, "multi-task")
    expect(data).to_contain_text("train of names: 600 rows")
    expect(data.get_by_role("table", name="Label balance").first).to_contain_text("method")
    expect(data).to_contain_text("Targets from 0")
    expect(data.get_by_role("table", name="First rows of train of names")).to_contain_text("B-function")
    expect(data.get_by_role("cell", name="–", exact=True)).to_have_count(0)
    example(page, token, "preference")
    answers = data.get_by_role("list", name="First rows of train").get_by_role("listitem").first.locator("mark")
    expect(answers).to_have_count(2)
    assert answers.evaluate_all("marks => marks.map(mark => mark.title)") == ["chosen", "rejected"]
    example(page, token, "causal-lm")
    expect(answers).to_have_count(1)
    expect(data.get_by_role("list", name="First rows of train")).to_contain_text("<|im_start|>system")
    example(page, token, "reranking")
    expect(data).to_contain_text("All targets are 1.")
    example(page, token, "audio-classification")
    expect(data.get_by_role("columnheader", name="file")).to_be_visible()
    expect(data.get_by_role("table", name="Label balance")).to_contain_text("10 %")


@pytest.mark.slow
def test_every_kind_of_job_has_a_form(page: Page) -> None:
    page.goto("/#/new")
    kinds = page.get_by_role("group", name="Job", exact=True).get_by_label("kind")
    expect(kinds.locator("option")).to_have_count(4)
    kinds.select_option("mixture")
    expect(editor(page)).to_contain_text("kind: mixture")
    expect(editor(page)).not_to_contain_text("space:")  # what the kind does not have goes with the one before
    expect(field(page, "domains")).to_have_attribute("aria-required", "true")
    problems = page.get_by_role("region", name="Problems")
    expect(problems.get_by_role("listitem")).to_have_count(1)  # nothing but what must still be written
    expect(problems).to_contain_text("corpus is required")
    kinds.select_option("refine")
    expect(page.get_by_role("button", name="Add a step")).to_be_visible()
    kinds.select_option("law")
    expect(page.get_by_role("group", name="Task")).to_be_visible()
    kinds.select_option("search")
    expect(page.get_by_role("group", name="Optimizer")).to_be_visible()
