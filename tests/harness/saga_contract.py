"""What the saga engine promises; held on SQLite by the unit tests and on PostgreSQL by the contract tests."""

from __future__ import annotations

import threading
from dataclasses import replace
from uuid import uuid4

import pytest
from sqlalchemy import update

from common.errors import Conflict, DeadlineExceeded, HostFailed, PlatformError, Unavailable
from common.saga.saga import Step
from common.saga.store import Sagas
from common.saga.tables import SagaState
from tests.harness.sagas import Case, Crash, Trouble, cases, prove
from tests.harness.toys import FILL_JAR, LEASE_S, TOY_TABLES, FillJar, ToySaga, ToyWorld
from tests.harness.waiting import until


def a_jar() -> FillJar:
    return FillJar(jar_id=uuid4())


class SagaContract:
    """Subclasses give the fixture `toys`: a ToyWorld on their database."""

    def test_the_steps_are_done_in_order_and_their_results_kept(self, toys: ToyWorld) -> None:
        jar_id = uuid4()
        saga_id = toys.begin(jar_id)

        toys.engine.run_due()

        row = toys.row(saga_id)
        assert row.state == SagaState.DONE
        assert row.results == {"shelf": "oak", "jar": True, "label": "labelled", "seal": None}
        assert toys.kit.jars == {jar_id: "oak"} and toys.labels() == ["oak"]
        assert toys.kit.told == ["labelled"]
        assert (row.claimed_by, row.finished_at) == (None, toys.clock.now())

    def test_the_timeline_has_each_step_with_its_host_and_end(self, toys: ToyWorld) -> None:
        saga_id = toys.begin()

        toys.engine.run_due()

        events = toys.events(saga_id)
        assert [event.step for event in events] == ["shelf", "jar", "label", "seal"]
        assert all(event.succeeded and event.ended_at and event.host == "oak" for event in events)

    @pytest.mark.parametrize("case", cases(FILL_JAR), ids=str)
    def test_every_trouble_at_every_step(self, toys: ToyWorld, case: Case) -> None:
        params = a_jar()

        ended = prove(toys, FILL_JAR, params, case, resource_id=params.jar_id)

        assert (ended == SagaState.DONE) == (params.jar_id in toys.kit.jars)
        assert ended == SagaState.DONE or toys.kit.failed != [] or case.trouble is Trouble.HANG

    def test_an_error_undoes_all_in_reverse_and_says_why(self, toys: ToyWorld) -> None:
        toys.kit.trouble["seal"] = [PlatformError("The wax is gone")]
        saga_id = toys.begin()

        toys.engine.run_due()

        assert toys.row(saga_id).state == SagaState.FAILED
        assert toys.kit.jars == {} and toys.labels() == []
        assert toys.kit.failed == ["The wax is gone"]
        undone = [event.step for event in toys.events(saga_id) if event.is_undo]
        assert undone == ["seal", "label", "jar", "shelf"]

    def test_an_unexpected_exception_is_told_without_its_text(self, toys: ToyWorld) -> None:
        toys.kit.trouble["seal"] = [ZeroDivisionError("/secret/path")]
        saga_id = toys.begin()

        toys.engine.run_due()

        assert toys.kit.failed == ["Unexpected error (ZeroDivisionError)"]
        [event] = [event for event in toys.events(saga_id) if event.succeeded is False]
        assert "/secret/path" in (event.details or "") and "/secret/path" not in (event.message or "")

    def test_what_is_unavailable_is_tried_again_with_growing_pauses(self, toys: ToyWorld) -> None:
        toys.kit.trouble["jar"] = [Unavailable("not now")] * 4
        saga_id = toys.begin()

        toys.run_for(10, every_s=0.1)

        assert toys.row(saga_id).state == SagaState.DONE
        assert toys.kit.calls["jar"] == 5
        assert len([event for event in toys.events(saga_id) if event.step == "jar"]) == 1

    def test_what_stays_unavailable_is_given_up_at_the_steps_deadline(self, toys: ToyWorld) -> None:
        toys.kit.trouble["seal"] = [Unavailable("never")] * 1000
        saga_id = toys.begin()

        toys.run_for(200)

        row = toys.row(saga_id)
        assert row.state == SagaState.FAILED and row.finished_at is not None
        assert row.finished_at <= row.deadline_at
        assert toys.kit.jars == {}

    def test_a_failing_host_is_left_for_another(self, toys: ToyWorld) -> None:
        toys.kit.trouble["jar"] = [HostFailed("The shelf is full")]
        jar_id = uuid4()
        saga_id = toys.begin(jar_id)

        toys.engine.run_due()

        assert toys.kit.jars == {jar_id: "pine"}
        row = toys.row(saga_id)
        assert (row.state, row.excluded, row.error) == (SagaState.DONE, ["oak"], None)

    def test_after_the_last_host_the_saga_fails(self, toys: ToyWorld) -> None:
        toys.kit.trouble["jar"] = [HostFailed("full")] * 3
        saga_id = toys.begin()

        toys.engine.run_due()

        assert toys.row(saga_id).state == SagaState.FAILED
        assert toys.kit.calls["jar"] == 3 and toys.kit.jars == {}

    def test_a_lost_reply_is_asked_for_again_before_another_host_is_tried(self, toys: ToyWorld) -> None:
        toys.kit.trouble["jar"] = [DeadlineExceeded("no answer")]
        saga_id = toys.begin()

        toys.run_for(2, every_s=0.2)

        assert toys.row(saga_id).excluded == [] and toys.row(saga_id).state == SagaState.DONE

    def test_a_local_step_that_fails_leaves_none_of_its_writes(self, toys: ToyWorld) -> None:
        toys.kit.trouble["label"] = [Conflict("wrong")]
        saga_id = toys.begin()

        toys.engine.run_due()

        assert toys.row(saga_id).state == SagaState.FAILED
        assert toys.labels() == [] and toys.kit.told == []

    def test_a_worker_that_dies_is_replaced_when_its_lease_is_over(self, toys: ToyWorld) -> None:
        toys.kit.trouble["jar"] = [Crash()]
        saga_id = toys.begin()
        with pytest.raises(Crash):
            toys.engine.run_due()
        other = toys.worker("second")

        too_early = other.run_due()
        toys.clock.advance(LEASE_S + 1)
        in_time = other.run_due()

        assert (too_early, in_time) == (0, 1)
        assert toys.row(saga_id).state == SagaState.DONE

    def test_the_sole_worker_of_a_cloud_frees_what_a_dead_one_held(self, toys: ToyWorld) -> None:
        toys.kit.trouble["jar"] = [Crash()]
        saga_id = toys.begin()
        with pytest.raises(Crash):
            toys.engine.run_due()
        alone = toys.worker("alone")

        alone.start(alone=True)

        until(lambda: toys.row(saga_id).state == SagaState.DONE, what="the saga's end")
        alone.stop()

    def test_a_worker_that_was_given_up_records_nothing(self, toys: ToyWorld) -> None:
        saga_id = toys.begin()
        [held] = toys.engine.claim_due(1)
        toys.clock.advance(LEASE_S + 1)
        toys.worker("second").run_due()
        generation = toys.row(saga_id).generation

        toys.engine.advance(held)

        assert toys.row(saga_id).generation == generation
        assert len(toys.events(saga_id)) == 4
        assert toys.kit.told == ["labelled"]

    @pytest.mark.parametrize("unreadable", [{"params": {}}, {"position": 99}], ids=str)
    def test_a_saga_that_this_release_cannot_read_holds_up_no_others(
        self, toys: ToyWorld, unreadable: dict[str, object]
    ) -> None:
        strange, plain = toys.begin(), toys.begin()
        with toys.database.transaction() as session:
            session.execute(update(ToySaga).where(ToySaga.id == strange).values(**unreadable))

        toys.engine.run_due()

        assert toys.row(plain).state == SagaState.DONE
        assert toys.events(strange) == [] and toys.row(strange).finished_at is None

    @pytest.mark.parametrize("unreadable", [{"params": {}}, {"position": 99}, {"kind": "of_another_release"}], ids=str)
    @pytest.mark.parametrize("is_cancelled", [False, True], ids=["late", "cancelled"])
    def test_a_saga_that_nobody_can_read_is_given_up_with_a_reason_and_lets_later_ones_go_on(
        self, toys: ToyWorld, unreadable: dict[str, object], is_cancelled: bool
    ) -> None:
        jar_id = uuid4()
        strange, later = toys.begin(jar_id), toys.begin(jar_id)
        unreadable = unreadable | {"is_cancelled": is_cancelled}
        with toys.database.transaction() as session:
            session.execute(update(ToySaga).where(ToySaga.id == strange).values(**unreadable))

        toys.engine.run_due()
        early = toys.row(strange).finished_at
        toys.clock.advance(61 if is_cancelled else FILL_JAR.timeout_s + 61)
        for _ in range(2):
            toys.engine.run_due()
            toys.engine.end_unreadable()

        assert early is None
        assert toys.row(strange).state == SagaState.FAILED
        [event] = toys.events(strange)
        assert event.message == toys.row(strange).error == toys.unread[jar_id]
        assert "another release" in toys.unread[jar_id]
        toys.clock.advance(LEASE_S)
        toys.engine.run_due()
        assert toys.row(later).state in (SagaState.DONE, SagaState.FAILED)

    def test_sagas_of_one_resource_run_one_after_another(self, toys: ToyWorld) -> None:
        jar_id = uuid4()
        toys.kit.trouble["jar"] = [Unavailable("not now")]
        first, second = toys.begin(jar_id), toys.begin(jar_id)

        toys.engine.run_due()
        claimed_meanwhile = toys.engine.run_due()

        assert claimed_meanwhile == 0
        assert toys.row(first).position == 1 and toys.row(second).position == 0
        assert toys.row(second).claimed_by is None

    def test_a_cancelled_saga_is_undone_from_where_it_is(self, toys: ToyWorld) -> None:
        jar_id = uuid4()
        toys.kit.trouble["seal"] = [Unavailable("not now")]
        saga_id = toys.begin(jar_id)
        toys.engine.run_due()

        cancelled = toys.cancel(jar_id)
        toys.run_for(2)

        assert cancelled == 1
        assert toys.row(saga_id).state == SagaState.FAILED and toys.kit.jars == {}

    def test_a_saga_that_may_not_be_cancelled_goes_on(self, toys: ToyWorld) -> None:
        toys.saga = replace(FILL_JAR, may_be_cancelled=False)
        toys.engine = toys.worker("stubborn")
        jar_id = uuid4()
        saga_id = toys.begin(jar_id)

        toys.cancel(jar_id)
        toys.run_for(2)

        assert toys.row(saga_id).state == SagaState.DONE

    def test_a_step_that_may_be_skipped_is_gone_on_without(self, toys: ToyWorld) -> None:
        seal = FILL_JAR.steps[-1]
        assert isinstance(seal, Step)
        toys.saga = replace(FILL_JAR, steps=(*FILL_JAR.steps[:-1], replace(seal, may_be_skipped=True)))
        toys.engine = toys.worker("easy-going")
        toys.kit.trouble["seal"] = [PlatformError("The wax is gone")]
        saga_id = toys.begin()

        toys.engine.run_due()

        assert toys.row(saga_id).state == SagaState.DONE
        last = toys.events(saga_id)[-1]
        assert (last.step, last.succeeded, last.message) == ("seal", False, "The wax is gone")

    def test_an_undo_that_does_not_work_is_tried_for_ever_while_the_owner_knows(self, toys: ToyWorld) -> None:
        toys.kit.trouble["seal"] = [PlatformError("The wax is gone")]
        toys.kit.trouble["undo jar"] = [PlatformError("stuck")] * 10
        saga_id = toys.begin()

        toys.run_for(60)
        told_meanwhile, state_meanwhile = list(toys.kit.failed), toys.row(saga_id).state
        toys.run_for(600, every_s=10)

        assert (told_meanwhile, state_meanwhile) == (["The wax is gone"], SagaState.UNDOING)
        assert toys.row(saga_id).state == SagaState.FAILED
        assert toys.kit.failed == ["The wax is gone"], "told once"

    def test_the_owner_knows_soon_of_what_fails_and_cannot_be_undone(self, toys: ToyWorld) -> None:
        toys.kit.trouble["jar"] = [PlatformError("The shelf broke")]
        toys.kit.trouble["undo jar"] = [HostFailed("stuck")] * 100
        saga_id = toys.begin()

        toys.run_for(10, every_s=0.5)

        assert toys.kit.failed == ["The shelf broke"]
        assert toys.row(saga_id).state == SagaState.UNDOING

    def test_a_host_that_cannot_undo_holds_up_nobody_who_wants_the_opposite(self, toys: ToyWorld) -> None:
        jar_id = uuid4()
        toys.kit.trouble["seal"] = [PlatformError("The wax is gone")]
        toys.kit.trouble["undo jar"] = [HostFailed("stuck")] * 100
        saga_id = toys.begin(jar_id)
        toys.run_for(10)
        assert toys.row(saga_id).state == SagaState.UNDOING

        toys.cancel(jar_id)
        toys.engine.run_due()

        assert toys.row(saga_id).state == SagaState.FAILED
        [left] = [event for event in toys.events(saga_id) if event.step == "jar" and event.is_undo]
        assert (left.succeeded, left.message) == (False, "stuck")
        assert toys.kit.failed == ["The wax is gone"], "told once"

    def test_many_workers_do_each_saga_once(self, toys: ToyWorld) -> None:
        saga_ids = [toys.begin() for _ in range(40)]
        workers = [toys.worker(f"worker-{number}") for number in range(4)]

        for worker in workers:
            worker.start()
        until(lambda: all(toys.row(one).state == SagaState.DONE for one in saga_ids), what="all ends")
        for worker in workers:
            worker.stop()

        assert toys.kit.calls["jar"] == 40 and len(toys.labels()) == 40

    def test_a_hint_starts_work_at_once(self, toys: ToyWorld) -> None:
        worker = toys.worker("hinted", poll_s=3600)
        worker.start()
        with toys.database.transaction() as session:
            jar = a_jar()
            hinted = Sagas(session, TOY_TABLES, hint=worker.nudge)
            saga_id = hinted.start(
                FILL_JAR, jar, resource_id=jar.jar_id, project_id=None, user_id=None, at=toys.clock.now()
            )

        until(lambda: toys.row(saga_id).state == SagaState.DONE, what="the saga's end")

        worker.stop()

    def test_stopping_waits_for_the_present_step_and_hands_the_rest_back(self, toys: ToyWorld) -> None:
        entered, go_on = threading.Event(), threading.Event()

        original = toys.kit.meet

        def meet(step: str) -> None:
            if step == "jar":
                entered.set()
                go_on.wait(60)
            original(step)

        toys.kit.meet = meet  # type: ignore[method-assign]
        worker = toys.worker("stopping")
        saga_id = toys.begin()
        worker.start()
        assert entered.wait(60)

        stopping = threading.Thread(target=worker.stop)
        stopping.start()
        go_on.set()
        stopping.join(60)

        row = toys.row(saga_id)
        assert row.claimed_by is None
        assert row.state == SagaState.RUNNING and "jar" in row.results
        assert toys.engine.run_due() == 1 and toys.row(saga_id).state == SagaState.DONE

    def test_old_ends_are_forgotten_with_their_events(self, toys: ToyWorld) -> None:
        old = toys.begin()
        toys.engine.run_due()
        toys.clock.advance(100)
        new = toys.begin()
        toys.engine.run_due()
        between = toys.row(new).created_at

        with toys.database.transaction() as session:
            gone = Sagas(session, TOY_TABLES).forget(between)

        assert gone == 1
        assert toys.events(old) == [] and len(toys.events(new)) == 4

    def test_what_happened_by_itself_stands_in_the_timeline(self, toys: ToyWorld) -> None:
        jar_id = uuid4()
        with toys.database.transaction() as session:
            Sagas(session, TOY_TABLES).note(
                "fall", resource_id=jar_id, project_id="p", user_id="u", step="jar", at=toys.clock.now(), host="oak"
            )

        claimed = toys.engine.run_due()

        with toys.database.reading() as session:
            [row] = Sagas(session, TOY_TABLES).of_resource(jar_id)
        assert (claimed, row.action, row.state) == (0, "fall", SagaState.DONE)
        assert [event.host for event in toys.events(row.id)] == ["oak"]
