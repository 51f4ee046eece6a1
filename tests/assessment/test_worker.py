"""Real workers on real media, and what becomes of the work when they, or the queue, are killed."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.conf import settings as site

from assessment import jobs, work_queue
from assessment.models import Answer, Assessment, StageRun
from interviewsite.serving import presence
from tests.assessment.records import make_assessment, only_answer
from tests.interviewsite.processes import (
    Running,
    alive,
    clean_environment,
    database_url,
    running,
    running_valkey,
    wait_for,
)
from tests.media_factory import make_video, tone

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.django_db(transaction=True)]
Status = Answer.Status
STALLED_AFTER_S = 2.0


@pytest.fixture(scope="module")
def long_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A minute of face and tone: nothing to transcribe, and long enough to be killed in the middle of."""
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    return make_video(path, seconds=60.0, samples=tone(60.0), size=(480, 360), fps=15.0)


@pytest.fixture
def valkey(tmp_path: Path, settings, monkeypatch: pytest.MonkeyPatch) -> Iterator:
    monkeypatch.setattr(work_queue, "CONNECT_TIMEOUT_S", 10.0)
    monkeypatch.setattr(work_queue, "ANSWER_TIMEOUT_S", 10.0)
    with running_valkey(tmp_path / "valkey") as server:
        settings.REDIS_URL = server.url
        settings.STALLED_AFTER_S = STALLED_AFTER_S
        work_queue._outage.end()
        yield server


@contextmanager
def working(folder: Path, name: str = "worker") -> Iterator[Running]:
    """A worker on the test database that loads its models with the first job."""
    environment = clean_environment(
        DATABASE_URL=database_url(),
        VAR_DIR=str(site.VAR_DIR),
        REDIS_URL=site.REDIS_URL,
        HEARTBEAT_S="0.3",
        STALLED_AFTER_S=str(STALLED_AFTER_S),
    )
    with running(["work", "--lazy"], folder / f"{name}.log", environment) as worker:
        worker.says("is ready")
        yield worker


def hand_in(video: Path, answers: int = 1) -> Assessment:
    assessment = make_assessment(answers=answers, media=video, language=Assessment.Language.ENGLISH)
    for answer in assessment.answers.all():
        jobs.enqueue(answer)
    return assessment


def wait_until_watching(assessment: Assessment) -> None:
    """The face stage, which takes longest, has come some way."""
    rows = StageRun.objects.filter(answer__assessment=assessment, stage="watch", percent__gt=0)
    wait_for(rows.exists, within_s=180)


def finished(assessment: Assessment) -> Callable[[], bool]:
    def look() -> bool:
        assessment.refresh_from_db()
        return assessment.status in (Assessment.Status.COMPLETED, Assessment.Status.ERROR)

    return look


def test_a_killed_worker_is_replaced_and_the_work_resumed_where_it_was(valkey, long_video, tmp_path):
    assessment = hand_in(long_video)
    with working(tmp_path) as worker:
        wait_until_watching(assessment)
        assert only_answer(assessment).status == Status.PROCESSING
        everybody = worker.family()
        worker.stop(signal.SIGKILL)
        wait_for(lambda: not alive(everybody))
    done_before = set(StageRun.objects.filter(status="completed").values_list("stage", flat=True))
    with working(tmp_path, "second"):
        wait_for(lambda: jobs.sweep().requeued, within_s=90, every_s=0.3)
        wait_for(finished(assessment), within_s=300)
    answer = only_answer(assessment)
    assert (assessment.status, answer.status, answer.attempts) == ("completed", "completed", 2)
    again = set(StageRun.objects.filter(attempt=2).values_list("stage", flat=True))
    assert "watch" in again
    assert not done_before & again
    assert "no_speech" in str(assessment.results.document["content"])
    assert not answer.media


def test_a_worker_told_to_stop_gives_its_answer_back(valkey, long_video, tmp_path):
    assessment = hand_in(long_video)
    with working(tmp_path) as worker:
        wait_until_watching(assessment)
        everybody = worker.family()
        assert len(alive(everybody)) > 1, "it decodes in a child process"
        worker.stop(signal.SIGTERM)
        assert worker.process.returncode == 0
        wait_for(lambda: not alive(everybody))
        assert "Traceback" not in worker.output()
    answer = only_answer(assessment)
    assert (answer.status, answer.attempts, answer.claimed_by) == (Status.QUEUED, 0, "")
    assert not StageRun.objects.exclude(status="completed").exists()
    with work_queue.connection() as client:
        assert presence.present_workers(client) == 0


def test_a_worker_outlives_its_queue(valkey, short_video, tmp_path):
    with working(tmp_path) as worker:
        first = hand_in(short_video)
        wait_for(lambda: only_answer(first).status == Status.PROCESSING)
        valkey.child.kill()
        wait_for(finished(first), within_s=240)
        while_away = hand_in(short_video)
        time.sleep(1.5)
        assert only_answer(while_away).status == Status.QUEUED
        valkey.start()
        wait_for(lambda: jobs.sweep().enqueued == 1)
        wait_for(finished(while_away), within_s=180)
        assert worker.process.poll() is None
        with work_queue.connection() as client:
            wait_for(lambda: presence.present_workers(client) == 1)
        worker.stop(signal.SIGTERM)
    assert {first.status, while_away.status} == {"completed"}
    assert first.answers.get().attempts == while_away.answers.get().attempts == 1


def test_a_stopped_worker_that_wakes_up_late_changes_nothing(valkey, long_video, tmp_path):
    assessment = hand_in(long_video)
    with working(tmp_path) as sleeper, working(tmp_path, "second") as second:
        wait_until_watching(assessment)
        holder = only_answer(assessment).claimed_by
        asleep, awake = (sleeper, second) if f".{sleeper.pid}/" in holder else (second, sleeper)
        asleep.process.send_signal(signal.SIGSTOP)
        wait_for(lambda: jobs.sweep().requeued, within_s=90, every_s=0.3)
        wait_for(lambda: f".{awake.pid}/" in only_answer(assessment).claimed_by, within_s=90)
        asleep.process.send_signal(signal.SIGCONT)
        asleep.says("was taken over by another worker")
        wait_for(finished(assessment), within_s=300)
    assert (assessment.status, only_answer(assessment).attempts) == ("completed", 2)
    assert assessment.results.run == 1
