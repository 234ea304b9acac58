"""Transfer: near tasks speak louder, ranks and not raw values count, and an irrelevant past says nothing."""

from __future__ import annotations

from predictors.transfer import PastJob, PastTrial, Task, recommend

NEAR, FAR = Task(1000, 64, 384, 6), Task(1_000_000, 4096, 8192, 80)


def _job(name: str, task: Task, values: dict[int, float]) -> PastJob:
    trials = tuple(PastTrial(f"{name}-{r}", {"rank": r}, {"accuracy": a}) for r, a in values.items())
    return PastJob(name, task, trials)


def test_nearness_falls_with_distance_and_with_ignorance() -> None:
    task = Task(1200, 64, 384, 6)
    assert task.weight(task) == 1
    assert task.weight(NEAR) > task.weight(Task(1000, 64)) > task.weight(FAR)


def test_images_have_no_length_and_are_as_near_as_their_other_facts() -> None:
    images = Task(1000, 0, 384, 6)
    assert images.weight(images) == 1
    assert images.weight(Task(4000, 0, 384, 6)) == NEAR.weight(Task(4000, 64, 384, 6))
    assert images.weight(NEAR) == NEAR.weight(Task(1000, None, 384, 6))


def test_ranks_count_and_not_the_level_of_a_task() -> None:
    hard = _job("hard", NEAR, {1: 0.50, 2: 0.60, 4: 0.55, 8: 0.52})
    easy = _job("easy", NEAR, {1: 0.95, 2: 0.98, 4: 0.99, 8: 0.96})
    found = recommend(NEAR, [hard, easy], "accuracy", True, 4)
    assert {one.config["rank"] for one in found[:2]} == {2, 4}
    assert set(found[0].trials) <= {f"{job}-{rank}" for job in ("hard", "easy") for rank in (2, 4)}
    assert all(one.low <= one.standing <= one.high for one in found)
    assert recommend(NEAR, [hard], "accuracy", False, 1)[0].config == {"rank": 1}


def test_metrics_of_different_tasks_are_not_averaged() -> None:
    alike = _job("few-classes", NEAR, {1: 0.90, 2: 0.95, 4: 0.92, 8: 0.91})
    other = _job("many-classes", Task(4000, 64, 384, 6), {1: 0.20, 2: 0.30, 4: 0.25, 8: 0.22})
    best = recommend(NEAR, [other, alike], "accuracy", True, 1)[0]
    assert best.config == {"rank": 2}
    assert best.expected["accuracy"] == (0.95, 0.95, 0.95)
    assert best.trials == ("few-classes-2", "many-classes-2")


def test_constraints_are_kept_and_an_irrelevant_past_is_silent() -> None:
    past = _job("past", NEAR, {1: 0.5, 2: 0.6, 4: 0.9, 8: 0.7})
    small = recommend(NEAR, [past], "accuracy", True, 1, lambda trial: trial.config["rank"] <= 2)
    assert small[0].config == {"rank": 2}
    assert recommend(FAR, [past], "accuracy", True, 3) == ()
    assert recommend(NEAR, [_job("short", NEAR, {1: 0.5})], "accuracy", True, 3) == ()


def test_what_lies_between_good_configurations_outranks_a_lucky_run() -> None:
    smooth = {rank: 0.8 - 0.001 * (rank - 16) ** 2 for rank in range(4, 32, 3)}
    lucky = {**smooth, 31: 0.805}  # at the far end, where its neighbours did badly
    found = recommend(NEAR, [_job("a", NEAR, lucky), _job("b", NEAR, smooth)], "accuracy", True, 1)
    assert 10 <= found[0].config["rank"] <= 22


def test_a_long_job_is_read_in_part_but_its_best_trials_always() -> None:
    many = {rank: 0.5 + 0.4 * (rank == 77) + 0.0001 * rank for rank in range(1, 300)}
    found = recommend(NEAR, [_job("long", NEAR, many)], "accuracy", True, 1)
    assert found[0].config["rank"] > 60
