"""Rooms as HR sees them."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from assessment.models import AuditEntry, Candidate
from rooms import groups, lifecycle
from rooms.models import Alert, Consent, Note, Participant, Reading, Recording, Room
from tests.rooms.records import let_in, make_room, make_user

pytestmark = pytest.mark.django_db

LISTS = ["room", "participant", "consent", "recording", "note"]
READ_ONLY = ["participant", "consent", "recording", "note"]
NOTED = "She hesitates at question two"


@pytest.fixture
def hr(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("hr", password="a long enough password"))
    return client


def fill(count: int = 12) -> list[Room]:
    rooms = [make_room(candidate_name=f"Candidate {number}", recording=True) for number in range(count)]
    for room in rooms:
        let_in(room)
        room.panel.add(make_user("panel"))
        Note.objects.create(room=room, author=room.owner, t_s=1.0, text=NOTED)
        Reading.objects.create(room=room, t_s=1.0, level="high", high=0.9)
        Alert.objects.create(room=room, t_s=1.0, kind="no_face", severity="info")
    return rooms


def pages(room: Room) -> list[str]:
    place = Participant.objects.get(room=room)
    consent = Consent.objects.filter(participant=place).latest("pk")
    return [
        f"room/{room.pk}",
        f"participant/{place.pk}",
        f"consent/{consent.pk}",
        f"recording/{Recording.objects.get(room=room).pk}",
        f"note/{Note.objects.get(room=room).pk}",
    ]


@pytest.mark.parametrize("name", LISTS)
def test_lists_stay_within_fifteen_queries_and_are_searched(hr: Client, name: str) -> None:
    rooms = fill()
    with CaptureQueriesContext(connection) as queries:
        body = hr.get(f"/admin/rooms/{name}/").content.decode()
    assert len(queries) <= 15
    assert rooms[0].code in body
    found = hr.get(f"/admin/rooms/{name}/", {"q": rooms[3].code}).content.decode()
    assert rooms[3].code in found
    assert rooms[4].code not in found


def test_records_open_within_fifteen_queries(hr: Client) -> None:
    for place in pages(fill(1)[0]):
        with CaptureQueriesContext(connection) as queries:
            assert hr.get(f"/admin/rooms/{place}/change/").status_code == 200
        assert len(queries) <= 15


def test_a_room_says_how_much_it_holds_and_nothing_of_it(hr: Client) -> None:
    room = fill(1)[0]
    body = hr.get(f"/admin/rooms/room/{room.pk}/change/").content.decode()
    assert "1 readings, 1 alerts, 1 notes, 0 pieces of recording" in body
    for place in ("room/", "note/", *(f"{one}/change/" for one in pages(room))):
        assert NOTED not in hr.get(f"/admin/rooms/{place}").content.decode()


@pytest.mark.parametrize("name", LISTS)
def test_interviewers_do_not_get_in(client: Client, name: str) -> None:
    client.force_login(make_user())
    assert client.get(f"/admin/rooms/{name}/").status_code == 302


@pytest.mark.parametrize("name", LISTS)
def test_nothing_is_added_or_deleted_by_hand(hr: Client, name: str) -> None:
    room = fill(1)[0]
    place = next(one for one in pages(room) if one.startswith(f"{name}/"))
    assert hr.get(f"/admin/rooms/{name}/add/").status_code == 403
    assert hr.post(f"/admin/rooms/{place}/delete/", {"post": "yes"}).status_code == 403
    assert Room.objects.count() == 1


@pytest.mark.parametrize("name", READ_ONLY)
def test_what_was_agreed_and_noted_cannot_be_changed(hr: Client, name: str) -> None:
    room = fill(1)[0]
    place = next(one for one in pages(room) if one.startswith(f"{name}/"))
    assert (
        hr.post(
            f"/admin/rooms/{place}/change/", {"granted": "on", "text": "x", "state": "failed"}
        ).status_code
        == 403
    )
    assert Note.objects.get().text == NOTED


def test_a_room_can_be_given_to_somebody_else_and_nothing_more(hr: Client) -> None:
    room, heir = fill(1)[0], make_user("heir")
    values = {
        "owner": heir.pk,
        "panel": [],
        "title": "Other",
        "status": "ended",
        "country": "DE",
        "policy": "{}",
    }
    empty = {f"participants-{name}": 0 for name in ("TOTAL_FORMS", "INITIAL_FORMS")}
    assert hr.post(f"/admin/rooms/room/{room.pk}/change/", values | empty).status_code == 302
    before, title = room.policy, room.title
    room.refresh_from_db()
    assert (room.owner, list(room.panel.all())) == (heir, [])
    assert (room.title, room.status, room.country, room.policy) == (title, "live", "ID", before)
    entry = AuditEntry.objects.get(action="admin.change")
    assert (entry.subject, entry.details) == (f"room:{room.room_id}", {"fields": ["owner", "panel"]})


def test_the_others_hang_up_on_who_loses_their_seat(
    hr: Client, django_capture_on_commit_callbacks: Any
) -> None:
    room = fill(1)[0]
    member = lifecycle.seat(room, make_user("panel"))
    lifecycle.seat(room, room.owner)
    layer = get_channel_layer()
    name = async_to_sync(layer.new_channel)()
    async_to_sync(layer.group_add)(groups.everyone(room), name)
    empty = {f"participants-{name}": 0 for name in ("TOTAL_FORMS", "INITIAL_FORMS")}
    with django_capture_on_commit_callbacks(execute=True):
        hr.post(f"/admin/rooms/room/{room.pk}/change/", {"owner": room.owner_id, "panel": []} | empty)
    told = {"type": "peer-left", "peer": member.peer, "reason": "put_out"}
    assert async_to_sync(layer.receive)(name)["message"] == told
    assert layer.channels.get(name) is None or layer.channels[name].empty(), "the owner stays"


def test_hr_seats_no_more_people_than_a_call_has_room_for(hr: Client) -> None:
    room = fill(1)[0]
    members = [make_user(f"member{number}").pk for number in range(3)]
    empty = {f"participants-{name}": 0 for name in ("TOTAL_FORMS", "INITIAL_FORMS")}
    page = f"/admin/rooms/room/{room.pk}/change/"
    refused = hr.post(page, {"owner": room.owner_id, "panel": members} | empty)
    assert refused.status_code == 200
    assert "a call has room for 2 besides" in refused.content.decode()
    assert (
        hr.post(page, {"owner": room.owner_id, "panel": [*members[:2], room.owner_id]} | empty).status_code
        == 302
    )
    assert set(room.panel.values_list("pk", flat=True)) == set(members[:2])


def test_a_candidate_is_erased_with_their_rooms_but_not_during_one(hr: Client) -> None:
    room = fill(1)[0]
    chosen = {"action": "erase", "_selected_action": [room.candidate_id], "confirmed": "yes"}
    refused = hr.post("/admin/assessment/candidate/", chosen, follow=True).content.decode()
    assert "An interview with this person is live." in refused
    assert (Room.objects.count(), Candidate.objects.count()) == (1, 1)
    Room.objects.update(status="ended")
    hr.post("/admin/assessment/candidate/", chosen)
    assert (Room.objects.count(), Candidate.objects.count()) == (0, 0)
