"""What an interview gave: the document, its page, its PDF, and who may read them."""

from __future__ import annotations

import gzip
import json
import re
from datetime import timedelta

import pypdfium2
import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from rooms import lifecycle, summary, summary_story
from rooms.models import Alert, Note, QuestionMark, Reading, Room
from tests.rooms.records import let_in, make_room, make_user

pytestmark = pytest.mark.django_db


def reading(room: Room, t_s: float, level: str = "low", **values: object) -> Reading:
    shares = {"low": 0.1, "medium": 0.1, "high": 0.1, level: 0.8}
    given = {
        "level": level,
        **shares,
        "model_confidence": 0.8,
        "confidence": 70.0,
        "from_face": True,
        "parts": {"face": {"detected": True, "count": 1, "eye_contact": True}},
    }
    return Reading(room=room, t_s=t_s, **{**given, **values})


@pytest.fixture
def interview() -> Room:
    """A minute: 40 s low, 10 s high, 10 s nothing; two questions, an alert, a note."""
    room = make_room(questions=("What did you build?", "Why did it break?"))
    let_in(room)
    began = timezone.now() - timedelta(seconds=60)
    Room.objects.filter(pk=room.pk).update(admitted_at=began)
    room.refresh_from_db()
    rows = [reading(room, second) for second in range(40)]
    rows += [reading(room, second, "high", confidence=40.0) for second in range(40, 50)]
    rows[10].speech = {
        "rate": 4.0,
        "rate_unit": "syllables/s",
        "words_per_minute": 150,
        "speech_share": 0.6,
        "longest_pause_s": 1.5,
    }
    Reading.objects.bulk_create(rows)
    QuestionMark.objects.create(room=room, number=0, t_s=5)
    QuestionMark.objects.create(room=room, number=1, t_s=35)
    Alert.objects.create(room=room, t_s=45, kind="no_face", severity="attention", value=5.0, from_face=True)
    Note.objects.create(room=room, t_s=20, author=room.owner, text="<b>good example</b>")
    lifecycle.end(room, room.owner)
    Room.objects.filter(pk=room.pk).update(ended_at=began + timedelta(seconds=60))
    room.refresh_from_db()
    return room


def test_the_document_tells_shares_means_and_questions(interview: Room) -> None:
    found = summary.document(interview)
    assert found["room"]["duration_s"] == 60.0
    assert found["stress"]["distribution"] == {"low": 0.8, "medium": 0.0, "high": 0.2, "unsure": 0.0}
    assert found["stress"]["measured_s"] == 50
    assert found["confidence"] == {"mean": 64.0, "lowest": 40.0, "highest": 70.0, "measured_s": 50}
    assert found["attention"]["eye_contact_share"] == 1.0
    assert found["speech"]["words_per_minute"] == 150
    first, second = found["questions"]
    assert (first["text"], first["start_s"], first["end_s"]) == ("What did you build?", 5.0, 35.0)
    assert first["stress"]["distribution"]["low"] == 1.0
    assert second["end_s"] == 60.0
    assert second["stress"]["distribution"]["high"] == round(10 / 15, 4)
    assert [point["t"] for point in found["timeline"]] == [float(second) for second in range(50)]
    assert found["assessment"] is None


def test_what_was_not_measured_is_null_and_has_a_reason() -> None:
    room = make_room(country="DE")
    let_in(room)
    Reading.objects.create(room=room, t_s=1, parts={"face": {"detected": True, "count": 1}}, from_face=True)
    found = summary.document(room)
    assert (found["stress"], found["confidence"], found["speech"]) == (None, None, None)
    assert found["attention"]["face_visible_share"] == 1.0
    told = summary_story.tell(found)
    assert "forbids inferring emotion" in told.off_reason
    assert told.figures[0].text == "—"
    assert told.figures[0].reason == told.off_reason


def test_speech_without_a_pause_has_no_longest_pause() -> None:
    room = make_room()
    let_in(room)
    Reading.objects.create(room=room, t_s=3, from_voice=True, speech={"rate": 4.0, "longest_pause_s": None})
    longest = summary_story.tell(summary.document(room)).figures[-1]
    assert (longest.text, longest.unit) == ("—", "")
    assert longest.reason


def test_a_room_in_which_nothing_happened_has_a_summary_too() -> None:
    told = summary_story.tell(summary.document(make_room()))
    assert told.opening == "Sari Wulandari was not let in, so there is nothing to tell."
    assert told.chart is None


@pytest.mark.slow
def test_a_long_interview_is_told_in_means() -> None:
    room = make_room()
    let_in(room)
    Reading.objects.bulk_create(reading(room, second) for second in range(4 * 3600))
    assert 3000 <= len(summary.document(room)["timeline"]) <= summary.MOST_POINTS


def test_it_is_small_on_the_line_for_who_takes_it_so(client: Client) -> None:
    """The panel asks for it during the call, on the same line."""
    room = make_room()
    let_in(room)
    rows = [
        reading(room, second, confidence=second % 97, low=second % 89 / 100, medium=second % 83 / 100)
        for second in range(1200)
    ]
    Reading.objects.bulk_create(rows)
    client.force_login(room.owner)
    address = f"/api/rooms/{room.code}/summary"
    plain = client.get(address)
    packed = client.get(address, headers={"Accept-Encoding": "gzip"})
    assert json.loads(gzip.decompress(packed.content)) == plain.json()
    assert len(packed.content) < len(plain.content) / 4
    assert (packed["Content-Encoding"], packed["Vary"].count("Accept-Encoding")) == ("gzip", 1)


def test_readings_stand_for_the_time_until_the_next_but_not_for_gaps() -> None:
    room = make_room()
    let_in(room)
    Reading.objects.bulk_create(reading(room, t_s) for t_s in (0, 2, 4, 30, 31))
    Reading.objects.create(room=room, t_s=3, from_voice=True, speech={"rate": 4.0})
    found = summary.document(room)
    assert found["stress"]["measured_s"] == 7
    assert [point["t"] for point in found["timeline"]] == [0.0, 2.0, 4.0, 30.0, 31.0]


def test_the_story_goes_in_order_of_time(interview: Room) -> None:
    told = summary_story.tell(summary.document(interview))
    assert [(event.kind, event.time) for event in told.events] == [
        ("question", "0:05"),
        ("note", "0:20"),
        ("question", "0:35"),
        ("alert", "0:45"),
    ]
    assert "for 1 minute" in told.opening
    assert "2 questions were asked" in told.opening
    assert told.chart is not None
    assert told.chart.confidence.startswith("M0.0 40V12.0")


def test_questions_lie_on_one_lane_with_their_numbers(interview: Room) -> None:
    chart = summary_story.tell(summary.document(interview)).chart
    assert chart is not None
    questions = next(lane for lane in chart.lanes if lane.kind == "question")
    assert [(mark.label, mark.time) for mark in questions.marks] == [("1", "0:05–0:35"), ("2", "0:35–1:00")]
    assert [lane.kind for lane in chart.lanes] == ["question", "alert", "note"]


def test_the_page_shows_it_and_hostile_notes_stay_text(interview: Room) -> None:
    client = Client()
    client.force_login(interview.owner)
    page = client.get(f"/rooms/{interview.code}/summary/")
    assert page.status_code == 200
    text = page.content.decode()
    assert "&lt;b&gt;good example&lt;/b&gt;" in text
    assert "What did you build?" in text
    assert f"/api/rooms/{interview.code}/report.pdf" in text


def text_of_the_pdf(interview: Room) -> str:
    client = Client()
    client.force_login(interview.owner)
    answer = client.get(f"/api/rooms/{interview.code}/report.pdf")
    assert answer["Content-Type"] == "application/pdf"
    with pypdfium2.PdfDocument(answer.content) as pdf:
        return " ".join(re.sub(r"\s+", " ", page.get_textpage().get_text_range()) for page in pdf)


def test_the_pdf_of_an_interview_that_goes_on_says_so(interview: Room) -> None:
    assert "has not ended" not in text_of_the_pdf(interview)
    Room.objects.filter(pk=interview.pk).update(status=Room.Status.LIVE, ended_at=None)
    assert "The interview has not ended" in text_of_the_pdf(interview)


def test_the_pdf_says_the_same(interview: Room) -> None:
    text = text_of_the_pdf(interview)
    assert "Sari Wulandari" in text
    assert "Why did it break?" in text
    assert "What this is not" in text


PATHS = (
    "/rooms/{code}/summary/",
    "/api/rooms/{code}/summary",
    "/api/rooms/{code}/alerts",
    "/api/rooms/{code}/report.pdf",
)


@pytest.mark.parametrize("path", PATHS)
def test_who_may_read_it(interview: Room, path: str) -> None:
    panelist, stranger = make_user("panelist"), make_user("stranger")
    interview.panel.add(panelist)
    hr = User.objects.create_superuser("hr", password="x")

    def status(user: User | None) -> int:
        client = Client()
        if user:
            client.force_login(user)
        return client.get(path.format(code=interview.code)).status_code

    assert status(None) == (302 if path.startswith("/rooms") else 401)
    assert status(stranger) == 404
    assert [status(user) for user in (interview.owner, panelist, hr)] == [200, 200, 200]


def test_candidates_never_get_it(interview: Room) -> None:
    place, key = lifecycle.enter(make_room(), {}, "en", None)
    client = Client()
    client.cookies[f"candidate-{interview.code}"] = key
    assert client.get(f"/api/rooms/{interview.code}/summary").status_code == 401
    assert place.room_id != interview.pk
