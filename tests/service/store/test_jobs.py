"""Jobs: creation, idempotency, states, listing, extension, deletion, leases."""

from __future__ import annotations

import re
from typing import Any, get_args

import pytest

from service.errors import BadInput, Conflict, NotFound
from service.store.records import Choice, JobState, Remarks
from service.store.states import JOB_OVER, JOB_TRANSITIONS
from service.store.store import Store
from tests.service.store.examples import SPEC, ManualClock, claimed, completed, outcome, running_job, suggestions


def test_a_new_job_is_queued_and_reads_back_as_it_was_returned(store: Store, clock: ManualClock) -> None:
    job = store.create_job("sst2", SPEC)
    assert store.get_job(job.id) == job
    assert re.fullmatch("j[a-z2-7]{11}", job.id)
    assert (job.state, job.created_at, job.spec, job.version, job.front_size) == ("queued", clock.now, SPEC, 1, 0)
    assert set(job.counts.values()) == {0}


def test_unknown_jobs_are_not_found(store: Store) -> None:
    for call in (
        lambda: store.get_job("jnone"),
        lambda: store.set_job_state("jnone", "paused"),
        lambda: store.extend_job("jnone", SPEC),
        lambda: store.delete_job("jnone"),
        lambda: store.add_trials("jnone", suggestions(1)),
        lambda: store.replace_queued("jnone", [], suggestions(1)),
        lambda: store.claim_trial("jnone", "w", 1),
        lambda: store.counts("jnone"),
        lambda: store.front("jnone"),
        lambda: store.add_event("jnone", "note", {}),
    ):
        with pytest.raises(NotFound, match="jnone"):
            call()


def test_names_that_a_database_cannot_hold_are_stored_readably(store: Store) -> None:
    job = store.create_job("a\x00b\ud800c – ü", SPEC)
    assert store.get_job(job.id).name == "a\ufffdb?c – ü"


class TestIdempotencyKeys:
    def test_the_same_request_returns_the_same_job(self, store: Store) -> None:
        first = store.create_job("a", SPEC, "key")
        assert store.create_job("a", dict(reversed(SPEC.items())), "key") == first
        assert store.create_job("a", SPEC, "other key").id != first.id
        assert len(store.list_jobs().items) == 2

    def test_another_request_with_the_key_is_a_conflict(self, store: Store) -> None:
        first = store.create_job("a", SPEC, "key")
        with pytest.raises(Conflict, match=rf"'key'.*{first.id}"):
            store.create_job("a", {**SPEC, "seed": 1}, "key")
        with pytest.raises(Conflict):
            store.create_job("b", SPEC, "key")
        assert len(store.list_jobs().items) == 1

    def test_deleting_the_job_frees_the_key(self, store: Store) -> None:
        first = store.create_job("a", SPEC, "key")
        store.delete_job(first.id)
        assert store.create_job("a", {"other": 1}, "key").id != first.id


def reach(store: Store, state: JobState) -> str:
    """A job in `state`."""
    id = store.create_job("a", SPEC).id
    path: dict[str, list[JobState]] = {"queued": [], "completed": ["running", "completed"]}
    for step in path.get(state, [state]):
        store.set_job_state(id, step)
    return id


class TestStates:
    @pytest.mark.parametrize("present", get_args(JobState))
    def test_only_the_ways_in_the_table_can_be_gone(self, store: Store, present: JobState) -> None:
        for to in get_args(JobState):
            id = reach(store, present)
            if to in JOB_TRANSITIONS[present]:
                assert store.set_job_state(id, to).state == to
                continue
            before = store.get_job(id)
            with pytest.raises(Conflict, match=f"from {present} to {to}") as refusal:
                store.set_job_state(id, to)
            assert all(allowed in str(refusal.value) for allowed in JOB_TRANSITIONS[present])
            assert store.get_job(id) == before

    def test_times_and_reasons_follow_the_states(self, store: Store, clock: ManualClock) -> None:
        id = store.create_job("a", SPEC).id
        clock.advance(1)
        started = clock.now
        assert store.set_job_state(id, "running").started_at == started
        clock.advance(1)
        store.set_job_state(id, "paused", "asked to")
        again = store.set_job_state(id, "running")
        assert (again.started_at, again.reason, again.finished_at) == (started, None, None)
        clock.advance(1)
        failed = store.set_job_state(id, "failed", "every trial failed")
        assert (failed.finished_at, failed.reason) == (clock.now, "every trial failed")
        assert store.set_job_state(id, "queued").finished_at is None

    def test_the_version_grows_with_every_change_that_a_reader_can_see(self, store: Store) -> None:
        job = running_job(store)
        versions = [job.version]
        for change in (
            lambda: store.add_trials(job.id, suggestions(2)),
            lambda: claimed(store, job.id),
            lambda: store.finish_trial(outcome(store.searched_trials(job.id)[0])),
            lambda: store.set_job_state(job.id, "paused"),
            lambda: store.extend_job(job.id, {**SPEC, "seed": 2}),
        ):
            change()
            versions.append(store.get_job(job.id).version)
        assert versions == sorted(set(versions))

    @pytest.mark.parametrize("end", sorted(JOB_OVER))
    def test_ending_a_job_closes_what_waits_and_leaves_what_runs(self, store: Store, end: JobState) -> None:
        job = running_job(store, trials=4)
        paused, lost, running = (claimed(store, job.id, f"w{n}") for n in range(3))
        store.finish_trial(outcome(paused, status="paused"))
        store.requeue_trial(lost.id, 1, "its node went away")
        store.set_job_state(job.id, end)
        states = {trial.id: trial.state for trial in store.searched_trials(job.id)}
        assert states == {paused.id: "stopped", lost.id: "stopped", running.id: "running"}
        assert store.get_trial(paused.id).reason == f"the job is {end}"
        assert store.counts(job.id) == {
            "queued": 0, "running": 1, "paused": 0, "completed": 0, "stopped": 2, "failed": 0
        }  # fmt: skip
        assert store.finish_trial(outcome(running)).state == "completed"
        assert store.claim_trial(job.id, "w", 60) is None
        with pytest.raises(Conflict, match=end):
            store.add_trials(job.id, suggestions(1))


class TestExtension:
    def test_a_job_that_is_over_is_queued_again(self, store: Store) -> None:
        job = running_job(store)
        store.set_job_state(job.id, "completed", "budget used")
        larger = {**SPEC, "budget": {"trials": 80}}
        extended = store.extend_job(job.id, larger)
        assert (extended.state, extended.spec, extended.reason) == ("queued", larger, None)
        leased = store.lease_job("conductor", 60)
        assert leased is not None
        assert leased.id == job.id

    def test_a_running_job_goes_on_running(self, store: Store) -> None:
        job = running_job(store)
        assert store.extend_job(job.id, {**SPEC, "seed": 1}).state == "running"

    def test_other_constraints_make_another_front(self, store: Store) -> None:
        job = running_job(store)
        small = completed(store, job.id, 0.5, 10)
        large = completed(store, job.id, 0.9, 1000)
        assert [trial.id for trial in store.front(job.id)] == [large.id, small.id]
        at_most = {**SPEC, "constraints": [{"metric": "trainable_params", "max": 100}]}
        assert store.extend_job(job.id, at_most).front_size == 1
        assert [trial.id for trial in store.front(job.id)] == [small.id]
        event = [event for event in store.events_after(0, job.id) if event.kind == "front"][-1]
        assert event.payload == {"joined": [], "left": [large.id], "size": 1}
        assert store.extend_job(job.id, SPEC).front_size == 2


class TestLists:
    def test_pages_are_newest_first_and_hold_every_job_once(self, store: Store, clock: ManualClock) -> None:
        made = []
        for n in range(7):
            made.append(store.create_job(str(n), SPEC).id)
            clock.advance(n % 2)  # some were made at the same instant
        seen: list[str] = []
        cursor = None
        while True:
            page = store.list_jobs(cursor, limit=2)
            seen += [job.id for job in page.items]
            assert len(page.items) <= 2
            if page.next_cursor is None:
                break
            cursor = page.next_cursor
            store.create_job("made while paging", SPEC)
        assert sorted(seen) == sorted(made)
        times = [store.get_job(id).created_at for id in seen]
        assert times == sorted(times, reverse=True)

    @pytest.mark.parametrize("cursor", ["", "nonsense", "W10", "ü", "WyJuZXdlc3QiLCAxXQ"])
    def test_a_cursor_of_another_list_is_refused(self, store: Store, cursor: str) -> None:
        with pytest.raises(BadInput, match="next_cursor"):
            store.list_jobs(cursor)

    def test_an_empty_page_is_refused(self, store: Store) -> None:
        with pytest.raises(BadInput, match="limit"):
            store.list_jobs(limit=0)


class TestDeletion:
    def test_everything_of_the_job_goes_and_nothing_else(self, store: Store) -> None:
        doomed, kept = running_job(store, trials=2), running_job(store, trials=2)
        for job in (doomed, kept):
            store.finish_trial(outcome(claimed(store, job.id)))
        kept_events = store.events_after(0, kept.id)
        store.delete_job(doomed.id)
        with pytest.raises(NotFound):
            store.get_job(doomed.id)
        assert store.searched_trials(doomed.id) == ()
        assert store.events_after(0) == kept_events
        assert len(store.searched_trials(kept.id)) == 2

    def test_numbers_of_deleted_events_are_not_given_out_again(self, store: Store) -> None:
        doomed, kept = running_job(store), running_job(store)
        store.add_event(doomed.id, "note", {})
        last = store.events_after(0)[-1].sequence
        store.delete_job(doomed.id)
        store.add_event(kept.id, "note", {})
        assert store.events_after(last, kept.id)[0].sequence > last


class TestLeases:
    def test_the_oldest_free_job_is_taken_and_runs(self, store: Store, clock: ManualClock) -> None:
        first = store.create_job("first", SPEC)
        clock.advance(1)
        second = store.create_job("second", SPEC)
        a, b, c = (store.lease_job(owner, 10) for owner in "abc")
        assert a is not None
        assert b is not None
        assert c is None
        assert (a.id, a.state, a.lease_owner, a.started_at) == (first.id, "running", "a", clock.now)
        assert (b.id, b.lease_owner) == (second.id, "b")

    def test_an_expired_lease_is_free_and_the_former_owner_learns_it(self, store: Store, clock: ManualClock) -> None:
        job = store.create_job("first", SPEC)
        store.lease_job("a", 10)
        clock.advance(9)
        assert store.extend_job_lease(job.id, "a", 10)
        clock.advance(9)
        assert store.lease_job("b", 10) is None
        clock.advance(1)
        taken = store.lease_job("b", 10)
        assert taken is not None
        assert taken.lease_owner == "b"
        assert not store.extend_job_lease(job.id, "a", 10)
        store.release_job(job.id, "a")
        assert store.get_job(job.id).lease_owner == "b"

    def test_a_released_job_can_be_taken_at_once(self, store: Store) -> None:
        job = store.create_job("first", SPEC)
        store.lease_job("a", 10)
        store.release_job(job.id, "a")
        taken = store.lease_job("b", 10)
        assert taken is not None
        assert taken.id == job.id

    @pytest.mark.parametrize("state", ["paused", "completed", "failed", "cancelled"])
    def test_other_jobs_are_not_given_out(self, store: Store, state: JobState) -> None:
        reach(store, state)
        assert store.lease_job("a", 10) is None

    def test_ending_a_job_ends_its_lease(self, store: Store) -> None:
        job = store.create_job("first", SPEC)
        store.lease_job("a", 10)
        assert store.set_job_state(job.id, "cancelled").lease_owner is None
        assert not store.extend_job_lease(job.id, "a", 10)


def test_a_lease_from_before_the_clock_was_put_back_holds_nothing(store: Store, clock: ManualClock) -> None:
    job = running_job(store)
    store.add_trials(job.id, suggestions(2))
    store.lease_job("a", 10)
    trial = store.claim_trial(job.id, "w", 60)
    assert trial is not None
    clock.advance(-3600)
    assert [one.id for one in store.requeue_expired()] == [trial.id]
    taken = store.lease_job("b", 10)
    assert taken is not None
    assert taken.lease_owner == "b"
    clock.advance(-60)  # within a lease's length, nobody can tell
    assert store.lease_job("c", 10) is None


class TestRemarks:
    def test_tags_and_a_note_are_kept_changed_and_taken_away(self, store: Store) -> None:
        job = store.create_job("a", SPEC)
        said = store.remark_job(job.id, Remarks(["later", "base", "base"], "look at rank 4"))
        assert (said.tags, said.note) == (["base", "later"], "look at rank 4")
        assert store.get_job(job.id) == said
        assert said.version > job.version
        assert store.remark_job(job.id, Remarks(note="")).note is None
        assert store.get_job(job.id).tags == ["base", "later"]
        trial = store.add_trials(job.id, suggestions(1))[0]
        assert (trial.tags, trial.note) == ([], None)
        assert store.remark_trial(trial.id, Remarks(["odd"])).tags == ["odd"]
        assert store.get_trial(trial.id).tags == ["odd"]
        kinds = [event.kind for event in store.events_after(0, job.id)]
        assert [kind for kind in kinds if kind.endswith("remarks")] == ["job.remarks"] * 2 + ["trial.remarks"]
        for call in (
            lambda: store.remark_job("jnone", Remarks([])),
            lambda: store.remark_trial("jnone-0", Remarks([])),
        ):
            with pytest.raises(NotFound, match="jnone"):
                call()

    def test_jobs_and_trials_are_found_by_them(self, store: Store) -> None:
        ids: dict[str, str] = {}
        for name, tags in (("warm 50%", ["base", "ü"]), ("cold 500", ["base"]), ("third", [])):
            ids[name] = store.remark_job(store.create_job(name, SPEC).id, Remarks(tags, f"of {name[:4]}")).id
        store.set_job_state(ids["third"], "cancelled")

        def found(**asked: Any) -> list[str]:
            return sorted(job.name for job in store.list_jobs(choice=Choice(**asked)).items)

        assert found(tags=("base",)) == ["cold 500", "warm 50%"]
        assert found(tags=("base", "ü")) == ["warm 50%"]
        assert found(tags=("bas",)) == []
        assert found(text="50%") == ["warm 50%"]
        assert found(text="OF COLD") == ["cold 500"]
        assert found(states=("cancelled", "failed")) == ["third"]
        assert found(text=ids["cold 500"]) == ["cold 500"]
        job = store.create_job("a", SPEC)
        trials = store.add_trials(job.id, suggestions(3))
        store.remark_trial(trials[1].id, Remarks(["odd"]))
        assert [trial.number for trial in store.list_trials(job.id, tags=["odd"]).items] == [1]

    def test_who_is_told_of_ends_is_not_told_again(self, store: Store) -> None:
        job = store.create_job("a", SPEC)
        store.create_webhook("https://hooks.example.com/x", ["job.cancelled"])
        store.set_job_state(job.id, "cancelled")
        assert store.collect_deliveries() == 1
        store.remark_job(job.id, Remarks(["over"]))
        assert store.collect_deliveries() == 0
