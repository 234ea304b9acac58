"""What a person does on the dashboard, done in a browser against the real service."""

from __future__ import annotations

import re
import zipfile

import pytest
from playwright.sync_api import Locator, Page, expect

from service.store.records import NewTrial, Resumption
from service.store.store import Store
from tests.web.pointer import box_of
from tests.web.search import Search
from tests.web.server import Server

pytestmark = pytest.mark.browser

BAD_JOB = """\
name: wrong in three places
task:
  model: builtin:minilm
  train: nowhere.csv
space: {preset: lora}
objectives:
  - {metric: acuracy, direction: maximize}
budget:
  trials: 4
"""
GOOD_JOB = """\
name: from the browser
task:
  model: builtin:minilm
  train: train.csv
  validation: 0.25
  max_length: 16
space: {preset: lora, overrides: {batch_size: {value: 8}}}
objectives:
  - {metric: accuracy, direction: maximize}
  - {metric: trainable_params, direction: minimize}
optimizer: {name: random}
budget: {trials: 4, epochs: 1}
"""


def open_job(page: Page, search: Search, query: str = "") -> None:
    """Go to the page of the search and wait until it is live."""
    page.goto(f"/#/jobs/{search.job.id}{query}")
    expect(page.get_by_role("heading", level=1)).to_have_text("a search")
    expect(page.get_by_text("live", exact=True)).to_be_visible()


def rows(page: Page) -> Locator:
    """The rows of the trials table that are drawn."""
    return page.get_by_role("grid", name="Trials").locator("tbody tr[data-index]")


def row(page: Page, number: int) -> Locator:
    """The row of one trial."""
    return rows(page).filter(has=page.locator("td:first-child", has_text=re.compile(f"^{number}$")))


def front_chart(page: Page) -> Locator:
    """The chart of the Pareto front; its label says what it shows."""
    return page.get_by_role("img", name=re.compile("on the Pareto front"))


@pytest.mark.slow
def test_jobs_show_their_progress_and_follow_it(page: Page, search: Search) -> None:
    search.begin()
    entry = page.get_by_role("row").filter(has_text="a search")
    expect(entry).to_contain_text("2 of 40")
    expect(entry).to_contain_text("running")
    expect(entry).to_contain_text("0.6600")
    search.complete(search.lora(4), 0.71, 36_864)
    expect(entry).to_contain_text("3 of 40")
    expect(entry).to_contain_text("0.7100")
    entry.get_by_role("link", name="a search").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("a search")


@pytest.mark.slow
def test_the_token_leaves_the_address(page: Page, search: Search, token: str) -> None:
    search.begin()
    expect(page.get_by_role("link", name="a search")).to_be_visible()
    assert token not in page.url
    page.reload()
    expect(page.get_by_role("link", name="a search")).to_be_visible()


@pytest.mark.slow
def test_without_a_token_it_asks_for_one(page: Page, search: Search, token: str) -> None:
    page.expected_errors = ("401",)  # type: ignore[attr-defined]
    search.begin()
    page.evaluate("sessionStorage.clear()")
    page.reload()
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("link", name="a search")).to_be_visible()


def test_front_and_table_grow_live(page: Page, search: Search) -> None:
    search.begin()
    open_job(page, search)
    expect(rows(page)).to_have_count(2)
    expect(front_chart(page)).to_have_attribute("aria-label", re.compile("of 2 trials, 2 on the Pareto front"))

    trial = search.lora(4)
    expect(row(page, 2)).to_contain_text("queued")
    claimed = search.claim(trial)
    expect(row(page, 2)).to_contain_text("running")
    search.finish(claimed, 0.7, 36_864)
    expect(row(page, 2)).to_contain_text("completed")
    expect(row(page, 2)).to_contain_text("36,864")
    expect(row(page, 2)).to_contain_text("front")
    # It dominates the literature's default, which leaves the front.
    expect(front_chart(page)).to_have_attribute("aria-label", re.compile("of 3 trials, 2 on the Pareto front"))
    expect(row(page, 1)).not_to_contain_text("front")
    expect(page.get_by_text("best accuracy 0.2250 above head-only, 0.0400 above literature-default")).to_be_visible()

    search.complete(search.lora(16), 0.74, 147_456)
    expect(front_chart(page)).to_have_attribute("aria-label", re.compile("of 4 trials, 3 on the Pareto front"))
    expect(rows(page)).to_have_count(4)
    expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "4")


def test_a_reference_that_never_reaches_the_front_counts_all_the_same(page: Page, search: Search) -> None:
    search.start()
    search.complete(search.suggest({"method": "head"}, "reference", "head-only"), 0.475, 0)
    default = search.suggest({"method": "lora", "rank": 8}, "reference", "literature-default")
    open_job(page, search)
    expect(page.get_by_text("best accuracy equal to head-only")).to_be_visible()
    search.complete(default, 0.4, 73_728)
    expect(page.get_by_text("best accuracy equal to head-only, 0.0750 above literature-default")).to_be_visible()


def test_a_minimised_metric_is_said_to_lie_below_its_reference(page: Page, search: Search) -> None:
    params = [{"metric": "trainable_params", "direction": "minimize"}, {"metric": "accuracy", "direction": "maximize"}]
    job = Search(search.store, search.artifacts, search.folder, name="small", objectives=params)
    search.start()  # a conductor takes the oldest job first
    job.start()
    job.complete(job.suggest({"method": "lora", "rank": 8}, "reference", "literature-default"), 0.6, 73_728)
    job.complete(job.lora(4), 0.7, 36_864)
    page.goto(f"/#/jobs/{job.job.id}")
    expect(page.get_by_text("best trainable_params 36,864 below literature-default")).to_be_visible()


@pytest.mark.slow
def test_a_suggestion_that_is_replaced_changes_in_place(page: Page, search: Search) -> None:
    search.begin()
    trial = search.lora(4)
    open_job(page, search)
    expect(row(page, 2)).to_contain_text("rank 4")
    search.store.replace_queued(search.job.id, [trial.id], [NewTrial({"method": "lora", "rank": 32}, "optimizer", 0)])
    expect(row(page, 2)).to_contain_text("rank 32")
    expect(rows(page)).to_have_count(3)


@pytest.mark.slow
def test_a_trial_in_full(page: Page, search: Search) -> None:
    search.begin()
    search.complete(search.lora(4), 0.7, 36_864, adapter=True)
    open_job(page, search)
    row(page, 2).click()
    drawer = page.get_by_role("complementary", name="Trial 2")
    expect(drawer.get_by_role("term").filter(has_text="learning_rate")).to_be_visible()
    expect(drawer).to_contain_text("147 kB")
    expect(drawer).to_contain_text("2.13.0")
    expect(drawer.get_by_role("img", name=re.compile("accuracy over 4 reports"))).to_be_visible()
    expect(drawer.get_by_label("Python code of this trial")).to_contain_text("r=4")
    layers = drawer.get_by_role("table", name="Numbers of trial 2 by layer and module")
    expect(layers.get_by_role("row").filter(has_text="layer 1")).to_contain_text("192")
    answers = drawer.locator("section").filter(has=page.get_by_role("heading", name="Answers"))
    expect(answers).to_contain_text("2 rows answered: exact_match 0.5, base 0")
    expect(answers).to_contain_text("It is 42.")
    expect(answers).to_contain_text("A number.")
    events = drawer.get_by_role("list", name="Events of the trial, newest first").get_by_role("listitem")
    expect(events.first).to_contain_text("completed")
    expect(events.last).to_contain_text("queued")
    expect(drawer).to_contain_text("--merged")
    with page.expect_download() as download:
        drawer.get_by_role("button", name="Download adapter").click()
    assert "adapter_config.json" in zipfile.ZipFile(download.value.path()).namelist()
    page.keyboard.press("Escape")
    expect(drawer).to_have_count(0)
    assert "trial=" not in page.url


@pytest.mark.slow
def test_a_population_shows_its_tree_and_the_schedule_it_found(page: Page, store: Store, search: Search) -> None:
    population = Search(store, search.artifacts, search.folder, name="a population", scheduler={"name": "pbt"})
    search.start()  # a conductor takes the oldest job first
    population.begin()
    weak, strong = (population.pause(population.lora(rank), f"{rank}") for rank in (4, 8))
    config = {**strong.config, "learning_rate": 6e-4}
    store.resume_trials(population.job.id, [Resumption(weak.id, 1, strong.id, config)])
    page.goto(f"/#/jobs/{population.job.id}?trial=2")
    drawer = page.get_by_role("complementary", name="Trial 2")
    lineage = drawer.locator("section").filter(has=page.get_by_role("heading", name="Lineage"))
    expect(lineage).to_contain_text("trial 3")
    expect(lineage).to_contain_text("trial 2 · learning_rate=6e-4")
    page.get_by_role("tab", name="Lineage").click()
    tree = page.get_by_role("img", name=re.compile("The tree of 2 trials and 1 copies"))
    expect(tree).to_have_attribute("aria-label", re.compile("trial 2 saw the training of 3, 2"))
    schedule = page.get_by_role("img", name=re.compile("learning_rate over the epochs: 3e-4 from epoch 0, 6e-4 from"))
    expect(schedule).to_be_visible()
    page.goto(f"/#/jobs/{population.job.id}?trial=3")
    expect(page.get_by_role("complementary", name="Trial 3")).to_be_visible()
    expect(page.get_by_role("heading", name="Lineage")).to_have_count(0)


@pytest.mark.slow
def test_learning_curves_grow_while_a_trial_runs(page: Page, search: Search) -> None:
    search.begin()
    claimed = search.claim(search.lora(4))
    search.report(claimed, 1, 0.4)
    open_job(page, search, "?trial=2")
    expect(page.get_by_role("img", name=re.compile("accuracy over 1 reports"))).to_be_visible()
    search.report(claimed, 2, 0.5)
    expect(page.get_by_role("img", name=re.compile("accuracy over 2 reports, last accuracy 0.5"))).to_be_visible()


@pytest.mark.slow
def test_the_keyboard_is_enough(page: Page, search: Search) -> None:
    search.begin()
    search.complete(search.lora(4), 0.7, 36_864)
    open_job(page, search)
    row(page, 2).focus()
    page.keyboard.press("ArrowDown")
    expect(row(page, 1)).to_be_focused()
    page.keyboard.press("End")
    expect(row(page, 0)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("complementary", name="Trial 0")).to_be_focused()
    page.keyboard.press("Escape")
    expect(row(page, 0)).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(row(page, 1)).to_be_focused()
    page.get_by_role("tab", name="Trials").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Best")).to_be_focused()


@pytest.mark.slow
def test_a_job_is_written_and_opened_by_the_keyboard_alone(page: Page) -> None:
    expect(page.get_by_text("No jobs yet.")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="New job").last).to_be_focused()
    page.keyboard.press("Enter")
    editor = page.get_by_label("Job file (YAML)")
    expect(editor).to_contain_text("quickstart")
    stops = 0
    while not editor.evaluate("one => one === document.activeElement"):
        page.keyboard.press("Tab")
        stops += 1
        assert stops < 60, "the editor is out of reach"
    page.keyboard.press("Tab")  # and it lets go of the focus
    expect(editor).not_to_be_focused()
    page.keyboard.press("Shift+Tab")
    expect(editor).to_be_focused()
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("quickstart")
    page.keyboard.press("Tab")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none"  # one sees where one is


def test_nothing_moves_for_who_asked_for_no_motion(page: Page, search: Search) -> None:
    search.begin()
    search.claim(search.lora(4))
    open_job(page, search)
    moving = """() => [...document.querySelectorAll("*")].filter((one) => {
      return ["", "::before", "::after"].some((part) => {
        const style = getComputedStyle(one, part || null);
        return style.animationName !== "none" || style.transitionDuration.split(", ").some((time) => time !== "0s");
      });
    }).length"""
    assert page.evaluate(moving) > 0
    page.emulate_media(reduced_motion="reduce")
    assert page.evaluate(moving) == 0


def test_a_failed_trial_says_why(page: Page, search: Search) -> None:
    search.begin()
    search.fail(search.lora(64), "out_of_memory: 4.2 GiB were not enough")
    open_job(page, search)
    expect(row(page, 2)).to_contain_text("out_of_memory: 4.2 GiB were not enough")
    page.get_by_role("group", name="Show trials").get_by_role("button", name=re.compile("^failed")).click()
    expect(rows(page)).to_have_count(1)
    row(page, 2).click()
    expect(page.get_by_role("complementary").get_by_role("alert")).to_contain_text("out_of_memory")


@pytest.mark.slow
def test_rows_sort_by_any_column(page: Page, search: Search) -> None:
    search.begin()
    search.complete(search.lora(4), 0.7, 36_864)
    search.lora(8)
    open_job(page, search)
    numbers = rows(page).locator("td:first-child")
    expect(numbers).to_have_text(["3", "2", "1", "0"])
    page.get_by_role("button", name="accuracy", exact=True).click()
    expect(numbers).to_have_text(["2", "1", "0", "3"])
    page.get_by_role("button", name="accuracy", exact=True).click()
    expect(numbers).to_have_text(["0", "1", "2", "3"])
    expect(page.get_by_role("columnheader", name="accuracy")).to_have_attribute("aria-sort", "ascending")


@pytest.mark.slow
def test_number_and_state_stay_in_view_while_columns_scroll(page: Page, search: Search) -> None:
    search.begin()
    page.set_viewport_size({"width": 900, "height": 900})
    open_job(page, search)
    cells = row(page, 1).locator("td")
    before = [box_of(cells.nth(at)) for at in range(3)]
    page.locator(".trials-scroller").evaluate("frame => { frame.scrollLeft = 300 }")
    page.wait_for_function("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    after = [box_of(cells.nth(at)) for at in range(3)]
    assert (after[0], after[1]) == (before[0], before[1])
    assert after[2] != before[2]


@pytest.mark.slow
def test_pause_resume_cancel_delete(page: Page, search: Search) -> None:
    search.begin()
    open_job(page, search)
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".job-state")).to_have_text("paused")
    assert search.store.get_job(search.job.id).state == "paused"
    page.get_by_role("button", name="Resume").click()
    expect(page.locator(".job-state")).to_have_text("queued")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Keep it").click()
    expect(page.locator(".job-state")).to_have_text("queued")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Cancel job").click()
    expect(page.locator(".job-state")).to_have_text("cancelled")
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete job").click()
    expect(page.get_by_text("No jobs yet.")).to_be_visible()


@pytest.mark.slow
def test_a_job_is_extended(page: Page, search: Search) -> None:
    page.goto("/#/new")
    page.get_by_label("Job file (YAML)").fill(GOOD_JOB)
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("from the browser")
    page.get_by_role("button", name="Extend").click()
    page.get_by_label("Trials to add").fill("6")
    page.get_by_role("button", name="Extend job").click()
    expect(page.get_by_text("of 10 trials")).to_be_visible()
    assert search.store.list_jobs().items[0].spec["budget"]["trials"] == 10


@pytest.mark.slow
def test_the_space_of_a_job_is_changed(page: Page, search: Search) -> None:
    page.expected_errors = ("422",)  # type: ignore[attr-defined]
    page.goto("/#/new")
    page.get_by_label("Job file (YAML)").fill(GOOD_JOB)
    page.get_by_role("button", name="Submit").click()
    page.get_by_role("button", name="Change space").click()
    dialog = page.get_by_role("dialog", name="Change space")
    text = dialog.get_by_label("Space (YAML)")
    expect(text).to_have_value(re.compile(r"batch_size: \{value: 8\}"))
    text.fill("preset: lora\noverrides: {rank: {low: 100000}}")
    dialog.get_by_role("button", name="Change it").click()
    expect(dialog.get_by_role("alert")).to_contain_text("rank")
    text.fill("preset: lora\noverrides: {batch_size: {value: 8}, rank: {low: 2, high: 4}}")
    dialog.get_by_role("button", name="Change it").click()
    expect(dialog).to_have_count(0)
    page.get_by_role("tab", name="Spec").click()
    expect(page.get_by_label("Spec of the job")).to_contain_text("rank: {low: 2, high: 4}")
    assert search.store.list_jobs().items[0].spec["space"]["overrides"]["rank"] == {"low": 2, "high": 4}


@pytest.mark.slow
def test_the_best_under_a_limit_with_its_code(page: Page, search: Search) -> None:
    page.expected_errors = ("404",)  # type: ignore[attr-defined]
    search.begin()
    search.complete(search.lora(4), 0.7, 36_864)
    search.complete(search.lora(16), 0.74, 147_456)
    open_job(page, search)
    page.get_by_role("tab", name="Best").click()
    panel = page.get_by_role("tabpanel")
    expect(panel.get_by_role("button", name="Trial 3")).to_be_visible()  # it loads libraries
    panel.get_by_label("Limit 1: value").fill("50000")
    expect(panel.get_by_role("button", name="Trial 2")).to_be_visible()
    expect(panel.get_by_label("Python code of this configuration")).to_contain_text("LoraConfig")
    panel.get_by_label("Limit 1: value").fill("-1")
    expect(panel.get_by_role("alert")).to_be_visible()


@pytest.mark.slow
def test_log_and_spec(page: Page, search: Search) -> None:
    search.begin()
    open_job(page, search, "?tab=log")
    search.store.add_event(search.job.id, "note", {"message": "the surrogate could not be fitted"})
    expect(page.get_by_role("list", name="Events, newest first")).to_contain_text("the surrogate could not be fitted")
    page.get_by_role("tab", name="Spec").click()
    expect(page.get_by_label("Spec of the job")).to_contain_text("model: builtin:minilm")
    page.get_by_role("tab", name="Log").click()  # nobody read it meanwhile
    expect(page.get_by_role("list", name="Events, newest first")).to_contain_text("the surrogate could not be fitted")


@pytest.mark.slow
def test_a_bad_job_is_refused_field_by_field_and_mended(page: Page, search: Search) -> None:
    page.expected_errors = ("422",)  # type: ignore[attr-defined]
    page.get_by_role("link", name="New job").first.click()
    editor = page.get_by_label("Job file (YAML)")
    expect(editor).to_contain_text("builtin:minilm")
    editor.fill(BAD_JOB)
    page.get_by_role("button", name="Submit").click()
    refused = page.get_by_role("alert", name="Why the job was refused")
    expect(refused.get_by_role("listitem").filter(has_text="task.train")).to_contain_text("nowhere.csv")
    wrong = refused.get_by_role("listitem").filter(has_text="objectives.0.metric")
    expect(wrong).to_contain_text("acuracy")
    wrong.get_by_role("button", name=re.compile("line 7")).click()
    expect(editor).to_be_focused()
    assert len(search.store.list_jobs().items) == 1

    editor.fill(GOOD_JOB)
    editor.press("Control+Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("from the browser")
    expect(page.get_by_text("No trial has been suggested yet.")).to_be_visible()
    page.get_by_role("link", name="Clone").click()
    expect(editor).to_contain_text("name: from the browser")
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_text("No trial has been suggested yet.")).to_be_visible()
    assert [job.name for job in search.store.list_jobs().items[:2]] == ["from the browser"] * 2


def test_it_says_when_the_service_is_away_and_catches_up(page: Page, search: Search, server: Server) -> None:
    page.expected_errors = ("ERR_", "Failed to fetch")  # type: ignore[attr-defined]
    search.begin()
    open_job(page, search)
    server.stop()
    expect(page.get_by_text(re.compile("^reconnecting in"))).to_be_visible()
    search.complete(search.lora(4), 0.7, 36_864)
    server.start()
    expect(page.get_by_text("live", exact=True)).to_be_visible()
    expect(row(page, 2)).to_contain_text("36,864")


@pytest.mark.slow
def test_two_tabs_follow_one_job_and_keep_a_text_each(page: Page, search: Search) -> None:
    search.begin()
    open_job(page, search)
    other = page.context.new_page()
    other.goto(page.url)
    other.get_by_label("Token").fill(search.store.create_token("second tab", ["admin"])[0])
    other.get_by_role("button", name="Continue").click()
    expect(other.get_by_text("live", exact=True)).to_be_visible()
    other.get_by_role("button", name="Pause").click()
    expect(page.locator(".job-state")).to_have_text("paused")
    page.get_by_role("button", name="Tags and note of the job").click()
    page.get_by_label("Tags, with commas").fill("seen")
    page.get_by_role("button", name="Save").click()
    expect(other.locator(".job-header")).to_contain_text("seen")
    search.store.set_job_state(search.job.id, "running")
    search.complete(search.lora(4), 0.7, 36_864)
    for tab in (page, other):
        expect(row(tab, 2)).to_contain_text("36,864")
        tab.goto("/#/new")
    page.get_by_label("Job file (YAML)").fill("name: of the first tab")
    other.reload()
    expect(other.get_by_label("Job file (YAML)")).to_contain_text("name: quickstart")


@pytest.mark.slow
def test_an_address_that_lost_its_hash_leads_to_the_page(page: Page, search: Search) -> None:
    search.begin()
    page.goto(f"/jobs/{search.job.id}")
    expect(page.get_by_role("heading", level=1)).to_have_text("a search")
    page.goto("/no/such/page")
    expect(page.get_by_role("heading", name="There is no such page")).to_be_visible()
    page.get_by_role("link", name="All jobs").click()
    expect(page.get_by_role("link", name="a search")).to_be_visible()


def test_a_job_that_is_not_there(page: Page) -> None:
    page.expected_errors = ("404",)  # type: ignore[attr-defined]
    page.goto("/#/jobs/jnone")
    expect(page.get_by_role("alert")).to_contain_text("The job could not be loaded")
    expect(page.get_by_role("alert")).to_contain_text("jnone")


@pytest.mark.slow
def test_thousands_of_trials_draw_few_rows(page: Page, search: Search) -> None:
    search.begin()
    many = [NewTrial({"method": "lora", "rank": rank}, "optimizer", seed=rank) for rank in range(3000)]
    search.store.add_trials(search.job.id, many)
    open_job(page, search)
    grid = page.get_by_role("grid", name="Trials")
    expect(grid).to_have_attribute("aria-rowcount", "3003")
    assert rows(page).count() < 100
    rows(page).first.focus()
    page.keyboard.press("End")
    expect(row(page, 0)).to_be_focused()
    assert rows(page).count() < 100


@pytest.mark.slow
@pytest.mark.parametrize("path", ["", "#/new", "#/jobs/{job}", "#/jobs/{job}?tab=best", "#/jobs/{job}?trial=1"])
def test_fits_a_phone(page: Page, search: Search, path: str) -> None:
    search.begin()
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("/" + path.format(job=search.job.id))
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
