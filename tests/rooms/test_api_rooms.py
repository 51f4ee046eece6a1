"""`/api/rooms`: list, create, end."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from channels.layers import get_channel_layer
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from assessment.models import ApiToken, AuditEntry, IdempotencyKey
from rooms import groups, lifecycle, links
from rooms.models import Participant, Room
from tests.rooms.records import cookie, let_in, make_room, make_user

pytestmark = pytest.mark.django_db

CREATE = "/api/rooms/create"
UNKNOWN = "bcd-fghj-kmn"


def bearer(user: User) -> Client:
    return Client(headers={"authorization": f"Bearer {ApiToken.issue(user)[1]}"})


def hr() -> User:
    return User.objects.filter(username="hr").first() or User.objects.create_superuser("hr")


def create(client: Client, document: Any = None, **headers: str) -> Any:
    body = (
        document
        if isinstance(document, str)
        else json.dumps({"title": "T", "candidate_name": "N"} | (document or {}))
    )
    return client.post(CREATE, body, content_type="application/json", headers=headers)


# -- Who may ----------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["/api/rooms", CREATE, f"/api/rooms/{UNKNOWN}/end"])
def test_the_anonymous_are_refused(client: Client, place: str) -> None:
    response = (client.get if place == "/api/rooms" else client.post)(place)
    assert response.status_code == 401
    assert response.json()["error"]["code"] == "unauthenticated"


def test_a_candidates_cookie_is_no_sign_in() -> None:
    room = make_room()
    _place, key = let_in(room)
    client = Client(headers={"cookie": cookie(room, key)})
    assert client.get("/api/rooms").status_code == 401
    assert client.post(f"/api/rooms/{room.code}/end").status_code == 401
    room.refresh_from_db()
    assert not room.ended


@pytest.mark.parametrize("place", [CREATE, "/api/rooms/{code}/end"])
def test_a_session_needs_a_csrf_token(place: str) -> None:
    room = make_room()
    client = Client(enforce_csrf_checks=True)
    client.force_login(room.owner)
    response = client.post(place.format(code=room.code), "{}", content_type="application/json")
    assert (response.status_code, response.json()["error"]["code"]) == (403, "csrf_failed")
    assert Room.objects.exclude(status="ended").count() == 1


def test_strangers_and_wrong_codes_get_the_same_answer() -> None:
    room = make_room()
    client = bearer(make_user("stranger"))
    answers = [client.post(f"/api/rooms/{code}/end") for code in (room.code, UNKNOWN, "x", room.room_id)]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1
    room.refresh_from_db()
    assert not room.ended
    assert client.get("/api/rooms").json() == []


# -- List -------------------------------------------------------------------------------------


def test_the_list_has_the_keys_of_the_earlier_system_and_counts_who_is_there() -> None:
    room = make_room(title="Backend engineer")
    place, _key = let_in(room)
    seat = lifecycle.seat(room, room.owner)
    now = timezone.now()
    Participant.objects.filter(pk=place.pk).update(seen_at=now)
    Participant.objects.filter(pk=seat.pk).update(seen_at=now - timedelta(seconds=50))
    lifecycle.seat(make_room(room.owner, title="Other"), room.owner)
    listed = bearer(room.owner).get("/api/rooms").json()
    assert [one["title"] for one in listed] == ["Other", "Backend engineer"]
    assert listed[1] == {
        "roomId": room.room_id,
        "code": room.code,
        "title": "Backend engineer",
        "status": "live",
        "participantCount": 2,
        "interviewerCount": 1,
        "intervieweeCount": 1,
        "created_at": listed[1]["created_at"],
    }
    assert (listed[0]["participantCount"], listed[0]["status"]) == (0, "scheduled")


@pytest.mark.parametrize("state", ["waiting", "left", "put_out", "refused", "invited"])
def test_only_who_is_in_the_call_counts(state: str) -> None:
    room = make_room()
    place, _key = let_in(room)
    Participant.objects.filter(pk=place.pk).update(state=state, seen_at=timezone.now())
    assert bearer(room.owner).get("/api/rooms").json()[0]["participantCount"] == 0


def test_who_was_seen_a_while_ago_does_not_count() -> None:
    room = make_room()
    place, _key = let_in(room)
    Participant.objects.filter(pk=place.pk).update(seen_at=timezone.now() - timedelta(seconds=61))
    assert bearer(room.owner).get("/api/rooms").json()[0]["participantCount"] == 0


def test_owner_panel_and_hr_see_a_room() -> None:
    room = make_room()
    member = make_user("panel")
    room.panel.add(member)
    for user in (room.owner, member, hr()):
        assert [one["code"] for one in bearer(user).get("/api/rooms").json()] == [room.code]


def test_the_list_is_cut_into_pieces_and_needs_few_queries() -> None:
    made = [make_room() for _ in range(5)]
    client = bearer(make_user())
    with CaptureQueriesContext(connection) as queries:
        page = client.get("/api/rooms", {"limit": 2, "offset": 1}).json()
    assert [one["code"] for one in page] == [made[3].code, made[2].code]
    assert len(queries) <= 15
    for bad in ({"limit": 0}, {"limit": 10**9}, {"offset": -1}, {"limit": "x"}):
        assert client.get("/api/rooms", bad).status_code == 400


# -- Create -----------------------------------------------------------------------------------


def test_a_room_is_made_with_its_link() -> None:
    owner, member = make_user(), make_user("panel")
    planned = timezone.now().replace(microsecond=0) + timedelta(days=3)
    response = create(
        bearer(owner),
        {
            "title": " Backend engineer ",
            "candidate_name": "Sari",
            "candidate_email": "sari@example.org",
            "candidate_country": "id",
            "language": "id",
            "questions": ["One?", "Two?"],
            "recording": True,
            "planned_at": planned.isoformat(),
            "panel": ["panel"],
        },
    )
    assert response.status_code == 201
    room = Room.objects.get()
    assert response.json() == {
        "success": True,
        "roomId": room.room_id,
        "code": room.code,
        "candidate_link": f"http://testserver/join/{links.token_of(room)}",
    }
    assert (room.title, room.country, room.language, room.questions) == (
        "Backend engineer",
        "ID",
        "id",
        ["One?", "Two?"],
    )
    assert (room.recording_wanted, room.planned_at, list(room.panel.all())) == (True, planned, [member])
    assert (room.owner, room.candidate.email) == (owner, "sari@example.org")
    assert (
        Client().get(response.json()["candidate_link"].removeprefix("http://testserver")).status_code == 200
    )


def test_the_link_has_the_public_address(settings: Any) -> None:
    settings.PUBLIC_URL = "https://interviews.example"
    assert create(bearer(make_user())).json()["candidate_link"].startswith("https://interviews.example/join/")


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({"title": None}, "title"),
        ({"title": " "}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"title": 7}, "title"),
        ({"candidate_name": ""}, "candidate_name"),
        ({"candidate_name": "a\u0000b"}, "candidate_name"),
        ({"candidate_email": "x"}, "candidate_email"),
        ({"candidate_country": "UK"}, "candidate_country"),
        ({"language": "fr"}, "language"),
        ({"questions": "One?"}, "questions"),
        ({"questions": ["One?", 2]}, "questions[1]"),
        ({"questions": ["One?", "x" * 2001]}, "questions[1]"),
        ({"questions": ["?"] * 51}, "questions"),
        ({"recording": "yes"}, "recording"),
        ({"planned_at": "tomorrow"}, "planned_at"),
        ({"planned_at": "2026-13-45T00:00:00Z"}, "planned_at"),
        ({"planned_at": "2999-01-01T00:00:00Z"}, "planned_at"),
        ({"planned_at": "2020-01-01T00:00:00Z"}, "planned_at"),
        ({"planned_at": "2030-01-01T00:00:00"}, "planned_at"),
        ({"panel": ["nobody"]}, "panel[0]"),
        ({"panel": "panel"}, "panel"),
        ({"candidate_contry": "ID"}, "candidate_contry"),
    ],
)
def test_a_refusal_names_the_field_and_stores_nothing(document: dict[str, Any], field: str) -> None:
    response = create(bearer(make_user()), document)
    assert response.status_code == 400
    error = response.json()["error"]
    assert error["details"]["field"] == field
    assert error["message"].startswith(field)
    assert not Room.objects.exists()


@pytest.mark.parametrize(
    "body", ["", "{}", '{"title": "T"}', "[]", "null", '"x"', "{", "\x00", '{"title": NaN}']
)
def test_a_body_that_is_no_room_is_refused(body: str) -> None:
    response = create(bearer(make_user()), body)
    assert response.status_code == 400
    error = response.json()["error"]
    assert error["code"] in ("invalid_field", "invalid_json")
    if body in ("", "{}"):
        assert [one["field"] for one in error["details"]["errors"]] == ["title", "candidate_name"]
    assert not Room.objects.exists()


def test_an_inactive_user_cannot_be_asked_to_the_panel() -> None:
    User.objects.filter(pk=make_user("gone").pk).update(is_active=False)
    assert create(bearer(make_user()), {"panel": ["gone"]}).status_code == 400


def test_the_same_key_makes_one_room_and_keeps_no_link() -> None:
    client = bearer(make_user())
    first, second = (create(client, {"title": "A"}, **{"idempotency-key": "k1"}) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert Room.objects.count() == 1
    stored = IdempotencyKey.objects.get().response
    assert stored == {"code": first.json()["code"]}
    other = create(client, {"title": "B"}, **{"idempotency-key": "k1"})
    assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_conflict")


def test_the_same_key_of_another_user_makes_another_room() -> None:
    for name in ("one", "two"):
        assert create(bearer(make_user(name)), **{"idempotency-key": "k1"}).status_code == 201
    assert Room.objects.count() == 2


def test_a_refused_request_leaves_its_key_free() -> None:
    client = bearer(make_user())
    assert create(client, {"title": ""}, **{"idempotency-key": "k"}).status_code == 400
    assert create(client, **{"idempotency-key": "k"}).status_code == 201


# -- End --------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["owner", "panel", "hr"])
def test_who_sees_a_room_ends_it_once(who: str) -> None:
    room, member = make_room(), make_user("panel")
    room.panel.add(member)
    let_in(room)
    client = bearer({"owner": room.owner, "panel": member, "hr": hr()}[who])
    first, second = (client.post(f"/api/rooms/{room.code}/end") for _ in range(2))
    assert first.status_code == second.status_code == 200
    assert first.json() == second.json()
    assert (first.json()["status"], first.json()["code"]) == ("ended", room.code)
    assert AuditEntry.objects.filter(action="room.end").count() == 1


def test_everybody_in_the_room_is_told_and_nobody_in_another() -> None:
    from asgiref.sync import async_to_sync

    room, other = make_room(), make_room()
    let_in(room)
    layer = get_channel_layer()
    channels = {
        name: async_to_sync(layer.new_channel)()
        for name in ("everyone", "panel", "analysis", "candidates", "elsewhere")
    }
    for name, group in {
        "everyone": groups.everyone(room),
        "panel": groups.panel(room),
        "analysis": groups.analysis(room),
        "candidates": groups.candidates(room),
        "elsewhere": groups.everyone(other),
    }.items():
        async_to_sync(layer.group_add)(group, channels[name])
    bearer(room.owner).post(f"/api/rooms/{room.code}/end")
    for name in ("everyone", "panel", "analysis", "candidates"):
        assert async_to_sync(layer.receive)(channels[name])["message"] == {"type": "end"}
    assert channels["elsewhere"] not in layer.channels or layer.channels[channels["elsewhere"]].empty()


def test_a_key_stands_for_one_room_alone() -> None:
    room, other = make_room(), make_room()
    client = bearer(room.owner)

    def end(which: Room, key: str) -> tuple[int, str]:
        response = client.post(f"/api/rooms/{which.code}/end", headers={"idempotency-key": key})
        return response.status_code, response.json().get("error", {}).get("code", "")

    assert end(room, "a") == end(room, "a") == (200, "")
    assert end(other, "a") == (409, "idempotency_conflict")
    assert end(other, "a" * 201) == (400, "invalid_idempotency_key")
    other.refresh_from_db()
    assert not other.ended


def test_a_body_without_end_is_refused_as_too_large(settings: Any) -> None:
    response = create(bearer(make_user()), {"title": "T" * settings.DATA_UPLOAD_MAX_MEMORY_SIZE})
    assert (response.status_code, response.json()["error"]["code"]) == (413, "too_large")
    assert response.json()["error"]["details"] == {"limit_bytes": settings.DATA_UPLOAD_MAX_MEMORY_SIZE}


# -- The document -----------------------------------------------------------------------------


def test_the_calls_are_in_the_openapi_document() -> None:
    paths = bearer(make_user()).get("/api/openapi.json").json()["paths"]
    post = paths[CREATE]["post"]
    schema = post["requestBody"]["content"]["application/json"]["schema"]
    assert set(schema["required"]) == {"title", "candidate_name"}
    assert "201" in post["responses"]
    assert "get" in paths["/api/rooms"]
    assert "post" in paths["/api/rooms/{code}/end"]
