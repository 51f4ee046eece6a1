"""From recorded chunks to an assessment: joined, cut at the questions, handed over; with real media."""

from __future__ import annotations

import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import av
import pytest
from django.conf import settings as site
from django.core.files.base import ContentFile
from django.test import Client
from django.utils import timezone

from assessment import jobs as assessment_jobs
from assessment import work_queue
from assessment.interruption import WorkInterrupted
from assessment.models import Answer, Assessment, AuditEntry
from mlcore.errors import AnalysisError
from rooms import consent, jobs, lifecycle, links, recording
from rooms.models import Chunk, Participant, QuestionMark, Recording, Room, Segment
from rooms.recording import handing_over
from rooms.recording.plan import MAX_GAP_S
from tests.interviewsite.processes import clean_environment, database_url, running, running_valkey, wait_for
from tests.media_factory import make_recorder_webm, make_speech, make_video, tone, truncate
from tests.rooms.records import EVERYTHING, Scope, let_in, make_room, make_user

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.django_db]

State = Recording.State
CHUNK_BYTES = 7001
KEYFRAME_S = 1.0
FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
QUESTIONS = ("Who are you?", "What do you do?", "Why here?")


def recorded(folder: Path, name: str, seconds: float, size: tuple[int, int] = (160, 120)) -> Path:
    """As a browser's recorder leaves it, with a keyframe a second."""
    options: dict[str, Any] = {
        "seconds": seconds, "samples": tone(seconds), "size": size, "fps": 10.0, "keyframe_every": 10
    }  # fmt: skip
    if name.endswith(".mp4"):
        return make_video(folder / name, container_options=FRAGMENTS, **options)
    return make_recorder_webm(folder / name, **options)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("clips")
    wanted = {"six.webm": 6.0, "twelve.webm": 12.0, "five.webm": 5.0, "six.mp4": 6.0}
    return {name: recorded(folder, name, seconds) for name, seconds in wanted.items()}


@pytest.fixture(autouse=True)
def one_connection(settings) -> None:
    """Heartbeats come over a connection of their own, which waits for the transaction that a test is."""
    settings.HEARTBEAT_S = 60.0
    settings.STALLED_AFTER_S = 90.0


@pytest.fixture
def room() -> Room:
    """A live room for a minute, with everything agreed to."""
    made = make_room(recording=True, questions=QUESTIONS, language="en", panel=(make_user("colleague"),))
    let_in(made)
    return begun(made)


def begun(room: Room) -> Room:
    Room.objects.filter(pk=room.pk).update(admitted_at=timezone.now() - timedelta(seconds=60))
    room.refresh_from_db()
    return room


def add(
    room: Room, media: Path | bytes, started_s: float = 0.0, *, lost: tuple[int, ...] = (), ended: bool = True
) -> Segment:
    """A segment with the bytes of `media` in chunks, those numbered in `lost` never arrived."""
    data = media if isinstance(media, bytes) else media.read_bytes()
    Recording.objects.filter(room=room, state=State.INITIATED).update(state=State.ACTIVE)
    segment = Segment.objects.create(
        recording=room.recording,
        key=uuid.uuid4(),
        content_type="video/webm",
        started_s=started_s,
        ended=ended,
    )
    for number, at in enumerate(range(0, len(data), CHUNK_BYTES)):
        if number not in lost:
            piece = data[at : at + CHUNK_BYTES]
            chunk = Chunk(segment=segment, sequence=number, size_bytes=len(piece))
            chunk.file.save("chunk", ContentFile(piece))
    return segment


def mark(room: Room, *marks: tuple[int, float]) -> None:
    for number, t_s in marks:
        QuestionMark.objects.create(room=room, number=number, t_s=t_s)


def end(room: Room) -> None:
    """Ended so long ago that nothing is waited for any more."""
    assert lifecycle.end(room, room.owner)
    past = timezone.now() - timedelta(seconds=recording.LATE_S + 1)
    Recording.objects.filter(room=room).update(stopped_at=past)


def handed_over(room: Room) -> list[Answer]:
    """The answers that come of it."""
    end(room)
    jobs.hand_over(room.pk)
    made = Recording.objects.get(room=room)
    assert (made.state, made.error_code) == (State.HANDED_OVER, "")
    room.refresh_from_db()
    assert room.assessment is not None
    return list(room.assessment.answers.order_by("order"))


def told(room: Room) -> tuple[str, str]:
    made = Recording.objects.get(room=room)
    return made.state, made.error_code


def length_s(answer: Answer) -> float:
    """What the stored file's own header says; the picture of its second half can be sought."""
    with av.open(answer.media.path) as container:
        assert container.duration, "no length in the header"
        found = container.duration / 1_000_000
        if container.streams.video:
            container.seek(round(found * 0.5 * 1_000_000))
            behind_s = found * 0.5 - next(container.decode(video=0)).time
            assert -0.3 < behind_s < KEYFRAME_S + MAX_GAP_S + 0.3
    return found


def lengths(answers: list[Answer]) -> list[Any]:
    return [pytest.approx(length_s(answer), abs=0.5) for answer in answers]


def left_behind(room: Room) -> list[Path]:
    """Files of chunks and of work that are still there."""
    own = Path(site.MEDIA_ROOT) / "recordings" / room.room_id
    return [path for path in own.rglob("*") if path.is_file()] + work_folders()


def work_folders() -> list[Path]:
    return list(Path(site.FILE_UPLOAD_TEMP_DIR).glob("recording-*"))


# -- What becomes of it -------------------------------------------------------------------------


def test_a_segment_a_question(room: Room, clips) -> None:
    add(room, clips["six.webm"], 0.4)
    add(room, clips["five.webm"], 6.2)
    mark(room, (0, 0.1), (1, 6.0))
    answers = handed_over(room)
    assert [answer.question for answer in answers] == list(QUESTIONS[:2])
    assert lengths(answers) == [6.0, 5.0]
    assert all(answer.status == Answer.Status.QUEUED for answer in answers)


def test_what_is_handed_over_belongs_to_the_room(room: Room, clips) -> None:
    add(room, clips["five.webm"])
    handed_over(room)
    made = room.assessment
    assert made is not None
    assert (made.source, made.owner, made.candidate) == ("room", room.owner, room.candidate)
    assert (made.country, made.language, made.policy) == ("ID", "en", room.policy)
    assert made.consent_reference == f"room {room.code}"
    assert [user.username for user in made.panel.all()] == ["colleague"]
    assert AuditEntry.objects.filter(action="room.hand_over").count() == 1
    assert not Chunk.objects.exists()
    assert not left_behind(room)
    jobs.hand_over(room.pk)
    assert Assessment.objects.count() == 1


def test_without_questions_it_is_one_answer(room: Room, clips) -> None:
    add(room, clips["six.webm"])
    answers = handed_over(room)
    assert [answer.question for answer in answers] == [room.title]
    assert lengths(answers) == [6.0]


def test_a_segment_across_marks_is_cut_there(room: Room, clips) -> None:
    add(room, clips["twelve.webm"], 2.0)
    mark(room, (0, 1.0), (2, 6.0), (1, 10.0))
    answers = handed_over(room)
    assert [answer.question for answer in answers] == [QUESTIONS[0], QUESTIONS[2], QUESTIONS[1]]
    assert lengths(answers) == [4.0, 4.0, 4.0]


def test_an_mp4_is_cut_too(room: Room, clips) -> None:
    add(room, clips["six.mp4"])
    mark(room, (0, 0.0), (1, 2.2))
    assert lengths(handed_over(room)) == [2.2, 4.0]


def test_a_reload_in_the_middle_of_an_answer_joins_both(room: Room, clips) -> None:
    add(room, clips["six.webm"], 0.0)
    add(room, clips["five.webm"], 7.5)
    mark(room, (0, 0.0))
    answers = handed_over(room)
    assert lengths(answers) == [12.5], "with the gap of 1.5 s"


def test_long_gaps_are_shortened(room: Room, clips) -> None:
    add(room, clips["six.webm"], 0.0)
    add(room, clips["five.webm"], 40.0)
    mark(room, (0, 0.0))
    assert lengths(handed_over(room)) == [13.0]


def test_another_camera_goes_on_in_another_answer(room: Room, clips) -> None:
    add(room, clips["six.webm"], 0.0)
    add(room, clips["six.mp4"], 7.0)
    mark(room, (0, 0.0))
    answers = handed_over(room)
    assert [answer.question for answer in answers] == [QUESTIONS[0], f"{QUESTIONS[0]} (continued)"]
    assert lengths(answers) == [6.0, 6.0]


def test_small_talk_belongs_to_the_first_question_until_it_is_long(room: Room, clips) -> None:
    add(room, clips["twelve.webm"], 0.0)
    mark(room, (0, 4.0))
    assert lengths(handed_over(room)) == [12.0]
    other = make_room(recording=True, questions=QUESTIONS, language="id")
    let_in(other)
    add(begun(other), clips["twelve.webm"], 0.0)
    add(other, clips["five.webm"], 12.2)
    mark(other, (0, 12.0))
    answers = handed_over(other)
    assert lengths(answers) == [12.0, 5.0]
    assert answers[1].question == QUESTIONS[0]


def test_a_start_that_was_told_late_is_put_right(room: Room, clips) -> None:
    add(room, clips["twelve.webm"], 58.0)  # all of it arrived within the first minute
    mark(room, (0, 0.0), (1, 50.5))
    answers = handed_over(room)
    assert [answer.question for answer in answers] == list(QUESTIONS[:2])
    assert length_s(answers[0]) == pytest.approx(2.5, abs=0.8)


def test_a_question_that_was_added_has_a_number(room: Room, clips) -> None:
    add(room, clips["five.webm"])
    mark(room, (7, 0.0))
    assert [answer.question for answer in handed_over(room)] == ["Question 8"]


def test_longer_than_an_answer_may_be_goes_on_in_the_next(room: Room, clips, settings) -> None:
    settings.MAX_DURATION_S = 7.0
    add(room, clips["twelve.webm"])
    answers = handed_over(room)
    found = [length_s(answer) for answer in answers]
    assert len(found) > 1 and max(found) <= 7.5
    assert sum(found) == pytest.approx(12.0, abs=1.0 * len(found))


# -- What is lost or broken ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ["twelve.webm", "six.mp4"])
def test_a_lost_chunk_costs_its_surroundings_alone(room: Room, clips, name: str) -> None:
    count = -(-clips[name].stat().st_size // CHUNK_BYTES)
    add(room, clips[name], lost=(count // 2,))
    (answer,) = handed_over(room)
    whole_s = 12.0 if name == "twelve.webm" else 6.0
    with av.open(answer.media.path) as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert times == sorted(times)
    assert 10 * (whole_s - 3.5) < len(times) < 10 * whole_s
    assert length_s(answer) == pytest.approx(whole_s, abs=1.0), "what follows keeps its place"


def test_a_lost_beginning_cannot_be_read(room: Room, clips) -> None:
    add(room, clips["six.webm"], lost=(0,))
    add(room, clips["five.webm"], 10.0)
    assert lengths(handed_over(room)) == [5.0]


def test_a_truncated_end_is_fine(room: Room, clips, tmp_path: Path) -> None:
    add(room, truncate(clips["twelve.webm"], 0.7, tmp_path / "cut.webm"), ended=False)
    (answer,) = handed_over(room)
    assert 6.0 < length_s(answer) < 11.0


@pytest.mark.parametrize("junk", [b"\0" * 20_000, b"no video " * 3000, b"\x1a\x45\xdf\xa3" + b"\xff" * 9000])
def test_garbage_fails_and_is_kept_for_a_look(room: Room, junk: bytes) -> None:
    add(room, junk)
    end(room)
    jobs.hand_over(room.pk)
    assert told(room) == (State.FAILED, "unreadable_recording")
    assert not Assessment.objects.exists()
    assert Chunk.objects.exists()


def test_garbage_beside_a_recording_is_left_out(room: Room, clips) -> None:
    add(room, b"\0" * 20_000, 0.0)
    add(room, clips["five.webm"], 3.0)
    assert lengths(handed_over(room)) == [5.0]


def test_noise_in_the_pictures_does_not_stop_the_rest(room: Room, clips) -> None:
    data = bytearray(clips["twelve.webm"].read_bytes())
    data[len(data) // 3 : len(data) // 3 + 3000] = bytes(range(250)) * 12
    add(room, bytes(data))
    (answer,) = handed_over(room)
    assert length_s(answer) > 6.0


def test_nothing_recorded(room: Room) -> None:
    end(room)
    jobs.hand_over(room.pk)
    assert told(room) == (State.FAILED, "nothing_recorded")
    assert not Assessment.objects.exists()


def test_less_than_a_second_is_nothing(room: Room, tmp_path: Path) -> None:
    add(room, recorded(tmp_path, "short.webm", 0.6))
    end(room)
    jobs.hand_over(room.pk)
    assert told(room) == (State.FAILED, "nothing_recorded")


# -- What was agreed to -------------------------------------------------------------------------


def test_without_face_analysis_the_sound_alone_is_handed_over(room: Room, clips) -> None:
    place = room.participants.get(role="candidate")
    consent.answer(place, {Scope.FACE: False})
    add(room, clips["six.webm"])
    (answer,) = handed_over(room)
    assert (answer.media_info["has_video"], answer.media_info["has_audio"]) == (False, True)
    assert length_s(answer) == pytest.approx(6.0, abs=0.3)
    assert room.assessment is not None
    assert (room.assessment.policy["emotion_inference"], room.assessment.policy["reason"]) == (
        False,
        "not_agreed",
    )


def test_without_voice_analysis_no_emotion_is_inferred(room: Room, clips) -> None:
    consent.answer(room.participants.get(role="candidate"), {Scope.VOICE: False})
    add(room, clips["five.webm"])
    (answer,) = handed_over(room)
    assert answer.media_info["has_video"]
    assert room.assessment is not None and not room.assessment.policy["emotion_inference"]


def test_withdrawn_after_the_end_nothing_is_handed_over(
    room: Room, clips, django_capture_on_commit_callbacks
) -> None:
    add(room, clips["five.webm"])
    end(room)
    with django_capture_on_commit_callbacks(execute=True):
        consent.answer(room.participants.get(role="candidate"), {Scope.RECORDING: False})
    jobs.hand_over(room.pk)
    assert told(room)[0] == State.ERASED
    assert not Assessment.objects.exists() and not left_behind(room)


def test_withdrawn_while_it_is_being_prepared(
    room: Room, clips, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks
) -> None:
    add(room, clips["five.webm"])
    end(room)
    create = handing_over._create
    place = room.participants.get(role="candidate")

    def withdraw_first(*arguments: Any) -> Assessment:
        with django_capture_on_commit_callbacks(execute=True):
            consent.answer(place, {Scope.RECORDING: False})
        return create(*arguments)

    monkeypatch.setattr(handing_over, "_create", withdraw_first)
    stored_before = set((Path(site.MEDIA_ROOT) / "answers").rglob("*/*"))
    jobs.hand_over(room.pk)
    assert told(room)[0] == State.ERASED
    assert not Assessment.objects.exists() and not left_behind(room)
    assert set((Path(site.MEDIA_ROOT) / "answers").rglob("*/*")) == stored_before


def test_the_last_answer_counts_in_whichever_browser(room: Room, clips) -> None:
    add(room, clips["five.webm"])
    let_in(room, {**EVERYTHING, Scope.RECORDING: False})
    end(room)
    jobs.hand_over(room.pk)
    assert told(room)[0] == State.ERASED
    assert not Assessment.objects.exists() and not Chunk.objects.exists()


# -- The work as a job --------------------------------------------------------------------------


def ready(room: Room, ended_s_ago: float) -> bool:
    Recording.objects.filter(room=room).update(stopped_at=timezone.now() - timedelta(seconds=ended_s_ago))
    return jobs.ready(Recording.objects.get(room=room))


def change(segment: Segment, **values: Any) -> None:
    Segment.objects.filter(pk=segment.pk).update(**values)


def test_it_waits_for_what_is_on_its_way(room: Room, clips, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "SETTLE_S", 100.0)
    segment = add(room, clips["five.webm"], ended=False)
    lifecycle.end(room, room.owner)
    jobs.hand_over(room.pk)
    assert told(room)[0] == State.STOPPED
    assert not ready(room, jobs.SETTLE_S + 1), "a segment is open"
    change(segment, ended=True)
    assert not ready(room, jobs.SETTLE_S / 2), "another may begin to arrive"
    assert ready(room, jobs.SETTLE_S + 1)


def test_a_browser_that_died_is_waited_for_as_long_as_it_may_send(room: Room, clips) -> None:
    """What it kept comes when it is started again; its last segment is open until then."""
    add(room, clips["five.webm"], ended=False)
    lifecycle.end(room, room.owner)
    assert not ready(room, jobs.WAIT_S + 1)
    assert not ready(room, recording.LATE_S / 2)
    assert ready(room, recording.LATE_S + 1)


def test_the_open_end_before_a_reload_is_not_waited_for(room: Room, clips) -> None:
    first = add(room, clips["five.webm"], 0.0, ended=False)
    add(room, clips["five.webm"], 10.0)
    lifecycle.end(room, room.owner)
    assert not ready(room, jobs.WAIT_S + 1), "chunks come right now"
    Chunk.objects.filter(segment=first).update(created_at=timezone.now() - timedelta(seconds=70))
    assert not ready(room, jobs.WAIT_S + 1), "those of the other one, too"
    Chunk.objects.update(created_at=timezone.now() - timedelta(seconds=70))
    assert not ready(room, jobs.WAIT_S / 2)
    assert ready(room, jobs.WAIT_S + 1)


def test_where_nothing_came_a_minute_is_waited(room: Room) -> None:
    lifecycle.end(room, room.owner)
    assert not ready(room, jobs.WAIT_S / 2)
    assert ready(room, jobs.WAIT_S + 1)


def test_one_of_two_workers_gets_it(room: Room, clips) -> None:
    add(room, clips["five.webm"])
    end(room)
    first = jobs.take(room.pk)
    assert first is not None
    assert jobs.take(room.pk) is None


def test_a_lost_worker_is_replaced_and_comes_too_late(room: Room, clips) -> None:
    add(room, clips["five.webm"])
    end(room)
    lost = jobs.take(room.pk)
    assert lost is not None
    assert jobs.sweep() == 0, "it has just begun"
    Recording.objects.update(claimed_at=timezone.now() - timedelta(seconds=90.0 + 1))
    assert jobs.sweep() == 1
    assert told(room)[0] == State.STOPPED
    jobs.hand_over(room.pk)
    assert told(room)[0] == State.HANDED_OVER
    assert not lost.beat()
    assert not lost.change(state=State.FAILED)
    assert told(room)[0] == State.HANDED_OVER


def test_a_recording_that_kills_its_workers_is_given_up(room: Room, clips) -> None:
    add(room, clips["five.webm"])
    end(room)
    assert jobs.take(room.pk)
    Recording.objects.update(
        attempts=site.MAX_ATTEMPTS, claimed_at=timezone.now() - timedelta(seconds=90.0 + 1)
    )
    jobs.sweep()
    assert told(room) == (State.FAILED, "worker_lost")


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (AnalysisError("storage_full", "Full.", permanent=False), "storage_full"),
        (KeyError("x"), "internal_error"),
    ],
)
def test_what_may_pass_is_tried_again_then_given_up(
    room: Room, clips, monkeypatch: pytest.MonkeyPatch, failure: Exception, code: str
) -> None:
    add(room, clips["five.webm"])
    end(room)

    def fail(*_arguments: object, **_more: object) -> None:
        raise failure

    monkeypatch.setattr("mlcore.media_remux.measure", fail)
    for attempt in range(1, site.MAX_ATTEMPTS + 1):
        Recording.objects.update(claimed_at=None)
        jobs.hand_over(room.pk)
        last = attempt == site.MAX_ATTEMPTS
        assert told(room) == (State.FAILED if last else State.STOPPED, code)
    assert Chunk.objects.exists() and not Assessment.objects.exists()


def test_a_worker_told_to_stop_gives_it_back(room: Room, clips, monkeypatch: pytest.MonkeyPatch) -> None:
    add(room, clips["five.webm"])
    end(room)

    def interrupted(*_arguments: object, **_more: object) -> None:
        raise WorkInterrupted

    with monkeypatch.context() as patched:
        patched.setattr("mlcore.media_remux.measure", interrupted)
        jobs.hand_over(room.pk)
    given_back = Recording.objects.get(room=room)
    assert (given_back.state, given_back.attempts) == (State.STOPPED, 0)
    assert not work_folders(), "nothing half made stays"
    jobs.hand_over(room.pk)
    assert told(room)[0] == State.HANDED_OVER


def test_a_room_that_is_erased_meanwhile_leaves_no_assessment(
    room: Room, clips, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(room, clips["five.webm"])
    end(room)
    create = handing_over._create

    def erase_first(*arguments: Any) -> Assessment:
        recording.erase(room)
        Room.objects.get(pk=room.pk).delete()
        return create(*arguments)

    stored_before = set((Path(site.MEDIA_ROOT) / "answers").rglob("*/*"))
    monkeypatch.setattr(handing_over, "_create", erase_first)
    jobs.hand_over(room.pk)
    assert not Assessment.objects.exists() and not Recording.objects.exists()
    assert set((Path(site.MEDIA_ROOT) / "answers").rglob("*/*")) == stored_before


def test_chunks_that_a_dying_worker_left_are_erased_by_the_sweep(room: Room, clips, monkeypatch) -> None:
    add(room, clips["five.webm"])
    with monkeypatch.context() as patched:
        patched.setattr(recording, "erase", lambda _room: 0)
        handed_over(room)
    assert Chunk.objects.exists()
    Recording.objects.update(claimed_at=timezone.now() - timedelta(seconds=90.0 + 1))
    assert assessment_jobs.sweep().others == 1
    assert not Chunk.objects.exists()


def test_one_broken_sweeper_does_not_stop_the_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> int:
        raise RuntimeError("a defect")

    monkeypatch.setattr(assessment_jobs, "_sweepers", [broken, lambda: 3])
    assert assessment_jobs.sweep().others == 3


# -- All of it, with a worker -------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_chunks_over_http_end_in_an_assessed_answer(room: Room, tmp_path: Path, settings) -> None:
    """A real worker and queue: what a browser sends becomes an assessment, and nothing of it stays behind."""
    video = tmp_path / "spoken.webm"
    speech = make_speech(
        "I have built a payment service with five people, and I tested every part of it.", tmp_path / "s.wav"
    )
    make_recorder_webm(video, speech=speech, size=(320, 240), fps=15.0, keyframe_every=15)
    place = room.participants.get(role="candidate")
    key = let_in_again(room, place)
    client = Client()
    client.cookies[links.cookie_name(room)] = key
    address = f"/rooms/{room.code}/recording/{uuid.uuid4()}"
    data = video.read_bytes()
    pieces = [data[at : at + 60_000] for at in range(0, len(data), 60_000)]
    for number, piece in enumerate(pieces):
        assert client.post(f"{address}/{number}", piece, content_type="video/webm").status_code == 200
    ended = client.post(f"{address}/end", {"chunks": len(pieces)}, content_type="application/json")
    assert ended.json()["complete"] is True
    with running_valkey(tmp_path / "valkey") as valkey:
        settings.REDIS_URL = valkey.url
        work_queue._outage.end()
        lifecycle.end(room, room.owner)
        Recording.objects.update(stopped_at=timezone.now() - timedelta(seconds=jobs.SETTLE_S + 1))
        environment = clean_environment(
            DATABASE_URL=database_url(), VAR_DIR=str(site.VAR_DIR), REDIS_URL=valkey.url
        )
        with running(["work", "--lazy"], tmp_path / "worker.log", environment) as worker:
            worker.says("is ready")
            wait_for(lambda: swept(room) == State.HANDED_OVER, within_s=240, every_s=1.0)
            room.refresh_from_db()
            assert room.assessment is not None
            made = room.assessment
            wait_for(lambda: Assessment.objects.get(pk=made.pk).status == "completed", within_s=400)
    (answer,) = made.answers.all()
    assert answer.status == Answer.Status.COMPLETED
    assert "payment" in str(made.results.document["content"]).lower()
    assert not Chunk.objects.exists() and not left_behind(room)


def swept(room: Room) -> str:
    """The recording's state, after what the thread of `serve` does."""
    jobs.sweep()
    return told(room)[0]


def let_in_again(room: Room, place: Participant) -> str:
    """A key for the place that is in the room."""
    key, digest = links.new_key()
    Participant.objects.filter(pk=place.pk).update(key_digest=digest)
    return key
