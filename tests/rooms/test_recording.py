"""What of a recording is taken, from whom, and until when; over HTTP and as functions."""

from __future__ import annotations

import asyncio
import json
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as site
from django.core.files.storage import default_storage
from django.db import transaction
from django.test import Client
from django.utils import timezone

from interviewsite import body as bodies
from rooms import consent, lifecycle, links, recording
from rooms.models import Chunk, Participant, QuestionMark, Recording, Room, Segment
from rooms.recording import chunks
from tests.interviewsite.test_upload_stream import Exchange
from tests.rooms.records import EVERYTHING, Scope, enter, let_in, make_room

pytestmark = pytest.mark.django_db

WEBM = "video/webm;codecs=vp8,opus"
KEY = uuid.UUID("5b0e7a34-7c11-4d4b-9a55-0c4f5a3d9e01")


class Browser:
    """The candidate's browser with its cookie."""

    def __init__(self, room: Room, key: str, *, csrf: bool = False) -> None:
        self.room = room
        self.client = Client(enforce_csrf_checks=csrf)
        self.client.cookies[links.cookie_name(room)] = key

    def send(
        self,
        sequence: int = 0,
        content: bytes = b"chunk",
        key: uuid.UUID = KEY,
        content_type: str = WEBM,
        **more: Any,
    ) -> Any:
        address = f"/rooms/{self.room.code}/recording/{key}/{sequence}"
        return self.client.post(address, content, content_type=content_type, **more)

    def end(self, count: object, key: uuid.UUID = KEY) -> Any:
        address = f"/rooms/{self.room.code}/recording/{key}/end"
        return self.client.post(address, json.dumps({"chunks": count}), content_type="application/json")


@pytest.fixture
def room() -> Room:
    return make_room(recording=True)


@pytest.fixture
def browser(room: Room) -> Browser:
    return Browser(room, let_in(room)[1])


def place_of(room: Room) -> Participant:
    return Participant.objects.get(room=room, role="candidate", state="admitted")


def state_of(room: Room) -> str:
    return Recording.objects.get(room=room).state


def stored_files(room: Room) -> list[Path]:
    folder = Path(site.MEDIA_ROOT) / "recordings" / room.room_id
    return sorted(path for path in folder.rglob("*") if path.is_file())


# -- What is taken ------------------------------------------------------------------------------


def test_chunks_are_kept_in_any_order_and_acknowledged(room: Room, browser: Browser) -> None:
    assert browser.send(1, b"second").json() == {"success": True, "received": [1]}
    assert browser.send(0, b"first").json() == {"success": True, "received": [0, 1]}
    contents = [chunk.file.read() for chunk in Chunk.objects.order_by("sequence")]
    assert contents == [b"first", b"second"]
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in stored_files(room))
    segment = Segment.objects.get()
    assert (segment.key, segment.content_type, segment.ended) == (KEY, WEBM, False)


def test_the_same_chunk_again_is_fine_and_another_in_its_place_is_not(room: Room, browser: Browser) -> None:
    browser.send(0, b"first")
    again = browser.send(0, b"first")
    assert (again.status_code, again.json()["received"]) == (200, [0])
    for content in (b"other", b"longer than before"):
        refused = browser.send(0, content)
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "other_content")
    assert len(stored_files(room)) == 1
    assert Chunk.objects.get().file.read() == b"first"


def test_a_chunk_that_loses_the_race_for_its_place_leaves_no_file(
    room: Room, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser.send(0, b"first")
    seen = iter([None])
    stored = chunks._stored
    monkeypatch.setattr(chunks, "_stored", lambda address: next(seen, stored(address)))
    assert browser.send(0, b"first").status_code == 200
    assert len(stored_files(room)) == 1


@pytest.mark.parametrize(
    "content_type", ["video/webm", "video/mp4;codecs=avc1.42E01E,mp4a.40.2", "audio/webm;codecs=opus", "audio/mp4",
                     'video/webm; codecs="vp9, opus"']
)  # fmt: skip
def test_what_recorders_make_is_taken(browser: Browser, content_type: str) -> None:
    assert browser.send(content_type=content_type).status_code == 200


@pytest.mark.parametrize(
    "content_type", ["text/html", "application/octet-stream", "video/x-msvideo", "multipart/form-data; boundary=x",
                     "application/x-www-form-urlencoded", "video/webm; codecs=<script>"]
)  # fmt: skip
def test_other_types_are_refused(room: Room, browser: Browser, content_type: str) -> None:
    assert browser.send(content_type=content_type).status_code == 415
    assert not Chunk.objects.exists()


def test_sizes_and_numbers_have_limits(browser: Browser) -> None:
    assert browser.send(0, b"", CONTENT_TYPE=WEBM).status_code == 400
    assert browser.send(1_000_001).status_code == 400
    assert browser.send(1_000_000).status_code == 200
    too_large = browser.send(1, b"x" * (recording.MAX_CHUNK_BYTES + 1))
    assert (too_large.status_code, too_large.json()["error"]["code"]) == (413, "too_large")
    assert browser.send(2, b"x" * recording.MAX_CHUNK_BYTES).status_code == 200
    assert Chunk.objects.count() == 2


def test_a_room_takes_only_so_much(room: Room, browser: Browser, settings) -> None:
    settings.MAX_UPLOAD_MB = 1
    piece = b"x" * (1024 * 1024)
    codes = [browser.send(number, piece).status_code for number in range(6)]
    assert codes == [200, 200, 200, 200, 413, 413]
    assert len(stored_files(room)) == 4


def test_a_room_takes_only_for_so_long(room: Room, browser: Browser, settings) -> None:
    assert browser.send(0).status_code == 200
    Room.objects.filter(pk=room.pk).update(
        admitted_at=timezone.now() - timedelta(seconds=4 * site.MAX_DURATION_S + recording.LATE_S + 1)
    )
    assert browser.send(1).json()["error"]["code"] == "recording_full"


def test_a_full_disk_is_told(room: Room, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object, **_more: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(default_storage._wrapped), "_save", full)  # type: ignore[attr-defined]
    refused = browser.send(0)
    assert (refused.status_code, refused.json()["error"]["code"]) == (507, "storage_full")
    assert not Chunk.objects.exists()


def test_a_room_takes_only_so_many(room: Room, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "MAX_CHUNKS", 3)
    answers = [browser.send(number, b"x") for number in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 413]
    assert answers[3].json()["error"]["code"] == "recording_full"
    assert len(stored_files(room)) == 3


def test_a_flood_is_slowed_down(room: Room, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "BURST_CHUNKS", 3)
    monkeypatch.setattr(chunks, "BURST_S", 600.0)
    answers = [browser.send(number, b"x") for number in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[3].json()["error"]["code"] == "too_fast"
    assert len(stored_files(room)) == 3
    Chunk.objects.update(created_at=timezone.now() - timedelta(seconds=chunks.BURST_S + 1))
    assert browser.send(3, b"x").status_code == 200


def test_too_many_segments(room: Room, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rooms.recording.state.MAX_SEGMENTS", 2)
    codes = [browser.send(key=uuid.uuid4()).status_code for _ in range(3)]
    assert codes == [200, 200, 413]
    assert not recording.started(room, place_of(room), str(uuid.uuid4()), WEBM)


# -- From whom ----------------------------------------------------------------------------------


def test_strangers_learn_nothing(room: Room, browser: Browser) -> None:
    other = make_room(recording=True)
    foreign = Browser(room, "")
    foreign.client.cookies.clear()
    foreign.client.cookies[links.cookie_name(other)] = let_in(other)[1]
    foreign.client.cookies[links.cookie_name(room)] = foreign.client.cookies[links.cookie_name(other)].value
    unknown = Browser(room, "nobody's key")
    nowhere = Client().post("/rooms/bcd-fghj-klm/recording/" + f"{KEY}/0", b"x", content_type=WEBM)
    answers = [foreign.send(), unknown.send(), nowhere, unknown.end(1)]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1
    assert not Chunk.objects.exists()


def test_the_owner_is_no_candidate(room: Room, browser: Browser) -> None:
    client = Client()
    client.force_login(room.owner)
    assert client.post(f"/rooms/{room.code}/recording/{KEY}/0", b"x", content_type=WEBM).status_code == 404


def test_a_key_of_another_room_is_a_segment_of_this_one(room: Room, browser: Browser) -> None:
    other = make_room(recording=True)
    Browser(other, let_in(other)[1]).send(0, b"theirs")
    browser.send(0, b"ours")
    assert [segment.chunks.get().file.read() for segment in Segment.objects.filter(recording__room=room)] == [
        b"ours"
    ]
    assert Chunk.objects.get(segment__recording__room=other).file.read() == b"theirs"


def test_forged_requests_are_refused(room: Room) -> None:
    browser = Browser(room, let_in(room)[1], csrf=True)
    assert browser.send(0).status_code == 403
    assert not Chunk.objects.exists()
    browser.client.cookies["csrftoken"] = "a" * 32
    assert browser.send(0, headers={"X-CSRFToken": "a" * 32}).status_code == 200


def test_without_consent_nothing_is_taken(room: Room) -> None:
    place, key = let_in(room, {**EVERYTHING, Scope.RECORDING: False})
    refused = Browser(room, key).send(0)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "not_allowed")
    assert not recording.started(room, place, str(KEY), WEBM)
    assert not Segment.objects.exists()


def test_a_room_that_is_not_recorded_takes_nothing() -> None:
    room = make_room()
    place, key = let_in(room)
    assert Browser(room, key).send(0).status_code == 403
    assert not recording.started(room, place, str(KEY), WEBM)


def test_who_waits_or_was_put_out_begins_nothing(room: Room) -> None:
    place, key = enter(room)
    assert Browser(room, key).send(0).status_code == 403
    lifecycle.knock(place)
    assert Browser(room, key).send(0).status_code == 403
    lifecycle.admit(room, place.peer)
    assert Browser(room, key).send(0).status_code == 200
    second, second_key = enter(room)
    lifecycle.knock(second)
    lifecycle.admit(room, second.peer)
    assert Browser(room, key).send(1).status_code == 200, "what it still holds of what it had begun"
    assert Browser(room, key).send(0, key=uuid.uuid4()).status_code == 403
    assert Browser(room, second_key).send(0, key=uuid.uuid4()).status_code == 200


# -- Until when ---------------------------------------------------------------------------------


def test_withdrawing_stops_it_and_erases_what_was_recorded(
    room: Room, browser: Browser, django_capture_on_commit_callbacks
) -> None:
    browser.send(0)
    assert stored_files(room)
    with django_capture_on_commit_callbacks(execute=True):
        consent.answer(place_of(room), {Scope.RECORDING: False})
    assert not stored_files(room) and not Chunk.objects.exists() and not Segment.objects.exists()
    assert browser.send(1).status_code == 403
    assert recording.status(room)["active"] is False
    consent.answer(place_of(room), {Scope.RECORDING: True})
    assert browser.send(0, b"new").status_code == 200
    assert recording.status(room)["active"] is True


def test_withdrawing_something_else_leaves_it(room: Room, browser: Browser) -> None:
    browser.send(0)
    consent.answer(place_of(room), {Scope.FACE: False, Scope.VOICE: False})
    assert Chunk.objects.count() == 1
    assert browser.send(1).status_code == 200


def test_late_chunks_are_taken_for_a_while(room: Room, browser: Browser) -> None:
    browser.send(0)
    lifecycle.end(room, room.owner)
    assert state_of(room) == "stopped"
    assert browser.send(1).status_code == 200
    assert browser.end(2).json()["complete"] is True
    Recording.objects.update(stopped_at=timezone.now() - timedelta(seconds=recording.LATE_S + 1))
    refused = browser.send(2)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "recording_over")


@pytest.mark.parametrize("state", ["processing", "handed_over", "failed", "erased"])
def test_nothing_is_taken_once_the_work_has_begun(room: Room, browser: Browser, state: str) -> None:
    browser.send(0)
    lifecycle.end(room, room.owner)
    Recording.objects.update(state=state)
    assert browser.send(1).status_code == 409
    assert Chunk.objects.count() == 1


def test_who_left_may_send_the_rest(room: Room, browser: Browser) -> None:
    browser.send(0)
    lifecycle.leave(place_of(room))
    assert browser.send(1).status_code == 200
    assert browser.send(0, key=uuid.uuid4()).status_code == 403


def test_an_end_with_chunks_missing_is_no_end(room: Room, browser: Browser) -> None:
    browser.send(0)
    browser.send(2)
    assert browser.end(3).json() == {"success": True, "received": [0, 2], "complete": False}
    assert not Segment.objects.get().ended
    browser.send(1)
    assert browser.end(3).json()["complete"] is True
    assert Segment.objects.get().ended


def test_a_segment_of_which_more_is_here_than_its_page_had_kept_is_whole(
    room: Room, browser: Browser
) -> None:
    """What a closing page sends on its last way may be more than the next page finds kept, whose end counts that."""
    for sequence in range(3):
        browser.send(sequence)
    assert browser.end(2).json() == {"success": True, "received": [0, 1, 2], "complete": True}
    assert Segment.objects.get().ended


def test_more_than_the_end_says_is_not_whole_with_a_gap(room: Room, browser: Browser) -> None:
    browser.send(0)
    browser.send(2)
    assert browser.end(1).json()["complete"] is False
    assert not Segment.objects.get().ended


@pytest.mark.parametrize("count", [None, "3", -1, 1.5, True, 10**9])
def test_an_end_needs_a_number(room: Room, browser: Browser, count: object) -> None:
    browser.send(0)
    assert browser.end(count).status_code == 400


def test_an_end_that_is_nested_without_end_is_refused(room: Room, browser: Browser) -> None:
    address = f"/rooms/{room.code}/recording/{KEY}/end"
    sent = browser.client.post(address, "[" * 200_000, content_type="application/json")
    assert (sent.status_code, sent.json()["error"]["code"]) == (400, "invalid_request")


def test_who_left_long_ago_sends_nothing_more(room: Room, browser: Browser) -> None:
    """A browser that is out of the call has what it still holds, not a segment that never ends."""
    browser.send(0)
    lifecycle.leave(place_of(room))
    Participant.objects.update(seen_at=timezone.now() - timedelta(seconds=recording.LATE_S + 60))
    assert browser.send(1).status_code == 403
    Participant.objects.update(seen_at=timezone.now())
    assert browser.send(1).status_code == 200


def test_who_left_and_knocks_again_may_send_the_rest(room: Room, browser: Browser) -> None:
    browser.send(0)
    place = place_of(room)
    lifecycle.leave(place)
    assert lifecycle.knock(place)
    assert browser.send(1).status_code == 200
    assert browser.send(0, key=uuid.uuid4()).status_code == 403


# -- Whether it runs ----------------------------------------------------------------------------


def test_started_and_stopped_are_told(room: Room) -> None:
    place, _key = let_in(room)
    first, second = str(uuid.uuid4()), str(uuid.uuid4())
    assert recording.status(room) == {"active": False, "wanted": True, "segment": 0}
    assert recording.started(room, place, first, WEBM)
    assert recording.status(room)["active"]
    assert recording.started(room, place, first, WEBM), "again"
    assert Segment.objects.count() == 1
    QuestionMark.objects.create(room=room, number=0, t_s=1.0)
    assert recording.started(room, place, second, WEBM)
    assert not recording.stopped_segment(room, place, first), "the second runs"
    assert recording.status(room) == {"active": True, "wanted": True, "segment": 1}
    assert recording.stopped_segment(room, place, second)
    assert not recording.status(room)["active"]


def test_a_segment_that_is_dated_before_the_one_it_follows_goes_on(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Word of the first came within 2 s, and dates it; that of the second took longer."""
    place, _key = let_in(room)
    first, second = str(uuid.uuid4()), str(uuid.uuid4())
    for key, begun_s, heard_s in ((first, 100.0, 101.5), (second, 101.0, 103.5)):
        monkeypatch.setattr(Room, "seconds_at", lambda *_when, now_s=heard_s: now_s)
        assert recording.started(room, place, key, WEBM, begun_s)
    assert list(Segment.objects.values_list("started_s", flat=True)) == [101.0, 101.5]
    assert not recording.stopped_segment(room, place, first), "the second runs"
    assert recording.status(room)["active"]
    assert recording.stopped_segment(room, place, second)
    assert not recording.status(room)["active"]


@pytest.mark.parametrize(("key", "content_type"), [("nonsense", WEBM), (str(KEY), "text/html"), (None, WEBM)])
def test_a_start_that_makes_no_sense_is_refused(room: Room, key: object, content_type: str) -> None:
    assert not recording.started(room, let_in(room)[0], key, content_type)
    assert not Segment.objects.exists()


def test_the_first_chunk_tells_that_it_runs(room: Room, browser: Browser) -> None:
    assert not recording.status(room)["active"]
    browser.send(0)
    assert recording.status(room)["active"]


def begun(browser: Browser, at: str, sequence: int = 0) -> float:
    """When the segment began, by a chunk that says so."""
    assert browser.send(sequence, headers={"X-Segment-Begun": at}).status_code == 200
    return Segment.objects.get().started_s


def since(room: Room, seconds: float) -> None:
    Room.objects.filter(pk=room.pk).update(admitted_at=timezone.now() - timedelta(seconds=seconds))


def test_a_segment_that_nothing_was_heard_of_stands_where_it_began(room: Room, browser: Browser) -> None:
    """Its chunks waited in the browser, which died meanwhile, while every line was down."""
    since(room, 300)
    assert begun(browser, "100.5") == 100.5
    assert begun(browser, "100.5", 1) == 100.5


@pytest.mark.parametrize("at", ["299.5", "301", "1e6", "1e300", "inf", "nan", "-1", "soon", ""])
def test_a_begin_of_just_now_or_that_makes_no_sense_is_when_the_chunk_came(
    room: Room, browser: Browser, at: str
) -> None:
    since(room, 300)
    assert 300 <= begun(browser, at) < 400


def test_a_start_that_was_told_late_is_put_right_by_what_follows(room: Room, browser: Browser) -> None:
    since(room, 300)
    place = place_of(room)
    assert recording.started(room, place, str(KEY), WEBM, 200.25)
    assert Segment.objects.get().started_s == 200.25
    assert begun(browser, "100.5") == 100.5
    assert begun(browser, "250", 1) == 100.5, "never later"
    assert browser.send(2).status_code == 200
    assert Segment.objects.get().started_s == 100.5


def test_it_does_not_run_without_the_candidate(room: Room, browser: Browser) -> None:
    browser.send(0)
    lifecycle.leave(place_of(room))
    assert not recording.status(room)["active"]


def test_ending_the_room_asks_for_the_work_once_it_is_committed(
    room: Room, browser: Browser, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks
) -> None:
    offered: list[str] = []
    monkeypatch.setattr(
        "assessment.work_queue.offer", lambda tickets: offered.extend(one.job_id for one in tickets)
    )
    browser.send(0)
    with django_capture_on_commit_callbacks(execute=True), transaction.atomic():
        lifecycle.end(room, room.owner)
        assert not offered
    assert offered == [f"recording-{room.pk}"]
    assert Recording.objects.get(room=room).stopped_at is not None


# -- Before the body is taken in ----------------------------------------------------------------


def streamed(room: Room, key: str, pieces: list[bytes], **headers: Any) -> Exchange:
    """One chunk, sent piece by piece as a server hands it on."""
    named = {
        "content_type": WEBM,
        "cookie": f"{links.cookie_name(room)}={key}; csrftoken={'a' * 32}",
        **headers,
    }
    path = f"/rooms/{room.code}/recording/{KEY}/0"
    return asyncio.run(Exchange(path, pieces, x_csrftoken="a" * 32, **named).run())


@pytest.mark.django_db(transaction=True)
def test_a_chunk_arrives_in_pieces(room: Room) -> None:
    sent = streamed(room, let_in(room)[1], [b"one, ", b"two, ", b"three"])
    assert (sent.status, sent.document["received"]) == (200, [0])
    assert Chunk.objects.get().file.read() == b"one, two, three"


@pytest.mark.django_db(transaction=True)
def test_a_chunk_of_somebody_who_may_not_is_not_taken_in(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "LINGER_BYTES", 0)
    _place, key = let_in(room, {**EVERYTHING, Scope.RECORDING: False})
    for cookie, status in ((key, 403), ("nobody's", 404)):
        sent = streamed(room, cookie, [b"x" * 1024] * 100)
        assert (sent.status, sent.given) == (status, 0)


@pytest.mark.django_db(transaction=True)
def test_a_chunk_that_is_too_long_is_given_up_on_the_way(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "LINGER_BYTES", 0)
    _place, key = let_in(room)
    pieces = [b"x" * 1024 * 1024] * 40
    declared = streamed(room, key, pieces, content_length=len(pieces) * len(pieces[0]))
    assert (declared.status, declared.code, declared.given) == (413, "too_large", 0)
    silent = streamed(room, key, pieces)
    assert (silent.status, silent.code, silent.given) == (413, "too_large", 9)
    assert not Chunk.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_chunk_that_breaks_off_is_not_kept(room: Room) -> None:
    key = let_in(room)[1]
    path = f"/rooms/{room.code}/recording/{KEY}/0"
    cookie = f"{links.cookie_name(room)}={key}; csrftoken={'a' * 32}"
    asyncio.run(
        Exchange(
            path, [b"half of", b" it"], leaves=True, x_csrftoken="a" * 32, content_type=WEBM, cookie=cookie
        ).run()
    )
    assert not Chunk.objects.exists() and not stored_files(room)
