"""The life of an answer: from the queue to its terminal state, also when everything around it dies."""

from __future__ import annotations

import logging
import threading
import time
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone
from rq.job import Job
from rq.serializers import JSONSerializer

from assessment import claims, interruption, jobs, pipeline, results, work_queue
from assessment.models import Answer, Assessment, ResultsDocument
from mlcore.errors import AnalysisError
from tests.assessment.records import be_silent, make_assessment, only_answer
from tests.interviewsite.processes import (
    running_valkey,
)

pytestmark = pytest.mark.django_db
Status = Answer.Status


@pytest.fixture
def no_queue(settings, tmp_path):
    settings.REDIS_URL, settings.QUEUE_URL_FILE = "", tmp_path / "none"
    work_queue._outage.end()


@pytest.fixture(scope="module")
def valkey(tmp_path_factory):
    with running_valkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture
def queue(valkey, settings, monkeypatch):
    """The queue of a real Valkey, empty; not taken for away where the machine stalls."""
    monkeypatch.setattr(work_queue, "CONNECT_TIMEOUT_S", 30.0)
    monkeypatch.setattr(work_queue, "ANSWER_TIMEOUT_S", 30.0)
    settings.REDIS_URL = valkey.url
    work_queue._outage.end()
    with work_queue.connection() as client:
        client.flushall()
        yield work_queue.queue(client)


@pytest.fixture
def stages(monkeypatch):
    """Stands for the pipeline: what it is told to do; records the attempts."""

    class Stages:
        attempts: list[int] = []
        built: list[int] = []
        raises: BaseException | None = None

        def run(self, answer, *, attempt, on_progress):
            self.attempts.append(attempt)
            on_progress("transcribe", 0.5)
            if self.raises:
                raise self.raises

        def build(self, assessment):
            self.built.append(assessment.pk)
            return {"name": "document"}

    stages = Stages()
    stages.attempts, stages.built = [], []
    monkeypatch.setattr(pipeline, "run_answer", stages.run)
    monkeypatch.setattr(results, "build_document", stages.build)
    return stages


# -- One answer -------------------------------------------------------------------------------


def test_a_processed_answer_completes_and_finalizes(stages):
    assessment = make_assessment()
    jobs.process_answer(only_answer(assessment).pk, 1)
    answer = only_answer(assessment)
    assessment.refresh_from_db()
    assert (answer.status, answer.attempts, answer.claimed_by) == (Status.COMPLETED, 1, "")
    assert answer.finished_at
    assert (assessment.status, assessment.finalized_run) == (Assessment.Status.COMPLETED, 1)
    assert assessment.completed_at
    assert ResultsDocument.objects.get(assessment=assessment).document == {"name": "document"}


def test_running_a_job_twice_does_the_work_once(stages):
    assessment = make_assessment()
    for _ in range(2):
        jobs.process_answer(only_answer(assessment).pk, 1)
    assert stages.attempts == [1]
    assert stages.built == [assessment.pk]


def test_only_the_last_answer_finalizes(stages):
    assessment = make_assessment(answers=2)
    first, second = assessment.answers.all()
    jobs.process_answer(first.pk, 1)
    assessment.refresh_from_db()
    assert (assessment.status, stages.built) == (Assessment.Status.PROCESSING, [])
    jobs.process_answer(second.pk, 1)
    assessment.refresh_from_db()
    assert assessment.status == Assessment.Status.COMPLETED
    assert stages.built == [assessment.pk]


def test_a_permanent_failure_ends_the_answer_at_once(stages):
    stages.raises = AnalysisError("unreadable_media", "The file is cut off.")
    assessment = make_assessment()
    jobs.process_answer(only_answer(assessment).pk, 1)
    answer = only_answer(assessment)
    assessment.refresh_from_db()
    assert (answer.status, answer.error_code) == (Status.ERROR, "unreadable_media")
    assert answer.error_message == "The file is cut off."
    assert assessment.status == Assessment.Status.ERROR


def test_one_answer_that_succeeds_makes_the_assessment_complete(stages):
    assessment = make_assessment(answers=2)
    first, second = assessment.answers.all()
    jobs.process_answer(first.pk, 1)
    stages.raises = AnalysisError("unreadable_media", "The file is cut off.")
    jobs.process_answer(second.pk, 1)
    assessment.refresh_from_db()
    assert assessment.status == Assessment.Status.COMPLETED


def test_a_passing_failure_is_tried_again_later_and_not_before(stages, monkeypatch):
    monkeypatch.setattr(jobs, "BACKOFF_S", 600.0)
    stages.raises = AnalysisError("decoder_died", "The decoder died.", permanent=False)
    assessment = make_assessment()
    answer = only_answer(assessment)
    jobs.process_answer(answer.pk, 1)
    answer.refresh_from_db()
    assert answer.status == Status.QUEUED
    assert answer.not_before > timezone.now()
    jobs.process_answer(answer.pk, 1)
    assert stages.attempts == [1]
    stages.raises = None
    Answer.objects.update(not_before=timezone.now())
    jobs.process_answer(answer.pk, 1)
    answer.refresh_from_db()
    assert (answer.status, stages.attempts, answer.error_code) == (Status.COMPLETED, [1, 2], "")


def test_attempts_are_limited_and_the_last_failure_is_told(stages, settings):
    stages.raises = AnalysisError("decoder_died", "The decoder died.", permanent=False)
    assessment = make_assessment()
    answer = only_answer(assessment)
    for _ in range(settings.MAX_ATTEMPTS + 2):
        jobs.process_answer(answer.pk, 1)
        Answer.objects.update(not_before=None)
    answer.refresh_from_db()
    assert (answer.status, answer.error_code) == (Status.ERROR, "decoder_died")
    assert stages.attempts == [1, 2, 3]


def test_a_defect_is_logged_without_what_it_quotes(stages, settings, caplog):
    settings.MAX_ATTEMPTS = 1
    stages.raises = ValueError("Sari said: my salary is 100")
    assessment = make_assessment()
    jobs.process_answer(only_answer(assessment).pk, 1)
    answer = only_answer(assessment)
    assert (answer.status, answer.error_code) == (Status.ERROR, "internal_error")
    assert "ValueError" in caplog.text
    assert "in run" in caplog.text
    assert "salary" not in caplog.text
    assert "salary" not in answer.error_message


def test_an_interrupted_job_gives_its_answer_back_without_using_up_an_attempt(stages):
    stages.raises = interruption.WorkInterrupted()
    assessment = make_assessment()
    jobs.process_answer(only_answer(assessment).pk, 1)
    answer = only_answer(assessment)
    assert (answer.status, answer.attempts, answer.not_before) == (Status.QUEUED, 0, None)


def test_a_job_stops_when_its_answer_was_taken_over(settings, monkeypatch):
    settings.HEARTBEAT_S = 0.05
    assessment = make_assessment()

    def run(answer, *, attempt, on_progress):
        Answer.objects.filter(pk=answer.pk).update(claimed_by="another/1")
        for _ in range(1200):
            on_progress("watch", 0.1)
            time.sleep(0.05)
        raise AssertionError("nobody stopped it")

    monkeypatch.setattr(pipeline, "run_answer", run)
    monkeypatch.setattr(claims, "beat", lambda claim: False)
    jobs.process_answer(only_answer(assessment).pk, 1)
    answer = only_answer(assessment)
    assert (answer.status, answer.claimed_by) == (Status.PROCESSING, "another/1")


def test_the_pipeline_is_stopped_by_a_request_from_a_signal_handler(monkeypatch):
    gate = interruption._Gate()
    monkeypatch.setattr(interruption, "_gate", gate)
    with pytest.raises(interruption.WorkInterrupted), interruption.interruptible():
        interruption.request()
    with pytest.raises(interruption.WorkInterrupted), interruption.interruptible():
        raise AssertionError("work began after the request")
    interruption.request()


# -- Finalizing -------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_of_two_who_finalize_one_does(stages, monkeypatch):
    assessment = make_assessment()
    assessment.answers.update(status=Status.COMPLETED)
    both_built = threading.Barrier(2)

    def build(_assessment):
        both_built.wait(timeout=60)
        return {"by": threading.get_ident()}

    monkeypatch.setattr(results, "build_document", build)
    outcomes: list[bool] = []

    def finalize() -> None:
        try:
            outcomes.append(jobs.finalize(assessment.pk, 1))
        finally:
            connection.close()

    threads = [threading.Thread(target=finalize) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [False, True]
    assert ResultsDocument.objects.count() == 1


def test_an_unfinished_assessment_is_not_finalized(stages):
    assessment = make_assessment(answers=2)
    Answer.objects.filter(position=1).update(status=Status.COMPLETED)
    assert not jobs.finalize(assessment.pk, 1)
    assert not ResultsDocument.objects.exists()


def test_results_that_cannot_be_built_are_built_by_a_later_sweep(stages, monkeypatch, no_queue):
    def refuse(_assessment):
        raise RuntimeError("not now")

    assessment = make_assessment()
    with monkeypatch.context() as broken:
        broken.setattr(results, "build_document", refuse)
        jobs.process_answer(only_answer(assessment).pk, 1)
    assessment.refresh_from_db()
    assert (assessment.finalized_run, assessment.status) == (0, Assessment.Status.PROCESSING)
    assert jobs.sweep().finalized == 0, "it is left to the worker for a while"
    Answer.objects.update(finished_at=timezone.now() - timedelta(seconds=jobs.FINALIZE_AFTER_S + 1))
    assert jobs.sweep().finalized == 1
    assessment.refresh_from_db()
    assert assessment.status == Assessment.Status.COMPLETED


def test_results_that_can_never_be_built_end_as_an_error(monkeypatch, no_queue):
    def refuse(_assessment):
        raise RuntimeError("never")

    monkeypatch.setattr(results, "build_document", refuse)
    assessment = make_assessment()
    assessment.answers.update(status=Status.COMPLETED, finished_at=timezone.now() - timedelta(hours=2))
    assert jobs.sweep().finalized == 0
    assessment.refresh_from_db()
    assert (assessment.status, assessment.finalized_run) == (Assessment.Status.ERROR, 1)
    assert assessment.erase_media_at


def test_the_sweep_has_forgotten_results_built_by_a_worker(queue):
    assessment = make_assessment()
    ended_at = timezone.now() - timedelta(seconds=jobs.FINALIZE_AFTER_S + 1)
    assessment.answers.update(status=Status.COMPLETED, finished_at=ended_at)
    assert jobs.sweep().finalized == 1
    assert queue.job_ids == [f"finalize-{assessment.pk}-1"]
    assert jobs.sweep().finalized == 0
    queue.connection.delete(queue.key)
    assert jobs.sweep().finalized == 0, "a worker is at it"
    assessment.answers.update(finished_at=timezone.now() - timedelta(seconds=jobs.FINALIZE_AGAIN_AFTER_S + 1))
    assert jobs.sweep().finalized == 1


# -- Running again ----------------------------------------------------------------------------


def test_a_rerun_queues_the_failed_answers_as_a_new_run(stages, settings):
    settings.RETENTION_DAYS = 5
    assessment = make_assessment(answers=2)
    first, second = assessment.answers.all()
    jobs.process_answer(first.pk, 1)
    stages.raises = AnalysisError("decoder_died", "The decoder died.")
    jobs.process_answer(second.pk, 1)
    assessment.refresh_from_db()
    assert jobs.rerun(assessment) == 1
    second.refresh_from_db()
    assert (assessment.run, second.status, second.attempts) == (2, Status.QUEUED, 0)
    assert jobs.rerun(assessment) == 0, "an unfinished assessment is not run again"
    stages.raises = None
    jobs.process_answer(second.pk, 1)
    assert Answer.objects.get(pk=second.pk).status == Status.QUEUED, "a job of the earlier run does nothing"
    jobs.process_answer(second.pk, 2)
    assessment.refresh_from_db()
    assert (assessment.status, assessment.finalized_run) == (Assessment.Status.COMPLETED, 2)
    assert assessment.results.run == 2


def test_a_rerun_of_every_answer_needs_its_media(stages):
    assessment = make_assessment(answers=2)
    for answer in assessment.answers.all():
        jobs.process_answer(answer.pk, 1)
    assessment.refresh_from_db()
    assert not any(answer.media for answer in assessment.answers.all())
    assert jobs.rerun(assessment, every=True) == 0
    assert assessment.run == 1


# -- The queue --------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_an_answer_is_enqueued_when_its_transaction_is_committed(queue):
    with transaction.atomic():
        assessment = make_assessment()
        jobs.enqueue(only_answer(assessment))
        assert queue.job_ids == []
    answer = only_answer(assessment)
    assert queue.job_ids == [f"answer-{answer.pk}-1-0"]
    job = Job.fetch(queue.job_ids[0], connection=queue.connection, serializer=JSONSerializer)
    assert (job.func_name, list(job.args)) == ("assessment.jobs.process_answer", [answer.pk, 1])
    assert answer.enqueued_at
    jobs.enqueue(answer)
    assert len(queue.job_ids) == 1


@pytest.mark.django_db(transaction=True)
def test_a_rolled_back_hand_in_is_not_enqueued(queue):
    with pytest.raises(RuntimeError), transaction.atomic():
        jobs.enqueue(only_answer(make_assessment()))
        raise RuntimeError
    assert queue.job_ids == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("url", ["", "redis://127.0.0.1:1/0", "redis://10.255.255.1:6379/0"])
def test_without_a_queue_handing_in_works_is_quick_and_says_so_once(no_queue, settings, caplog, url):
    settings.REDIS_URL = url
    assessment = make_assessment(answers=50)  # half a minute, were the queue waited for each time
    started = time.monotonic()
    with transaction.atomic():
        for answer in assessment.answers.all():
            jobs.enqueue(answer)
    assert time.monotonic() - started < 15
    assert set(assessment.answers.values_list("status", flat=True)) == {Status.QUEUED}
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1


def test_the_sweep_enqueues_what_the_queue_forgot_and_nothing_twice(queue):
    answer = only_answer(make_assessment())
    assert jobs.sweep().enqueued == 1
    assert jobs.sweep().enqueued == 0
    assert queue.job_ids == [f"answer-{answer.pk}-1-0"]
    queue.connection.flushall()
    assert jobs.sweep().enqueued == 1
    assert queue.job_ids == [f"answer-{answer.pk}-1-0"]


def test_a_job_that_a_worker_took_but_never_claimed_comes_back(queue, settings):
    answer = only_answer(make_assessment())
    jobs.sweep()
    queue.connection.delete(queue.key)
    assert jobs.sweep().enqueued == 0, "the worker may be about to claim it"
    long_ago = timezone.now() - timedelta(seconds=settings.STALLED_AFTER_S + 1)
    Answer.objects.filter(pk=answer.pk).update(enqueued_at=long_ago)
    assert jobs.sweep().enqueued == 1
    assert queue.job_ids == [f"answer-{answer.pk}-1-0"]


def test_the_sweep_leaves_answers_whose_time_has_not_come(queue):
    Answer.objects.filter(assessment=make_assessment()).update(
        not_before=timezone.now() + timedelta(minutes=1)
    )
    assert jobs.sweep().enqueued == 0


def test_the_sweep_requeues_stalled_answers_with_a_new_job(queue):
    answer = only_answer(make_assessment())
    claims.take(answer.pk, 1)
    be_silent(answer)
    report = jobs.sweep()
    assert (report.requeued, report.enqueued) == (1, 1)
    assert queue.job_ids == [f"answer-{answer.pk}-1-1"]


def test_the_sweep_works_while_the_queue_is_away(no_queue):
    answer = only_answer(make_assessment())
    claims.take(answer.pk, 1)
    be_silent(answer)
    report = jobs.sweep()
    assert (report.requeued, report.queue_away) == (1, True)
    assert "queue is away" in str(report)


def test_answers_of_a_running_command_are_left_to_it(queue):
    assessment = make_assessment(answers=2, source=Assessment.Source.COMMAND)
    first = assessment.answers.first()
    assert jobs.sweep().enqueued == 0
    Assessment.objects.update(created_at=timezone.now() - timedelta(hours=1))
    claims.take(first.pk, 1)
    assert jobs.sweep().enqueued == 0, "its sibling is being worked on"
    be_silent(first)
    assert jobs.sweep().enqueued == 2, "the command is dead"


def test_a_dead_workers_answers_are_enqueued_at_once(queue):
    answer = only_answer(make_assessment())
    claims.take(answer.pk, 1)
    assert jobs.release_claims("somebody.else") == 0
    assert jobs.release_claims(claims.worker_name()) == 1
    assert queue.job_ids == [f"answer-{answer.pk}-1-1"]


def test_processing_inline_needs_no_queue_and_reports_progress(stages, no_queue):
    assessment = make_assessment(answers=2, source=Assessment.Source.COMMAND)
    seen = []
    jobs.process_inline(assessment, lambda answer, stage, share: seen.append((answer.position, stage, share)))
    assert seen == [(1, "transcribe", 0.5), (2, "transcribe", 0.5)]
    assert assessment.status == Assessment.Status.COMPLETED


def test_processing_inline_tries_again_after_a_passing_failure(stages, no_queue, monkeypatch):
    monkeypatch.setattr(jobs, "BACKOFF_S", 0.01)
    monkeypatch.setattr(jobs, "POLL_S", 0.01)
    stages.raises = AnalysisError("decoder_died", "The decoder died.", permanent=False)
    assessment = make_assessment(source=Assessment.Source.COMMAND)
    jobs.process_inline(assessment, lambda answer, stage, share: None)
    assert stages.attempts == [1, 2, 3]
    assert assessment.status == Assessment.Status.ERROR
