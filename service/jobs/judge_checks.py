"""Metrics of a job's own, against the world: files that the operator allows, addresses, names that are taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from service.errors import BadInput, FieldProblem
from service.jobs.data_paths import locate
from service.jobs.search.spec import JobSpec
from service.settings import Settings
from workers.errors import InvalidInput
from workers.generation.judging.places import check_function, check_task, code_file
from workers.generation.judging.section import FileJudge, HarnessJudge, HttpJudge, Judge
from workers.outbound.addresses import Allowed
from workers.tasks.registry import METRICS

_NO_CODE = "none: this service runs no code of jobs (`peftsearch serve --programs FOLDER` would allow a folder's)"


def located_judge(number: int, judge: Judge, settings: Settings) -> Judge:
    """The judge with the path of its file absolute. Raises BadInput unless it may be asked."""
    at = f"task.judges.{number}"
    if judge.name in METRICS:
        allowed = "a name that no metric of ours has"
        raise BadInput(
            f"{at}.name", judge.name, allowed, f"found {judge.name!r}, which is a metric; allowed: {allowed}"
        )
    if isinstance(judge, HttpJudge):
        _by_field(at, lambda: Allowed(settings.judges, setting="judges").check(judge.url))
        return judge
    if not settings.programs:
        raise BadInput(f"{at}.file", judge.file, _NO_CODE, f"found {judge.file!r}; allowed: {_NO_CODE}")
    path = locate(f"{at}.file", judge.file, settings.programs, "folders that code of jobs may lie in")
    placed: FileJudge | HarnessJudge = judge.model_copy(update={"file": str(path)})
    _by_field(at, lambda: _check_code(placed, settings))
    return placed


def _check_code(judge: FileJudge | HarnessJudge, settings: Settings) -> None:
    file = code_file(judge, settings.programs)
    if isinstance(judge, FileJudge):
        check_function(judge, file)
    else:
        check_task(judge, file)


def _by_field(at: str, check: Callable[[], None]) -> None:
    try:
        check()
    except InvalidInput as error:
        raise BadInput(f"{at}.{error.field}", error.found, error.allowed, error.message) from None


def judged_goals(spec: JobSpec) -> Iterator[FieldProblem]:
    """Objectives that go the other way than their judge declares."""
    declared = {metric.name: metric.direction for metric in spec.task.judged_metrics()}
    for number, one in enumerate(spec.objectives):
        right = declared.get(one.metric, one.direction)
        if right != one.direction:
            told = f"found {one.direction}; allowed: {right}, as `task.judges` declares {one.metric}"
            yield FieldProblem(f"objectives.{number}.direction", one.direction, right, told)
