"""Which pages let the candidate's browser keep chunks, and until when; which make it delete them."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from rooms import consent, lifecycle, links, recording
from rooms.models import Participant, Recording, Room
from rooms.recording import keeping
from tests.rooms.records import EVERYTHING, Scope, enter, let_in, make_room

pytestmark = pytest.mark.django_db


@pytest.fixture
def room() -> Room:
    return make_room(recording=True)


def browser(room: Room, key: str) -> Client:
    client = Client()
    client.cookies[links.cookie_name(room)] = key
    return client


def data_of(page: Any, name: str) -> dict[str, Any]:
    found = re.search(rf'<script id="{name}" type="application/json">(.*?)</script>', page.content.decode())
    return json.loads(found[1]) if found else {}


def during(room: Room, key: str) -> Any:
    return data_of(browser(room, key).get(f"/call/{room.code}/"), "call-data")["keeping"]


def afterwards(room: Room, key: str) -> Any:
    data = data_of(browser(room, key).get(f"/call/{room.code}/left/"), "rest-data")
    assert data["code"] == room.code
    return data["keeping"]


def test_a_place_has_one_key_on_all_its_pages_and_no_other_has_it(room: Room) -> None:
    place, key = let_in(room)
    own = during(room, key)
    assert own == afterwards(room, key) == keeping.during(place)
    assert len(own["key"]) == 44 and own["key"] not in own["who"]
    _second, second_key = enter(room)
    assert during(room, second_key)["key"] != own["key"]
    assert during(room, second_key)["who"] != own["who"]


def test_a_room_that_is_not_recorded_gives_none() -> None:
    room = make_room()
    _place, key = let_in(room)
    assert during(room, key) is None


def test_who_did_not_agree_may_during_the_call_but_not_after_it(room: Room) -> None:
    _place, key = let_in(room, {**EVERYTHING, Scope.RECORDING: False})
    assert during(room, key) is not None, "consent may come yet"
    assert afterwards(room, key) is None


def test_who_took_it_back_deletes_what_is_left(room: Room) -> None:
    place, key = let_in(room)
    consent.answer(place, {Scope.RECORDING: False})
    assert afterwards(room, key) is None


def test_after_the_end_as_long_as_chunks_are_taken(room: Room) -> None:
    _place, key = let_in(room)
    lifecycle.end(room, room.owner)
    assert afterwards(room, key) is not None
    Recording.objects.update(stopped_at=timezone.now() - timedelta(seconds=recording.LATE_S + 1))
    assert afterwards(room, key) is None


@pytest.mark.parametrize("state", ["processing", "handed_over", "failed", "erased"])
def test_once_the_work_has_begun_there_is_none(room: Room, state: str) -> None:
    _place, key = let_in(room)
    lifecycle.end(room, room.owner)
    Recording.objects.update(state=state)
    assert afterwards(room, key) is None


def test_the_link_of_an_interview_that_ended_leads_who_was_in_it_to_the_rest(room: Room) -> None:
    _place, key = let_in(room)
    link = f"/join/{links.token_of(room)}"
    lifecycle.end(room, room.owner)
    answer = browser(room, key).get(link)
    assert (answer.status_code, answer["Location"]) == (302, f"/call/{room.code}/left/")
    assert answer["Referrer-Policy"] == "strict-origin"
    for stranger in (Client(), browser(room, "nobody's")):
        assert stranger.get(link).status_code == 410


def test_who_declines_keeps_nothing(room: Room) -> None:
    _place, key = let_in(room)
    page = browser(room, key).get(f"/join/{links.token_of(room)}?decline=1")
    assert data_of(page, "rest-data") == {"code": room.code}
    assert "rooms/rest.js" in page.content.decode()


def test_every_page_of_candidates_deletes_what_is_too_old(room: Room) -> None:
    pages = [Client().get(f"/join/{links.token_of(room)}"), Client().get("/join/nonsense")]
    assert all("rooms/rest.js" in page.content.decode() for page in pages)
    assert not any(data_of(page, "rest-data") for page in pages)


def test_the_pages_with_a_key_are_kept_by_nobody(room: Room) -> None:
    _place, key = let_in(room)
    for path in (f"/call/{room.code}/", f"/call/{room.code}/left/"):
        assert "no-store" in browser(room, key).get(path)["Cache-Control"]
    assert Participant.objects.filter(role="candidate").count() == 1
