"""The candidate's call page: which browser gets it, and what its scripts are given."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from rooms import call_page, lifecycle, links
from rooms.models import Participant, Room
from tests.rooms.records import EVERYTHING, Scope, enter, let_in, make_room

pytestmark = pytest.mark.django_db
SCRIPTS = Path(__file__).parents[2] / "static" / "js" / "rooms"


def page(room: Room, key: str | None) -> Any:
    client = Client()
    if key:
        client.cookies[links.cookie_name(room)] = key
    return client.get(f"/call/{room.code}/")


def embedded(answer: Any, name: str) -> Any:
    found = re.search(
        rf'<script id="{name}" type="application/json">(.*?)</script>', answer.content.decode(), re.DOTALL
    )
    assert found is not None
    return json.loads(found[1])


def test_the_browser_of_the_link_gets_the_lobby() -> None:
    room = make_room(recording=True)
    _place, key = enter(room, {**EVERYTHING, Scope.VOICE: False})
    answer = page(room, key)
    assert answer.status_code == 200
    html = answer.content.decode()
    assert "Face analysis: yes" in html
    assert "Voice analysis: no" in html
    assert "Recording: yes" in html
    data = embedded(answer, "call-data")
    assert data["admitted"] is False
    assert data["consent"] == {"call": True, "recording": True, "face": True, "voice": False}
    assert data["socket"] == f"/ws/rooms/{room.code}/?as=candidate"


def test_who_was_let_in_goes_straight_into_the_call() -> None:
    room = make_room()
    _place, key = let_in(room)
    assert embedded(page(room, key), "call-data")["admitted"] is True


def test_no_recording_is_offered_where_the_room_wants_none() -> None:
    room = make_room(recording=False)
    _place, key = enter(room)
    html = page(room, key).content.decode()
    assert 'data-scope="face"' in html
    assert 'data-scope="recording"' not in html


def test_unknown_and_foreign_browsers_read_the_same() -> None:
    room, other = make_room(), make_room()
    _place, foreign = enter(other)
    answers = [page(room, None), page(room, "wrong"), page(room, foreign)]
    answers.append(Client().get("/call/bcd-fghj-kmn/"))
    assert {answer.status_code for answer in answers} == {404}
    assert len({re.sub(r'value="[^"]*"', "", answer.content.decode()) for answer in answers[:3]}) == 1
    assert room.title not in answers[0].content.decode()


def test_without_consent_to_the_call_there_is_none() -> None:
    room = make_room()
    _place, key = enter(room, dict.fromkeys(Scope, False))
    assert page(room, key).status_code == 404


@pytest.mark.parametrize("state", [Participant.State.PUT_OUT, Participant.State.REFUSED])
def test_who_lost_the_place_is_told_why(state: Participant.State) -> None:
    room = make_room()
    place, key = enter(room)
    Participant.objects.filter(pk=place.pk).update(state=state)
    answer = page(room, key)
    assert (answer.status_code, answer["Location"]) == (302, f"/call/{room.code}/left/")


def test_after_the_end_there_is_no_call() -> None:
    room = make_room()
    _place, key = let_in(room)
    lifecycle.end(room, room.owner)
    assert page(room, key)["Location"] == f"/call/{room.code}/left/"


def test_who_left_may_knock_again() -> None:
    room = make_room()
    place, key = let_in(room)
    lifecycle.leave(place)
    answer = page(room, key)
    assert answer.status_code == 200
    assert embedded(answer, "call-data")["admitted"] is False


def test_no_secret_of_anybody_is_on_the_page() -> None:
    room = make_room(candidate_email="sari@example.org")
    _place, key = let_in(room)
    html = page(room, key).content.decode()
    for secret in (key, links.token_of(room), "sari@example.org", room.room_id):
        assert secret not in html


def test_devices_are_for_this_page_alone_and_nothing_is_kept_by_caches() -> None:
    room = make_room()
    _place, key = enter(room)
    answer = page(room, key)
    assert "camera=(self)" in answer["Permissions-Policy"]
    assert "no-store" in answer["Cache-Control"]
    assert "frame-ancestors 'none'" in answer["Content-Security-Policy"]
    assert "<style" not in answer.content.decode()


def test_every_text_that_the_scripts_ask_for_is_there() -> None:
    strings = call_page.candidate_strings("Budi")
    code_of = "".join((SCRIPTS / f"{name}.js").read_text() for name in ("candidate", "lobby", "choices"))
    asked = set(re.findall(r"\bstrings\.(\w+)", code_of))
    assert len(asked) > 15
    assert asked <= strings.keys()
    indexed = {
        "tips_camera",
        "tips_microphone",
        "tips_both",
        "face_on",
        "voice_on",
        "face_paused",
        "voice_paused",
    }
    assert indexed <= strings.keys()
    for kind in ("camera", "microphone"):
        for code in ("denied", "denied_by_system", "busy", "absent", "insecure", "unknown"):
            assert strings[f"{kind}_{code}"]
    for code in (4401, 4403, 4404, 4409, "full"):
        assert strings[f"closed_{code}"]


def test_the_page_asks_the_database_little(django_assert_max_num_queries: Any) -> None:
    room = make_room(recording=True)
    _place, key = let_in(room)
    with django_assert_max_num_queries(8):
        page(room, key)


def test_it_speaks_the_candidates_language() -> None:
    room = make_room()
    place, key = enter(room)
    Participant.objects.filter(pk=place.pk).update(language="id")
    html = page(room, key).content.decode()
    assert "Analisis wajah" in html
