"""What interviewers do and read over their socket is in the audit log, by ids alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio
from django.test import Client
from django.utils import timezone

from assessment.models import AuditEntry
from rooms import lifecycle
from rooms.models import Note, Participant, Room
from rooms.sockets import in_database
from tests.rooms.records import enter, make_room
from tests.rooms.wire import Call, candidate, hang_up, interviewer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.asyncio]


@pytest_asyncio.fixture(autouse=True)
async def _hang_up(_django_db_helper: None) -> AsyncIterator[None]:
    yield
    await hang_up()


def lines(room: Room, prefix: str = "room.") -> list[tuple[str, str, dict[str, object]]]:
    found = AuditEntry.objects.filter(subject=f"room:{room.room_id}", action__startswith=prefix).order_by(
        "pk"
    )
    return [(one.action, one.actor.username if one.actor else "", one.details) for one in found]


async def test_who_lets_whom_in_and_who_does_not() -> None:
    room = await in_database(make_room)
    panel = await interviewer(room)
    for kind in ("refuse", "admit"):
        place, key = await in_database(enter, room)
        await candidate(room, key)
        await panel.next("knock")
        await panel.send(kind, peer=place.peer)
        await panel.next("knock-ended")
        line = (f"room.{kind}", "interviewer", {"participant": place.pk})
        assert (await in_database(lines, room))[-1] == line
    await panel.send("admit", peer="0" * 32)
    assert await panel.error() == "not_waiting"
    assert len(await in_database(lines, room, "room.admit")) == 1


async def test_notes_questions_and_the_clearing_of_the_smoothing() -> None:
    call = await Call.start(questions=("One", "Two"))
    await call.interviewer.send("note", text="Knows queues well")
    await call.interviewer.next("note")
    await call.interviewer.send("question", number=1)
    await call.interviewer.next("question")
    await call.interviewer.send("reset-analysis")
    await call.interviewer.next("analysis-reset")
    note = await in_database(Note.objects.get)
    assert (await in_database(lines, call.room))[-3:] == [
        ("room.note", "interviewer", {"note": note.pk}),
        ("room.question", "interviewer", {"number": 1}),
        ("room.reset_analysis", "interviewer", {}),
    ]


async def test_who_watches_is_written_once_for_each_time_they_come() -> None:
    room = await in_database(make_room)
    for _ in range(3):  # a line that breaks and comes back is no other visit
        wire = await interviewer(room)
        await wire.drop()
    assert await in_database(lines, room, "room.watch") == [("room.watch", "interviewer", {})]


async def test_a_summary_is_a_read_of_its_own_but_for_who_watches() -> None:
    """The panel asks for it after each line that broke, and the log is to tell who read what."""
    call = await Call.start()
    client, path = Client(), f"/api/rooms/{call.room.code}/summary"

    def read() -> int:
        client.force_login(call.room.owner)
        assert client.get(path).status_code == 200
        return len(lines(call.room, "room.read_summary"))

    assert await in_database(read) == 0
    places = Participant.objects.filter(room=call.room)
    await in_database(places.update, seen_at=timezone.now() - timedelta(minutes=3))
    assert await in_database(read) == 1
    await in_database(places.update, seen_at=timezone.now())
    await in_database(lifecycle.end, call.room, call.room.owner)
    assert await in_database(read) == 2
