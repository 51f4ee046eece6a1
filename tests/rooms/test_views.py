"""The interviewers' pages around the call, asked for by everybody who may and may not."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from assessment.models import AuditEntry
from interviewsite.security import CALL_PAGES
from rooms import lifecycle, links
from rooms.models import Room
from tests.rooms.records import cookie, enter, let_in, make_room, make_user

pytestmark = pytest.mark.django_db

NEW = "/rooms/new/"
UNKNOWN = "bcd-fghj-kmn"
HOSTILE = '<script>alert("x")</script>'
NEVER_SAID = re.compile(r"cheat|liar|suspicious|stress detected", re.IGNORECASE)


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def hr() -> User:
    return User.objects.filter(username="hr").first() or User.objects.create_superuser("hr")


def text_of(response: Any) -> str:
    return response.content.decode()


def without_tokens(response: Any) -> str:
    return re.sub(r'value="[^"]*"', "", text_of(response))


@pytest.fixture
def room() -> Room:
    made = make_room(questions=("What did you build?",))
    made.panel.add(make_user("panel"))
    return made


# -- Access -----------------------------------------------------------------------------------


@pytest.mark.parametrize("rest", ["", "link/", "end/"])
def test_the_anonymous_are_sent_to_sign_in(client: Client, room: Room, rest: str) -> None:
    ask = client.post if rest else client.get
    response = ask(f"/rooms/{room.code}/{rest}")
    assert response.status_code == 302
    assert response["Location"].startswith("/login/?next=")
    room.refresh_from_db()
    assert (room.status, room.link_serial) == ("scheduled", 1)


@pytest.mark.parametrize("place", ["/rooms/", NEW])
def test_list_and_form_need_a_sign_in(client: Client, place: str) -> None:
    assert client.get(place)["Location"].startswith("/login/")


def test_a_candidate_does_not_get_in_by_their_cookie(room: Room) -> None:
    _place, key = let_in(room)
    client = Client(headers={"cookie": cookie(room, key)})
    assert client.get(f"/rooms/{room.code}/")["Location"].startswith("/login/")
    assert client.post(f"/rooms/{room.code}/end/")["Location"].startswith("/login/")
    room.refresh_from_db()
    assert room.status == "live"


@pytest.mark.parametrize("rest", ["", "link/", "end/"])
def test_strangers_and_wrong_codes_get_the_same_answer(room: Room, rest: str) -> None:
    client = signed_in(make_user("stranger"))
    ask = client.post if rest else client.get
    answers = [ask(f"/rooms/{code}/{rest}", {"do": "renew"}) for code in (room.code, UNKNOWN, "x")]
    assert {answer.status_code for answer in answers} == {404}
    assert len({without_tokens(answer) for answer in answers}) == 1
    room.refresh_from_db()
    assert (room.status, room.link_serial) == ("scheduled", 1)


@pytest.mark.parametrize("who", ["interviewer", "panel"])
def test_owner_and_panel_see_the_link_and_the_way_in(room: Room, who: str) -> None:
    body = text_of(signed_in(make_user(who)).get(f"/rooms/{room.code}/"))
    assert f"http://testserver/join/{links.token_of(room)}" in body
    assert f"/rooms/{room.code}/call/" in body
    assert "What did you build?" in body


def test_hr_sees_the_room_without_its_link_and_cannot_change_it(room: Room) -> None:
    client = signed_in(hr())
    body = text_of(client.get(f"/rooms/{room.code}/"))
    assert "Sari Wulandari" in body
    assert links.token_of(room) not in body
    assert f"/rooms/{room.code}/call/" not in body
    assert client.post(f"/rooms/{room.code}/link/", {"do": "renew"}).status_code == 404


def test_an_inactive_owner_sees_nothing(room: Room) -> None:
    client = signed_in(room.owner)
    User.objects.filter(pk=room.owner_id).update(is_active=False)
    assert client.get(f"/rooms/{room.code}/").status_code == 302


@pytest.mark.parametrize("rest", ["link/", "end/"])
def test_nothing_is_changed_by_a_get(room: Room, rest: str) -> None:
    assert signed_in(room.owner).get(f"/rooms/{room.code}/{rest}").status_code == 405


def test_nothing_is_changed_from_another_site(room: Room) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(room.owner)
    for rest in ("link/", "end/"):
        assert client.post(f"/rooms/{room.code}/{rest}", {"do": "renew"}).status_code == 403
    assert client.post(NEW, {"title": "T", "candidate_name": "N"}).status_code == 403


# -- List -------------------------------------------------------------------------------------


def test_the_empty_list_says_what_to_do_first() -> None:
    body = text_of(signed_in(make_user()).get("/rooms/"))
    assert "No interviews yet" in body
    assert body.count(f'href="{NEW}"') == 2


def test_everybody_sees_their_own_rooms_alone(room: Room) -> None:
    make_room(make_user("other"), candidate_name="Somebody Else")
    lists = {
        name: text_of(signed_in(make_user(name)).get("/rooms/"))
        for name in ("interviewer", "panel", "stranger")
    }
    assert "Sari Wulandari" in lists["interviewer"]
    assert "Sari Wulandari" in lists["panel"]
    assert "Sari Wulandari" not in lists["stranger"]
    assert not any("Somebody Else" in body for body in lists.values())
    assert "Somebody Else" in text_of(signed_in(hr()).get("/rooms/"))


def test_the_list_leads_to_the_call_and_after_the_end_to_the_summary(room: Room) -> None:
    client = signed_in(room.owner)
    let_in(room)
    live = text_of(client.get("/rooms/"))
    assert f'href="/rooms/{room.code}/call/"' in live
    assert ">live<" in live
    lifecycle.end(room, room.owner)
    ended = text_of(client.get("/rooms/"))
    assert f'href="/rooms/{room.code}/summary/"' in ended
    assert f'href="/rooms/{room.code}/call/"' not in ended


def test_hr_has_no_way_into_the_call_of_others(room: Room) -> None:
    assert "/call/" not in text_of(signed_in(hr()).get("/rooms/"))


@pytest.mark.parametrize("query", ["sari", "Data scient", "code"])
def test_the_list_is_searched_by_candidate_title_and_code(query: str) -> None:
    wanted = make_room(title="Data scientist")
    make_room(candidate_name="Budi", title="Designer")
    body = text_of(
        signed_in(wanted.owner).get("/rooms/", {"q": wanted.code.upper() if query == "code" else query})
    )
    assert "Sari Wulandari" in body
    assert "Budi" not in body


def test_a_search_without_a_find_says_so(room: Room) -> None:
    assert "Show all" in text_of(signed_in(room.owner).get("/rooms/", {"q": "nobody"}))


def test_the_list_shows_25_a_page_within_fifteen_queries() -> None:
    for number in range(27):
        make_room(candidate_name=f"Candidate {number:02d}").panel.add(make_user("panel"))
    client = signed_in(make_user())
    with CaptureQueriesContext(connection) as queries:
        first = text_of(client.get("/rooms/"))
    assert len(queries) <= 15
    assert len(re.findall(r"Candidate \d\d</a>", first)) == 25
    assert len(re.findall(r"Candidate \d\d</a>", text_of(client.get("/rooms/", {"page": 2})))) == 2


# -- A new room -------------------------------------------------------------------------------


def filled(**other: Any) -> dict[str, Any]:
    return {
        "title": "Backend engineer",
        "candidate_name": "Sari Wulandari",
        "candidate_country": "ID",
        "language": "id",
        "questions": ["What did you build?", "", "  Why here? "],
        "submission": "3f2a",
        **other,
    }


def test_the_form_makes_a_room_and_leads_to_it() -> None:
    owner, member = make_user(), make_user("panel")
    planned = timezone.now() + timedelta(days=30)
    values = filled(
        panel=[member.pk],
        recording="on",
        candidate_email="sari@example.org",
        planned_at=planned.strftime("%Y-%m-%dT%H:%M"),
    )
    response = signed_in(owner).post(NEW, values)
    room = Room.objects.get()
    assert response["Location"] == f"/rooms/{room.code}/"
    assert (room.title, room.candidate.name, room.candidate.email) == (
        "Backend engineer",
        "Sari Wulandari",
        "sari@example.org",
    )
    assert (room.owner, list(room.panel.all()), room.country, room.language) == (owner, [member], "ID", "id")
    assert room.questions == ["What did you build?", "Why here?"]
    assert room.recording_wanted
    assert room.recording.state == "initiated"
    assert room.link_expires_at > planned
    assert AuditEntry.objects.filter(action="room.create", actor=owner).count() == 1


def test_a_room_needs_no_more_than_title_and_name() -> None:
    signed_in(make_user()).post(NEW, {"title": "T", "candidate_name": "N"})
    room = Room.objects.get()
    assert (room.questions, room.country, room.recording_wanted, room.planned_at) == ([], "", False, None)
    assert room.policy["emotion_inference"] is False


def test_the_form_sent_twice_makes_one_room() -> None:
    client = signed_in(make_user())
    places = {client.post(NEW, filled())["Location"] for _ in range(2)}
    assert len(places) == 1
    assert Room.objects.count() == 1


def test_one_submission_does_not_make_two_different_rooms() -> None:
    client = signed_in(make_user())
    client.post(NEW, filled())
    response = client.post(NEW, filled(candidate_name="Budi"))
    assert response.status_code == 400
    assert "was sent already" in text_of(response)
    assert Room.objects.count() == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", " "),
        ("title", "x" * 201),
        ("title", "a\x07b"),
        ("candidate_name", ""),
        ("candidate_name", "x" * 201),
        ("candidate_email", "not an address"),
        ("candidate_country", "XX"),
        ("language", "fr"),
        ("planned_at", "tomorrow"),
        ("planned_at", "2020-01-01T09:00"),
        ("planned_at", "2999-01-01T09:00"),
        ("panel", ["999999"]),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_nothing_is_lost(field: str, value: Any) -> None:
    response = signed_in(make_user()).post(NEW, filled(**{field: value}))
    assert response.status_code == 400
    form = response.context["form"]
    assert list(form.errors) == [field]
    assert not Room.objects.exists()
    body = text_of(response)
    assert "Why here?" in body
    assert ("Backend engineer" in body) or field == "title"


def test_a_question_that_is_too_long_is_named() -> None:
    response = signed_in(make_user()).post(NEW, filled(questions=["One?", "x" * 2001]))
    assert response.status_code == 400
    assert response.context["rows"].errors == {1: "A question has at most 2000 characters."}
    assert "One?" in text_of(response)


def test_a_control_character_in_a_question_is_named_at_its_row() -> None:
    response = signed_in(make_user()).post(NEW, filled(questions=["One?", "", "Two\x00?"]))
    assert response.status_code == 400
    assert list(response.context["rows"].errors) == [2]


def test_there_are_at_most_as_many_questions_as_answers(settings: Any) -> None:
    settings.MAX_ANSWERS = 2
    response = signed_in(make_user()).post(NEW, filled(questions=["1", "2", "3"]))
    assert response.status_code == 400
    assert response.context["rows"].error == "At most 2 questions."


def test_a_call_has_room_for_four_people() -> None:
    members = [make_user(f"panel{number}").pk for number in range(3)]
    client = signed_in(make_user())
    assert list(client.post(NEW, filled(panel=members)).context["form"].errors) == ["panel"]
    assert client.post(NEW, filled(panel=members[:2])).status_code == 302


def test_only_active_colleagues_can_be_asked() -> None:
    owner, gone = make_user(), make_user("gone")
    User.objects.filter(pk=gone.pk).update(is_active=False)
    client = signed_in(owner)
    for member in (owner, gone):
        assert client.post(NEW, filled(panel=[member.pk])).status_code == 400


def test_the_form_comes_back_with_what_was_chosen() -> None:
    member = make_user("panel")
    body = text_of(signed_in(make_user()).post(NEW, filled(title="", panel=[member.pk], recording="on")))
    assert re.search(rf'name="panel" value="{member.pk}"[^>]*checked', body)
    assert re.search(r'name="recording"[^>]*checked', body)
    assert re.search(r'value="ID" selected', body)


# -- One room ---------------------------------------------------------------------------------


def test_hostile_words_stay_words() -> None:
    room = make_room(title=HOSTILE, candidate_name=HOSTILE, questions=(HOSTILE,))
    client = signed_in(room.owner)
    for place in ("/rooms/", f"/rooms/{room.code}/"):
        assert HOSTILE not in text_of(client.get(place))


@pytest.mark.parametrize(
    ("country", "says"),
    [("ID", "which are guesses"), ("DE", "forbids inferring emotions"), ("", "is not known")],
)
def test_the_page_says_what_may_be_analysed_and_why_not(country: str, says: str) -> None:
    room = make_room(country=country)
    body = text_of(signed_in(room.owner).get(f"/rooms/{room.code}/"))
    assert says in body
    assert ("Never in this room" in body) == (country != "ID")
    assert not NEVER_SAID.search(body)


def test_a_withdrawn_link_opens_nothing_until_a_new_one_is_made(room: Room) -> None:
    client, place = signed_in(room.owner), f"/rooms/{room.code}/link/"
    old = f"/join/{links.token_of(room)}"
    body = text_of(client.post(place, {"do": "withdraw"}, follow=True))
    assert "The link is withdrawn." in body
    assert old not in body
    assert Client().get(old).status_code == 410
    client.post(place, {"do": "renew"})
    room.refresh_from_db()
    assert Client().get(old).status_code == 410
    assert Client().get(f"/join/{links.token_of(room)}").status_code == 200
    actions = list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))
    assert actions[-2:] == ["room.link_withdrawn", "room.link_renewed"]


def test_a_link_of_an_ended_room_is_not_renewed(room: Room) -> None:
    lifecycle.end(room, room.owner)
    signed_in(room.owner).post(f"/rooms/{room.code}/link/", {"do": "renew"})
    room.refresh_from_db()
    assert room.link_serial == 1


@pytest.mark.parametrize("who", ["interviewer", "panel", "hr"])
def test_who_sees_a_room_can_end_it_by_its_name(room: Room, who: str) -> None:
    let_in(room)
    client = signed_in(hr() if who == "hr" else make_user(who))
    assert "End the interview with Sari Wulandari" in text_of(client.get(f"/rooms/{room.code}/"))
    assert client.post(f"/rooms/{room.code}/end/").status_code == 302
    room.refresh_from_db()
    assert room.ended
    body = text_of(client.get(f"/rooms/{room.code}/"))
    assert f"/rooms/{room.code}/summary/" in body
    assert "End the interview" not in body
    assert "/join/" not in body


def test_the_page_tells_who_is_there(room: Room) -> None:
    client = signed_in(room.owner)
    assert "has not opened the link yet" in text_of(client.get(f"/rooms/{room.code}/"))
    place, _key = enter(room)
    assert "has opened the link" in text_of(client.get(f"/rooms/{room.code}/"))
    lifecycle.knock(place)
    assert "waits to be let in" in text_of(client.get(f"/rooms/{room.code}/"))
    lifecycle.admit(room, place.peer)
    type(place).objects.filter(pk=place.pk).update(seen_at=timezone.now())
    assert "in the call" in text_of(client.get(f"/rooms/{room.code}/"))


def test_after_the_end_the_page_tells_who_was_there(room: Room) -> None:
    let_in(room)
    lifecycle.seat(room, room.owner)
    lifecycle.end(room, room.owner)
    body = re.sub(r"<[^>]*>", " ", text_of(signed_in(room.owner).get(f"/rooms/{room.code}/")))
    assert re.search(r"Sari Wulandari\s+candidate\s+was there", body)
    assert re.search(r"interviewer\s+interviewer\s+was there", body)
    assert re.search(r"panel\s+panel\s+was not there", body)


def test_a_room_opens_within_fifteen_queries(room: Room) -> None:
    let_in(room)
    client = signed_in(room.owner)
    with CaptureQueriesContext(connection) as queries:
        client.get(f"/rooms/{room.code}/")
    assert len(queries) <= 15


# -- Headers ----------------------------------------------------------------------------------


def test_devices_are_for_the_pages_of_a_call_alone(room: Room) -> None:
    assert CALL_PAGES.fullmatch(f"/rooms/{room.code}/call/")
    assert CALL_PAGES.fullmatch(f"/call/{room.code}/")
    client = signed_in(room.owner)
    call = client.get(f"/rooms/{room.code}/call/")["Permissions-Policy"]
    assert "camera=(self)" in call
    assert "microphone=(self)" in call
    for place in ("/", "/rooms/", NEW, f"/rooms/{room.code}/", f"/join/{links.token_of(room)}", "/login/"):
        policy = client.get(place)["Permissions-Policy"]
        assert "camera=()" in policy
        assert "microphone=()" in policy


def test_pages_may_open_sockets_to_their_own_host_alone(room: Room) -> None:
    policy = signed_in(room.owner).get(f"/rooms/{room.code}/")["Content-Security-Policy"]
    assert "connect-src 'self' ws://testserver;" in policy
    assert "worker-src 'self';" in policy


def test_a_foreign_host_is_not_let_into_the_policy() -> None:
    from interviewsite.security import content_policy

    request = RequestFactory().get("/", headers={"host": "evil.example; script-src *"})
    assert "evil" not in content_policy(request)
