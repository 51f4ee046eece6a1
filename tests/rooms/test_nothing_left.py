"""After a person is erased: every table and every file is searched for what could name them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings as site
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.db import connection
from django.test import Client

from assessment import retention
from assessment.models import Answer, Assessment, AuditEntry, Candidate
from rooms import consent, lifecycle, links
from rooms.models import Alert, Chunk, Note, QuestionMark, Reading, Room, Segment
from tests.rooms.records import Scope, make_room, make_user

pytestmark = [pytest.mark.slow, pytest.mark.django_db]

NAME, EMAIL = "Sari Wulandari Geheim", "sari.geheim@example.org"


@pytest.fixture
def there_before() -> set[Path]:
    """What other tests have left in the media folder."""
    return _files()


@pytest.fixture
def used(there_before: set[Path]) -> Room:
    """A room as an interview leaves it, by the pages where there are some; handed over, with a second browser that was
    not let in, and looked after by HR."""
    owner = make_user()
    room = make_room(
        owner,
        candidate_name=NAME,
        candidate_email=EMAIL,
        recording=True,
        questions=(f"What did {NAME} build?",),
        title=f"Interview with {NAME}",
    )
    Client().post(f"/join/{links.token_of(room)}", {"choice": "chosen", "call": "yes"})
    browser = Client()
    answers = {"choice": "chosen", **dict.fromkeys(("call", "recording", "face", "voice"), "yes")}
    browser.post(f"/join/{links.token_of(room)}", answers)
    place = room.participants.last()
    assert place is not None
    lifecycle.knock(place)
    lifecycle.admit(room, place.peer, owner)
    _measure(room)
    consent.answer(place, {Scope.VOICE: False})
    lifecycle.end(room, owner)
    _hand_over(room)
    _look_after(room)
    return room


def _measure(room: Room) -> None:
    Reading.objects.create(room=room, t_s=1.0, level="low", from_face=True, parts={"face": {"count": 1}})
    Alert.objects.create(room=room, t_s=1.0, kind="no_face", severity="info")
    Note.objects.create(room=room, author=room.owner, t_s=1.0, text=f"{NAME} knows queues")
    QuestionMark.objects.create(room=room, number=0, t_s=0.0)
    segment = Segment.objects.create(
        recording=room.recording, key=room.uuid, content_type="video/webm", started_s=0.0
    )
    chunk = Chunk(segment=segment, sequence=0, size_bytes=4)
    chunk.file.save("chunk", ContentFile(b"clip"))


def _hand_over(room: Room) -> None:
    """As the recorded pipeline takes it."""
    assessment = Assessment.objects.create(
        candidate=room.candidate, owner=room.owner, source=Assessment.Source.ROOM
    )
    answer = Answer(assessment=assessment, position=1, question=f"What did {NAME} build?")
    answer.media.save("answer.webm", ContentFile(b"clip"))
    Room.objects.filter(pk=room.pk).update(assessment=assessment)


def _look_after(room: Room) -> None:
    """HR corrects the name and gives the room to somebody else, the owner reads the summary."""
    hr = Client()
    hr.force_login(User.objects.create_superuser("hr"))
    page = f"/admin/assessment/candidate/{room.candidate_id}/change/"
    form = {"name": f"{NAME} 2", "email": EMAIL, "external_id": ""}
    assert hr.post(page, form).status_code == 302
    owner = Client()
    owner.force_login(room.owner)
    assert owner.get(f"/rooms/{room.code}/summary/").status_code == 200


def _rows() -> Iterator[tuple[str, str]]:
    tables = connection.introspection.table_names()
    for model in (one for one in apps.get_models() if one._meta.db_table in tables):
        for row in model._default_manager.all().values():
            yield model._meta.label, json.dumps(row, default=str)


def _found(needles: tuple[str, ...]) -> list[str]:
    return sorted({label for label, text in _rows() if any(needle in text for needle in needles)})


def _files() -> set[Path]:
    return {path for path in Path(site.MEDIA_ROOT).rglob("*") if path.is_file()}


def test_erasing_a_candidate_leaves_neither_row_nor_file_that_names_them(
    used: Room, there_before: set[Path]
) -> None:
    person = (NAME, EMAIL)
    keys = (used.code, *(place.peer for place in used.participants.all()))
    assert "assessment.Candidate" in _found(person)
    assert len(_files() - there_before) == 2
    retention.erase_candidate(Candidate.objects.get(pk=used.candidate_id))
    assert _found(person) == []
    assert _found(keys) == []
    assert _found((used.uuid.hex, str(used.uuid))) == ["assessment.AuditEntry"], "lines stay, by ids alone"
    assert _files() - there_before == set()
    assert AuditEntry.objects.filter(action="candidate_erased").count() == 1


def test_the_address_of_an_erased_room_tells_nothing(used: Room) -> None:
    owner, stranger, browser = Client(), Client(), Client()
    owner.force_login(used.owner)
    stranger.force_login(make_user("stranger"))
    link = f"/join/{links.token_of(used)}"
    retention.erase_candidate(used.candidate)
    tails: list[Any] = ["", "call/", "summary/"]
    for tail in tails:
        answers = [client.get(f"/rooms/{used.code}/{tail}") for client in (owner, stranger)]
        assert [answer.status_code for answer in answers] == [404, 404]
    assert browser.get(link).status_code == 404
    for tail in ("summary", "alerts", "report.pdf"):
        assert owner.get(f"/api/rooms/{used.code}/{tail}").status_code == 404
