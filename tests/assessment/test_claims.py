"""Claims: one holder at a time, on whichever database the tests run."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from assessment import claims
from assessment.models import Answer, Assessment, StageRun
from tests.assessment.records import be_silent, make_assessment, only_answer
from tests.interviewsite.processes import wait_for

pytestmark = pytest.mark.django_db


def take_first(assessment: Assessment) -> claims.Claim:
    claim = claims.take(only_answer(assessment).pk, assessment.run)
    assert claim is not None
    return claim


def test_a_queued_answer_is_claimed_once():
    assessment = make_assessment()
    claim = take_first(assessment)
    assert claims.take(claim.answer_id, assessment.run) is None
    answer = only_answer(assessment)
    assert (answer.status, answer.attempts, claim.attempt) == (Answer.Status.PROCESSING, 1, 1)
    assert answer.claimed_by.startswith(f"{claims.worker_name()}/")
    assert answer.heartbeat_at is not None
    assessment.refresh_from_db()
    assert assessment.status == Assessment.Status.PROCESSING


@pytest.mark.parametrize("status", [Answer.Status.COMPLETED, Answer.Status.ERROR, Answer.Status.DOWNLOADING])
def test_an_answer_that_is_not_queued_is_not_claimed(status):
    assessment = make_assessment()
    assessment.answers.update(status=status)
    assert claims.take(only_answer(assessment).pk, 1) is None


def test_a_job_of_an_earlier_run_claims_nothing():
    assessment = make_assessment(run=2)
    assert claims.take(only_answer(assessment).pk, 1) is None
    assert claims.take(only_answer(assessment).pk, 2) is not None


def test_an_answer_is_not_claimed_before_its_time():
    assessment = make_assessment()
    assessment.answers.update(not_before=timezone.now() + timedelta(seconds=60))
    assert claims.take(only_answer(assessment).pk, 1) is None
    assessment.answers.update(not_before=timezone.now() - timedelta(seconds=1))
    assert claims.take(only_answer(assessment).pk, 1) is not None


@pytest.mark.django_db(transaction=True)
def test_of_many_claimants_exactly_one_wins():
    """All come to the row while it is locked, so that none sees what another is about to do."""
    answer_id = only_answer(make_assessment()).pk
    won: list[claims.Claim] = []
    coming = threading.Barrier(7)

    def claim() -> None:
        try:
            connection.ensure_connection()
            coming.wait(timeout=60)
            taken = claims.take(answer_id, 1)
            if taken:
                won.append(taken)
        finally:
            connection.close()

    threads = [threading.Thread(target=claim) for _ in range(6)]
    with transaction.atomic():
        Answer.objects.select_for_update().get(pk=answer_id)
        for thread in threads:
            thread.start()
        coming.wait(timeout=60)
        time.sleep(0.5)
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert Answer.objects.get(pk=answer_id).attempts == 1


def test_who_lost_the_claim_changes_nothing():
    assessment = make_assessment()
    lost = take_first(assessment)
    be_silent(only_answer(assessment))
    claims.release_stalled()
    held = take_first(assessment)
    assert not claims.beat(lost)
    assert not claims.complete(lost)
    assert not claims.fail(lost, "x", "x")
    assert not claims.retry_at(lost, timezone.now())
    assert not claims.give_back(lost)
    assert claims.beat(held)
    answer = only_answer(assessment)
    assert (answer.status, answer.attempts, answer.claimed_by) == (Answer.Status.PROCESSING, 2, held.holder)


def test_giving_back_does_not_count_as_an_attempt_and_leaves_finished_stages():
    assessment = make_assessment()
    claim = take_first(assessment)
    answer = only_answer(assessment)
    for stage, status in (("transcribe", "completed"), ("watch", "running"), ("listen", "error")):
        StageRun.objects.create(answer=answer, stage=stage, attempt=1, status=status)
    assert claims.give_back(claim)
    answer.refresh_from_db()
    assert (answer.status, answer.attempts, answer.claimed_by) == (Answer.Status.QUEUED, 0, "")
    assert list(answer.stage_runs.values_list("stage", flat=True)) == ["transcribe"]


def test_only_silent_answers_are_taken_from_their_workers(settings):
    assessment = make_assessment(answers=2)
    alive, silent = assessment.answers.all()
    claims.take(alive.pk, 1)
    claims.take(silent.pk, 1)
    be_silent(silent, settings.STALLED_AFTER_S + 1)
    released = claims.release_stalled()
    assert released.requeued == (silent.pk,)
    alive.refresh_from_db()
    silent.refresh_from_db()
    assert (alive.status, silent.status) == (Answer.Status.PROCESSING, Answer.Status.QUEUED)
    assert silent.attempts == 1


def test_an_answer_that_killed_every_worker_fails(settings):
    assessment = make_assessment()
    for attempt in range(1, settings.MAX_ATTEMPTS + 1):
        assert take_first(assessment).attempt == attempt
        be_silent(only_answer(assessment))
        released = claims.release_stalled()
    answer = only_answer(assessment)
    assert released.failed == (answer.pk,)
    assert (answer.status, answer.error_code) == (Answer.Status.ERROR, "worker_lost")
    assert answer.error_message
    assert answer.finished_at


def test_what_a_dead_worker_held_is_released_and_no_more():
    mine, other = make_assessment(), make_assessment()
    take_first(mine)
    take_first(other)
    name = claims.worker_name(12)
    other.answers.update(claimed_by=f"{claims.worker_name(123)}/abc")
    mine.answers.update(claimed_by=f"{name}/abc")
    assert claims.release_worker(name).requeued == (only_answer(mine).pk,)
    assert only_answer(other).status == Answer.Status.PROCESSING


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (["queued", "queued"], "queued"),
        (["queued", "downloading"], "downloading"),
        (["downloading", "processing"], "processing"),
        (["completed", "queued"], "processing"),
        (["error", "completed"], "processing"),
    ],
)
def test_the_status_of_an_unfinished_assessment_follows_its_answers(answers, expected):
    assert claims.derived_status(answers) == expected


@pytest.mark.django_db(transaction=True)
def test_heartbeats_come_while_the_work_goes_on_and_tell_of_a_lost_claim(settings):
    settings.HEARTBEAT_S = 0.05
    assessment = make_assessment()
    claim = take_first(assessment)
    be_silent(only_answer(assessment), 20)
    before = only_answer(assessment).heartbeat_at
    with claims.heartbeat(claim) as heartbeat:
        wait_for(lambda: only_answer(assessment).heartbeat_at > before)
        assert not heartbeat.lost.wait(0.2)
        assessment.answers.update(claimed_by="somebody else")
        assert heartbeat.lost.wait(60)
    assert not heartbeat.is_alive()
