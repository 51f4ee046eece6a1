"""What of rooms is erased when, and what stays."""

from __future__ import annotations

import os
import uuid
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as site
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.utils import timezone

from assessment import retention
from assessment.models import Assessment, AuditEntry, Candidate
from rooms import lifecycle
from rooms.models import (
    Alert,
    Chunk,
    Consent,
    Note,
    Participant,
    QuestionMark,
    Reading,
    Recording,
    Room,
    Segment,
)
from tests.rooms.records import let_in, make_room

pytestmark = pytest.mark.django_db

EVERY_RECORD = (Room, Participant, Consent, Reading, Alert, Note, QuestionMark, Recording, Segment, Chunk)
State = Recording.State


def full_room(**wanted: Any) -> Room:
    """A room that was live and has ended, with something of everything in it."""
    room = make_room(recording=True, **wanted)
    let_in(room)
    Reading.objects.create(room=room, t_s=1.0)
    Alert.objects.create(room=room, t_s=1.0, kind="no_face", severity="info")
    Note.objects.create(room=room, author=room.owner, t_s=1.0, text="private")
    QuestionMark.objects.create(room=room, number=0, t_s=0.0)
    segment = Segment.objects.create(
        recording=room.recording, key=uuid.uuid4(), content_type="video/webm", started_s=0.0
    )
    for sequence in range(2):
        chunk = Chunk(segment=segment, sequence=sequence, size_bytes=4)
        chunk.file.save("x", ContentFile(b"clip"))
    lifecycle.end(room, room.owner)
    return room


def files_of(room: Room) -> list[str]:
    return [chunk.file.name for chunk in Chunk.objects.filter(segment__recording__room=room)]


def stored(names: list[str]) -> list[bool]:
    return [default_storage.exists(name) for name in names]


def folder_of(room: Room) -> Path:
    return Path(site.MEDIA_ROOT) / "recordings" / room.room_id


def days(number: float) -> timedelta:
    return timedelta(days=number)


def change(room: Room, **values: Any) -> None:
    Room.objects.filter(pk=room.pk).update(**values)


def purge(now: datetime | None = None) -> dict[str, int]:
    return retention.purge(now).others


# -- With the candidate -----------------------------------------------------------------------


def test_a_candidate_goes_with_everything_in_their_rooms() -> None:
    room, other = full_room(), full_room(candidate_name="Budi")
    names, kept = files_of(room), files_of(other)
    counts = retention.erase_candidate(room.candidate, room.owner)
    assert (counts["rooms"], counts["recording_chunks"]) == (1, 2)
    assert stored(names) == [False, False]
    assert not folder_of(room).exists()
    assert stored(kept) == [True, True]
    assert [model.objects.exists() for model in EVERY_RECORD] == [True] * len(EVERY_RECORD)
    assert list(Room.objects.all()) == [other]
    entry = AuditEntry.objects.get(action="candidate_erased")
    assert "Sari" not in f"{entry.subject}{entry.details}"


def test_nothing_is_erased_while_the_interview_is_live() -> None:
    done, live = full_room(), make_room()
    change(live, candidate=done.candidate)
    let_in(live)
    with pytest.raises(retention.ErasureRefused, match="is live"):
        retention.erase_candidate(done.candidate)
    assert Room.objects.count() == 2
    assert stored(files_of(done)) == [True, True]
    assert Candidate.objects.filter(pk=done.candidate_id).exists()


def test_nothing_is_erased_while_the_recording_is_being_prepared() -> None:
    room = full_room()
    Recording.objects.update(state=State.PROCESSING, claimed_at=timezone.now())
    with pytest.raises(retention.ErasureRefused, match="being prepared"):
        retention.erase_candidate(room.candidate)
    assert stored(files_of(room)) == [True, True]


@pytest.mark.parametrize("status", ["scheduled", "lobby", "ended"])
def test_a_room_that_is_not_live_does_not_hold_its_candidate(status: str) -> None:
    room = make_room()
    change(room, status=status)
    retention.erase_candidate(room.candidate)
    assert not Room.objects.exists()


# -- When the time of a room has come ---------------------------------------------------------


def test_a_room_is_erased_after_the_days_that_the_candidate_read(settings: Any) -> None:
    settings.RECORD_RETENTION_DAYS = 30
    room = full_room()
    names, subject = files_of(room), f"room:{room.room_id}"
    assert purge(timezone.now() + days(6))["rooms"] == 0
    assert (
        purge(
            timezone.now()
            + days(
                30,
            )
        )["rooms"]
        == 1
    )
    assert stored(names) == [False, False]
    assert not any(model.objects.exists() for model in EVERY_RECORD)
    assert not Candidate.objects.exists()
    entry = AuditEntry.objects.get(action="room_erased")
    assert (entry.subject, entry.actor) == (subject, None)


def test_a_planned_room_is_kept_that_long_after_its_time(settings: Any) -> None:
    settings.RECORD_RETENTION_DAYS = 30
    make_room(planned_at=timezone.now() + days(20))
    assert purge(timezone.now() + days(49))["rooms"] == 0
    assert purge(timezone.now() + days(51))["rooms"] == 1


def test_zero_days_keep_a_room_until_somebody_erases_it(settings: Any) -> None:
    settings.RECORD_RETENTION_DAYS = 0
    make_room()
    assert purge(timezone.now() + days(10_000))["rooms"] == 0


def test_the_candidate_stays_while_anything_else_refers_to_them() -> None:
    room, second, assessed = full_room(), make_room(), make_room()
    change(second, candidate=room.candidate)
    Assessment.objects.create(candidate=assessed.candidate)
    for one in (room, assessed):
        change(one, erase_at=timezone.now())
    assert purge()["rooms"] == 2
    assert Candidate.objects.filter(pk__in=(room.candidate_id, assessed.candidate_id)).count() == 2
    change(second, erase_at=timezone.now())
    purge()
    assert not Candidate.objects.filter(pk=room.candidate_id).exists()


def test_a_candidate_whose_assessment_expires_stays_for_their_room(settings: Any) -> None:
    settings.RECORD_RETENTION_DAYS = 1
    room = make_room()
    Assessment.objects.create(candidate=room.candidate, erase_record_at=timezone.now())
    Candidate.objects.update(created_at=timezone.now() - days(9))
    change(room, erase_at=timezone.now() + days(9))
    retention.purge()
    assert (Assessment.objects.count(), Room.objects.count()) == (0, 1)


def test_a_room_that_is_in_use_is_erased_later() -> None:
    room = make_room()
    place, _key = let_in(room)
    now = timezone.now()
    Participant.objects.filter(pk=place.pk).update(seen_at=now)
    change(room, erase_at=now)
    assert purge(now)["rooms"] == 0
    assert purge(now + timedelta(hours=2))["rooms"] == 1


def test_an_interview_that_everybody_left_is_ended_after_a_day() -> None:
    left, talking, waiting = make_room(recording=True), make_room(), make_room()
    now = timezone.now()
    for room, seen in ((left, now - days(1.1)), (talking, now)):
        place, _key = let_in(room)
        Participant.objects.filter(pk=place.pk).update(seen_at=seen)
        change(room, admitted_at=now - days(1.2))
    purge(now)
    for room in (left, talking, waiting):
        room.refresh_from_db()
    assert [room.status for room in (left, talking, waiting)] == ["ended", "live", "scheduled"]
    assert left.recording.state == State.STOPPED


# -- Recordings -------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [State.STOPPED, State.FAILED, State.INITIATED, State.ACTIVE])
def test_a_recording_that_nobody_took_over_is_erased_after_the_days_of_failed_ones(
    settings: Any, state: str
) -> None:
    settings.FAILED_RETENTION_DAYS = 7
    room = full_room()
    names = files_of(room)
    Recording.objects.update(state=state)
    assert purge(timezone.now() + days(6))["recording_chunks"] == 0
    assert stored(names) == [True, True]
    assert purge(timezone.now() + days(7.1))["recording_chunks"] == 2
    assert stored(names) == [False, False]
    assert not folder_of(room).exists()
    assert Recording.objects.get().state == State.ERASED
    assert AuditEntry.objects.get(action="recording_erased").details == {"chunks": 2}
    assert purge(timezone.now() + days(8))["recording_chunks"] == 0
    assert Note.objects.exists()


def test_what_is_left_of_a_recording_that_was_handed_over_goes_too() -> None:
    full_room()
    Recording.objects.update(state=State.HANDED_OVER)
    assert purge(timezone.now() + days(8))["recording_chunks"] == 2
    assert Recording.objects.get().state == State.HANDED_OVER


def test_a_recording_in_work_stays_until_the_work_is_given_up() -> None:
    full_room()
    later = timezone.now() + days(8)
    Recording.objects.update(state=State.PROCESSING, claimed_at=later - timedelta(hours=1))
    assert purge(later)["recording_chunks"] == 0
    assert purge(later + days(1))["recording_chunks"] == 2


def test_files_without_a_room_are_erased_after_an_hour() -> None:
    room = full_room()
    orphan = Path(site.MEDIA_ROOT) / "recordings" / uuid.uuid4().hex
    fresh = Path(site.MEDIA_ROOT) / "recordings" / uuid.uuid4().hex
    old = (timezone.now() - timedelta(minutes=61)).timestamp()
    for folder, count in ((orphan, 2), (fresh, 1)):
        (folder / "1").mkdir(parents=True)
        for number in range(count):
            (folder / "1" / f"{number:06d}").write_bytes(b"clip")
    for path in (*(orphan / "1").iterdir(), *(Path(site.MEDIA_ROOT) / name for name in files_of(room))):
        os.utime(path, (old, old))
    assert purge()["leftover_chunks"] == 2
    assert [folder.exists() for folder in (orphan, fresh, folder_of(room))] == [False, True, True]
    assert stored(files_of(room)) == [True, True]
    retention.erase_candidate(room.candidate)
    (fresh / "1" / "000000").unlink()
    (fresh / "1").rmdir()
    fresh.rmdir()


# -- The command ------------------------------------------------------------------------------


def test_the_purge_command_tells_of_rooms_and_can_be_run_again(capsys: Any) -> None:
    change(full_room(), erase_at=timezone.now())
    call_command("purge")
    assert "1 rooms, 2 recording chunks" in capsys.readouterr().out
    call_command("purge")
    assert "0 rooms, 0 recording chunks" in capsys.readouterr().out


def test_a_purge_that_broke_off_is_completed_by_the_next(monkeypatch: Any) -> None:
    room = full_room()
    names = files_of(room)
    change(room, erase_at=timezone.now())

    def broken(*args: Any, **options: Any) -> None:
        raise OSError("disk away")

    with monkeypatch.context() as away:
        away.setattr(Room, "delete", broken)
        with pytest.raises(OSError, match="disk away"):
            retention.purge()
    assert Room.objects.exists()
    assert purge()["rooms"] == 1
    assert not Room.objects.exists()
    assert stored(names) == [False, False]
