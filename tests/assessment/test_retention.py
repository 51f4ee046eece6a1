"""What is erased when."""

from __future__ import annotations

import os
import time
import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings as site
from django.contrib.auth import get_user_model
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.db.models import F
from django.utils import timezone

from assessment import claims, leftovers, retention
from assessment.models import Answer, Assessment, AuditEntry, Candidate, IdempotencyKey, StageRun
from tests.assessment.records import make_assessment

pytestmark = pytest.mark.django_db
Status = Answer.Status


def finish(assessment: Assessment, *statuses: str) -> list[str]:
    """End its answers with `statuses`, apply retention; the names of the files that there were."""
    names = []
    for answer, status in zip(assessment.answers.all(), statuses, strict=True):
        answer.status = status
        answer.save()
        names.append(answer.media.name)
    now = timezone.now()
    Assessment.objects.filter(pk=assessment.pk).update(
        finalized_run=F("run"), completed_at=now, erase_media_at=now
    )
    assessment.refresh_from_db()
    retention.apply_to_finished(assessment)
    return names


def stored(names: list[str]) -> list[bool]:
    return [default_storage.exists(name) for name in names]


def days_from_now(when) -> float:
    return (when - timezone.now()).total_seconds() / 86400


def test_media_is_erased_at_once_after_success_with_its_folder_and_an_audit_line():
    assessment = make_assessment(answers=2)
    names = finish(assessment, Status.COMPLETED, Status.COMPLETED)
    assert stored(names) == [False, False]
    assert not Path(default_storage.path(names[0])).parent.exists()
    assert not any(answer.media for answer in assessment.answers.all())
    assert assessment.erase_media_at is None
    entry = AuditEntry.objects.get(action="media_erased")
    assert (entry.subject, entry.details) == (f"assessment:{assessment.session_id}", {"files": 2})


def test_media_of_failed_answers_is_kept_for_a_retry_then_erased(settings):
    assessment = make_assessment(answers=2)
    names = finish(assessment, Status.COMPLETED, Status.ERROR)
    assert stored(names) == [False, True]
    assert days_from_now(assessment.erase_media_at) == pytest.approx(settings.FAILED_RETENTION_DAYS, abs=0.01)
    assert retention.purge(timezone.now() + timedelta(days=6)).media == 0
    assert retention.purge(timezone.now() + timedelta(days=8)).media == 1
    assert stored(names) == [False, False]


def test_media_is_kept_as_long_as_the_settings_say(settings):
    settings.RETENTION_DAYS, settings.FAILED_RETENTION_DAYS = 3, 10
    assessment = make_assessment(answers=2)
    names = finish(assessment, Status.COMPLETED, Status.ERROR)
    assert days_from_now(assessment.erase_media_at) == pytest.approx(3, abs=0.01)
    retention.purge(timezone.now() + timedelta(days=4))
    assert stored(names) == [False, True]
    assessment.refresh_from_db()
    assert days_from_now(assessment.erase_media_at) == pytest.approx(10, abs=0.01)
    retention.purge(timezone.now() + timedelta(days=11))
    assert stored(names) == [False, False]


def test_what_a_crash_after_finalizing_left_is_erased_by_the_next_purge():
    assessment = make_assessment()
    name = assessment.answers.get().media.name
    assessment.answers.update(status=Status.COMPLETED)
    now = timezone.now()
    Assessment.objects.update(finalized_run=F("run"), completed_at=now, erase_media_at=now)
    assert retention.purge().media == 1
    assert stored([name]) == [False]


def test_media_of_an_assessment_that_runs_again_is_not_purged():
    assessment = make_assessment()
    name = assessment.answers.get().media.name
    Assessment.objects.update(run=2, finalized_run=1, erase_media_at=timezone.now() - timedelta(days=1))
    assert retention.purge().media == 0
    assert stored([name]) == [True]


def test_a_file_that_is_gone_already_does_not_stop_the_purge():
    assessment = make_assessment(answers=2)
    Path(assessment.answers.first().media.path).unlink()
    assert stored(finish(assessment, Status.COMPLETED, Status.COMPLETED)) == [False, False]


def test_records_are_erased_in_the_end_with_a_candidate_nobody_else_refers_to(settings):
    keep = make_assessment()
    candidate = keep.candidate
    gone = make_assessment(candidate=candidate)
    finish(gone, Status.COMPLETED)
    later = timezone.now() + timedelta(days=settings.RECORD_RETENTION_DAYS + 1)
    assert retention.purge(later).records == 1
    assert not Assessment.objects.filter(pk=gone.pk).exists()
    assert Candidate.objects.filter(pk=candidate.pk).exists()
    finish(keep, Status.COMPLETED)
    assert retention.purge(later).records == 1
    assert not Candidate.objects.filter(pk=candidate.pk).exists()
    assert AuditEntry.objects.filter(action="record_erased").count() == 2


def test_records_stay_for_ever_where_no_limit_is_set(settings):
    settings.RECORD_RETENTION_DAYS = 0
    assessment = make_assessment()
    finish(assessment, Status.COMPLETED)
    assert assessment.erase_record_at is None
    assert retention.purge(timezone.now() + timedelta(days=4000)).records == 0


def test_old_idempotency_keys_go_and_new_ones_stay():
    user = get_user_model().objects.create_user("u")
    for key in ("old", "new"):
        IdempotencyKey.objects.create(user=user, key=key, fingerprint="f")
    IdempotencyKey.objects.filter(key="old").update(created_at=timezone.now() - timedelta(hours=25))
    assert retention.purge().idempotency_keys == 1
    assert IdempotencyKey.objects.get().key == "new"


def test_leftovers_of_broken_uploads_go_and_fresh_ones_stay():
    temporary = Path(site.FILE_UPLOAD_TEMP_DIR)
    temporary.mkdir(parents=True, exist_ok=True)
    old, fresh = temporary / "old.upload", temporary / "fresh.upload"
    for path in (old, fresh):
        path.write_bytes(b"x")
    let_be_old(old)
    assert retention.purge().leftover_files == 1
    assert [path.exists() for path in (old, fresh)] == [False, True]
    fresh.unlink()


def let_be_old(path: Path) -> None:
    os.utime(path, (time.time() - 25 * 3600,) * 2, follow_symlinks=False)


@pytest.fixture
def stored_here(settings, tmp_path) -> Path:
    """The folder of media, in a storage of the test's own."""
    options = {**site.STORAGES["default"]["OPTIONS"], "location": str(tmp_path)}
    settings.STORAGES = {**site.STORAGES, "default": {**site.STORAGES["default"], "OPTIONS": options}}
    return tmp_path / "answers"


def put(name: str) -> Path:
    return Path(default_storage.path(default_storage.save(f"answers/{name}", ContentFile(b"x"))))


def test_media_that_no_answer_names_goes_and_what_is_named_or_fresh_stays(stored_here):
    answer = make_assessment().answers.get()
    named = Path(answer.media.path)
    fresh = put(f"{uuid.uuid4().hex}/half")
    beside, orphan, stray = put(f"{named.parent.name}/half"), put(f"{uuid.uuid4().hex}/half"), put("stray")
    for path in (named, named.parent, beside, orphan, stray):
        let_be_old(path)
    assert retention.purge().leftover_files == 3
    assert [path.exists() for path in (named, fresh)] == [True, True]
    assert [path.exists() for path in (beside, orphan, stray)] == [False] * 3
    assert retention.purge().leftover_files == 0


def test_empty_folders_of_media_go_a_day_later(stored_here):
    orphan = put(f"{uuid.uuid4().hex}/half")
    for path in (orphan, orphan.parent):
        let_be_old(path)
    retention.purge()
    assert orphan.parent.is_dir()  # something was done in it just now: somebody might be putting a file there
    let_be_old(orphan.parent)
    retention.purge()
    assert not orphan.parent.exists()


def test_a_link_to_an_old_recording_stays_while_the_command_that_lent_it_runs(stored_here, tmp_path):
    recording = tmp_path / "from last year.mp4"
    recording.write_bytes(b"x")
    let_be_old(recording)
    link = stored_here / uuid.uuid4().hex / "lent"  # as `assess` makes it, whose database is its own
    link.parent.mkdir(parents=True)
    link.symlink_to(recording)
    assert retention.purge().leftover_files == 0
    let_be_old(link)
    recording.rename(tmp_path / "elsewhere.mp4")
    assert retention.purge().leftover_files == 1
    assert not link.is_symlink()


def test_many_leftovers_are_asked_about_in_parts(stored_here, monkeypatch, django_assert_max_num_queries):
    monkeypatch.setattr(leftovers, "AT_ONCE", 20)
    kept = [Path(answer.media.path) for answer in make_assessment(answers=5).answers.all()]
    for path in [put(f"{uuid.uuid4().hex}/half") for _ in range(50)] + kept:
        let_be_old(path)
    with django_assert_max_num_queries(3):
        assert leftovers.erase(timezone.now() - timedelta(hours=24)) == 50
    assert all(path.exists() for path in kept)


def test_erasing_a_candidate_erases_everything_derived_in_every_app(monkeypatch):
    monkeypatch.setattr(retention, "_erasers", list(retention._erasers))
    asked = []

    @retention.register_eraser
    def erase_letters(candidate):
        asked.append(candidate.pk)
        return {"letters": 3}

    actor = get_user_model().objects.create_user("hr")
    first = make_assessment(answers=2)
    candidate, pk = first.candidate, first.candidate.pk
    make_assessment(candidate=candidate)
    other = make_assessment()
    StageRun.objects.create(answer=first.answers.first(), stage="transcribe", output={"text": "secret"})
    names = [answer.media.name for answer in Answer.objects.filter(assessment__candidate=candidate)]
    counts = retention.erase_candidate(candidate, actor)
    assert counts == {"assessments": 2, "files": 3, "letters": 3, "rooms": 0, "recording_chunks": 0}
    assert asked == [pk]
    assert stored(names) == [False] * 3
    assert list(Assessment.objects.all()) == [other]
    assert not StageRun.objects.exists()
    assert not Candidate.objects.filter(pk=pk).exists()
    entry = AuditEntry.objects.get(action="candidate_erased")
    assert (entry.subject, entry.actor, entry.details) == (f"candidate:{pk}", actor, counts)
    assert "Sari" not in f"{entry.subject}{entry.details}"


def test_a_candidate_is_not_erased_while_an_answer_is_being_analysed():
    assessment = make_assessment(answers=2)
    claims.take(assessment.answers.first().pk, 1)
    with pytest.raises(retention.ErasureRefused):
        retention.erase_candidate(assessment.candidate)
    assert [bool(answer.media) for answer in assessment.answers.all()] == [True, True]
    assert assessment.answers.last().status == Status.QUEUED


def test_erased_queued_answers_cannot_be_claimed_any_more():
    assessment = make_assessment()
    answer_id = assessment.answers.get().pk
    retention.erase_candidate(assessment.candidate)
    assert claims.take(answer_id, 1) is None


def test_the_command_says_what_was_erased(capsys):
    finish(make_assessment(), Status.ERROR)
    Assessment.objects.update(completed_at=timezone.now() - timedelta(days=8), erase_media_at=timezone.now())
    call_command("purge")
    assert capsys.readouterr().out.startswith("1 media files, 0 assessments, 0 idempotency keys")
