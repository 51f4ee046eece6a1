"""The candidate's pages: the link, the consent, and afterwards."""

from __future__ import annotations

import logging
import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client, RequestFactory
from django.utils import timezone

from rooms import consent, lifecycle, links
from rooms.consent_texts import current
from rooms.models import Consent, Participant, Room
from rooms.views.candidate import candidate_place
from tests.rooms.records import EVERYTHING, cookie, enter, let_in, make_room, make_user

pytestmark = pytest.mark.django_db
State = Participant.State
SWITCH = re.compile(r'role="switch" name="(\w+)"[^>]*?( checked)?(?: aria-invalid="true" autofocus)?>')


@pytest.fixture
def room() -> Room:
    return make_room(recording=True)


def address(room: Room) -> str:
    return f"/join/{links.token_of(room)}"


def text_of(response: Any) -> str:
    return response.content.decode()


def switches(response: Any) -> dict[str, bool]:
    return {name: bool(checked) for name, checked in SWITCH.findall(text_of(response))}


def everything(**other: str) -> dict[str, str]:
    return {"choice": "chosen", **dict.fromkeys(("call", "recording", "face", "voice"), "yes"), **other}


def browser_with(room: Room, key: str) -> Client:
    client = Client()
    client.cookies[links.cookie_name(room)] = key
    return client


# -- The page ---------------------------------------------------------------------------------


def test_the_page_asks_for_each_scope_with_all_switches_off(client: Client, room: Room) -> None:
    response = client.get(address(room))
    assert switches(response) == dict.fromkeys(("call", "recording", "face", "voice"), False)
    body = text_of(response)
    text = current(room, "en")
    for sentence in (*text.sentences, *text.rights, *(scope.text for scope in text.scopes)):
        assert sentence in body.replace("&#x27;", "'")
    assert body.count('class="button primary" name="choice"') == 2


def test_no_recording_is_asked_for_where_none_is_wanted(client: Client) -> None:
    assert list(switches(client.get(address(make_room())))) == ["call", "face", "voice"]


def test_opening_the_link_binds_and_stores_nothing(client: Client, room: Room) -> None:
    for ask in (client.get, client.head):
        response = ask(address(room))
        assert response.status_code == 200
        assert set(response.cookies) <= {"csrftoken"}
    client.get(address(room), {"decline": "1"})
    assert not Participant.objects.exists()
    assert not Consent.objects.exists()


def test_the_token_goes_no_further(client: Client, room: Room) -> None:
    for place in (address(room), address(room) + "x"):
        response = client.get(place)
        assert response["Referrer-Policy"] == "strict-origin"
        assert "no-store" in response["Cache-Control"]
        assert response["X-Robots-Tag"] == "noindex"


def test_the_browsers_language_decides_first_and_the_switch_after_it(client: Client, room: Room) -> None:
    indonesian = client.get(address(room), headers={"accept-language": "id"})
    assert "Analisis wajah" in text_of(indonesian)
    client.post(
        "/i18n/setlang/", {"language": "en", "next": address(room)}, headers={"accept-language": "id"}
    )
    assert "Face analysis" in text_of(client.get(address(room), headers={"accept-language": "id"}))


def test_where_emotions_must_not_be_inferred_the_page_speaks_of_none(client: Client) -> None:
    assert "expressions" not in text_of(client.get(address(make_room(country="DE"))))
    assert "expressions" in text_of(client.get(address(make_room(country="ID"))))


def test_the_interviewer_is_told_that_this_page_is_not_for_them(client: Client, room: Room) -> None:
    told = "This is what the candidate sees."
    assert told not in text_of(client.get(address(room)))
    client.force_login(room.owner)
    assert told in text_of(client.get(address(room)))


# -- The answer -------------------------------------------------------------------------------


def test_joining_stores_the_answers_and_gives_this_browser_its_place(client: Client, room: Room) -> None:
    response = client.post(address(room), {"choice": "chosen", "call": "yes", "face": "yes"})
    assert (response.status_code, response["Location"]) == (302, f"/call/{room.code}/")
    place = Participant.objects.get()
    assert consent.granted(place) == consent.Granted(call=True, face=True)
    assert {row.scope: row.granted for row in Consent.objects.all()} == {
        "call": True,
        "recording": False,
        "face": True,
        "voice": False,
    }
    assert {row.text_hash for row in Consent.objects.all()} == {current(room, "en").digest}
    morsel = response.cookies[links.cookie_name(room)]
    assert (morsel["httponly"], morsel["samesite"]) == (True, "Lax")
    assert links.candidate_with(room, morsel.value) == place
    assert morsel.value not in text_of(client.get(f"/call/{room.code}/left/"))


def test_join_without_analysis_is_the_call_alone_whatever_is_switched_on(client: Client, room: Room) -> None:
    client.post(address(room), everything(choice="call_only"))
    assert consent.granted(Participant.objects.get()) == consent.Granted(call=True)


def test_what_was_answered_in_indonesian_is_kept_with_that_text(client: Client, room: Room) -> None:
    client.post(address(room), everything(), headers={"accept-language": "id"})
    assert set(Consent.objects.values_list("language", "text_hash")) == {("id", current(room, "id").digest)}
    assert Participant.objects.get().language == "id"


def test_what_is_stored_is_the_text_that_was_read_in_whichever_tab_the_language_was_changed(
    client: Client, room: Room
) -> None:
    page = text_of(client.get(address(room), headers={"accept-language": "id"}))
    assert f'name="text" value="{current(room, "id").digest}"' in page
    client.post(address(room), everything(text=current(room, "id").digest), headers={"accept-language": "en"})
    assert set(Consent.objects.values_list("language", "text_hash")) == {("id", current(room, "id").digest)}


def test_a_text_that_has_changed_meanwhile_is_shown_again(client: Client, room: Room, settings: Any) -> None:
    settings.RECORD_RETENTION_DAYS = 10
    read = current(room, "en").digest
    settings.RECORD_RETENTION_DAYS = 1000
    response = client.post(address(room), everything(text=read))
    assert response.status_code == 400
    assert "has changed since you opened this page" in text_of(response)
    assert not any(switches(response).values())
    assert not Participant.objects.exists()


def test_a_call_without_the_call_is_refused_and_the_other_choices_stay(client: Client, room: Room) -> None:
    response = client.post(address(room), {"choice": "chosen", "voice": "yes"})
    assert response.status_code == 400
    assert "There is no call without this." in text_of(response)
    assert switches(response) == {"call": False, "recording": False, "face": False, "voice": True}
    assert not Participant.objects.exists()


@pytest.mark.parametrize(
    "posted", [{}, {"choice": "everything"}, {"call": "on"}, {"choice": "chosen", "call": "no"}]
)
def test_only_a_plain_yes_is_a_yes(client: Client, room: Room, posted: dict[str, str]) -> None:
    assert client.post(address(room), posted).status_code == 400
    assert not Consent.objects.exists()


def test_a_recording_that_was_not_asked_for_cannot_be_agreed_to(client: Client) -> None:
    client.post(address(make_room()), everything())
    assert not consent.granted(Participant.objects.get()).recording


def test_nobody_is_made_to_agree_from_another_site(room: Room) -> None:
    client = Client(enforce_csrf_checks=True)
    assert client.post(address(room), everything()).status_code == 403
    assert (
        client.post(address(room), everything(), headers={"origin": "https://evil.example"}).status_code
        == 403
    )
    assert not Participant.objects.exists()


def test_the_same_browser_keeps_its_place_and_changes_its_answers(client: Client, room: Room) -> None:
    client.post(address(room), everything())
    again = client.get(address(room))
    assert switches(again) == dict.fromkeys(("call", "recording", "face", "voice"), True)
    assert f'href="/call/{room.code}/"' in text_of(again)
    client.post(address(room), {"choice": "call_only"})
    assert consent.granted(Participant.objects.get()) == consent.Granted(call=True)


def test_another_browser_gets_a_place_of_its_own_and_has_to_knock(room: Room) -> None:
    first, _key = let_in(room)
    other = Client()
    assert not any(switches(other.get(address(room))).values())
    other.post(address(room), everything())
    second = Participant.objects.exclude(pk=first.pk).get()
    first.refresh_from_db()
    assert (first.state, second.state) == (State.ADMITTED, State.INVITED)


def test_the_cookie_of_another_room_gives_nothing_here(room: Room) -> None:
    other = make_room()
    _place, key = enter(other)
    client = Client()
    client.cookies[links.cookie_name(other)] = client.cookies[links.cookie_name(room)] = key
    assert not any(switches(client.get(address(room))).values())
    assert client.get(f"/call/{room.code}/left/").status_code == 404
    client.post(address(room), everything())
    assert Participant.objects.filter(room=room).count() == 1
    assert Participant.objects.filter(room=other).count() == 1


def test_an_interviewers_cookie_does_not_hold_for_a_candidates(room: Room) -> None:
    lifecycle.seat(room, room.owner)
    assert links.candidate_with(room, "") is None
    assert (
        Client(headers={"cookie": f"{links.cookie_name(room)}="}).get(f"/call/{room.code}/left/").status_code
        == 404
    )


# -- Links that open nothing ------------------------------------------------------------------


def spoil(room: Room, how: str) -> str:
    """The address of `room`'s link after it has become bad in this way."""
    place = address(room)
    if how == "revoked":
        links.revoke(room)
    elif how == "renewed":
        links.renew(room)
    elif how == "expired":
        Room.objects.filter(pk=room.pk).update(link_expires_at=timezone.now() - timedelta(seconds=1))
    elif how == "ended":
        lifecycle.end(room, room.owner)
    elif how == "erased":
        room.delete()
    elif how == "forged":
        place = place.replace(".1~", ".2~")
    elif how == "cut":
        place = place[:-3]
    return place


@pytest.mark.parametrize(
    ("how", "status"),
    [
        ("revoked", 410),
        ("renewed", 410),
        ("expired", 410),
        ("ended", 410),
        ("erased", 404),
        ("forged", 404),
        ("cut", 404),
    ],
)
@pytest.mark.parametrize("language", ["en", "id"])
def test_a_link_that_opens_nothing_says_why(
    client: Client, room: Room, how: str, status: int, language: str
) -> None:
    place = spoil(room, how)
    for response in (
        client.get(place, headers={"accept-language": language}),
        client.post(place, everything(), headers={"accept-language": language}),
    ):
        assert response.status_code == status
        body = text_of(response)
        assert "/login/" not in body
        assert "Sari" not in body
        assert links.cookie_name(room) not in response.cookies
    assert not Consent.objects.exists()


@pytest.mark.parametrize("token", ["x", "bcd-fghj-kmn.1", "~", "a~b~c", "%00", "é", "x" * 4000])
def test_nonsense_in_place_of_a_token_is_unknown(client: Client, token: str) -> None:
    assert client.get(f"/join/{token}").status_code == 404


@pytest.mark.parametrize("how", ["ended", "cut", "expired"])
def test_no_token_gets_into_the_log(client: Client, room: Room, caplog: Any, how: str) -> None:
    place = spoil(room, how)
    with caplog.at_level(logging.DEBUG):
        client.get(place)
        Client(enforce_csrf_checks=True).post(place, everything())
        client.put(place)
    assert caplog.records
    token = place.removeprefix("/join/")
    assert not any(token in record.getMessage() for record in caplog.records)


# -- No call ----------------------------------------------------------------------------------


def test_declining_tells_what_to_do_and_leaves_nothing(client: Client, room: Room) -> None:
    body = text_of(client.get(address(room), {"decline": "1"}))
    assert "Write to interviewer" in body
    assert f'href="{address(room)}"' in body
    assert "Nothing was recorded or stored" in body


def test_who_answered_before_is_not_told_that_nothing_was_stored(room: Room) -> None:
    _place, key = enter(room)
    assert "Nothing was recorded" not in text_of(browser_with(room, key).get(address(room), {"decline": "1"}))


# -- Afterwards -------------------------------------------------------------------------------


def test_who_left_can_come_back(room: Room) -> None:
    place, key = let_in(room)
    lifecycle.leave(place)
    body = text_of(browser_with(room, key).get(f"/call/{room.code}/left/"))
    assert "You have left the interview" in body
    assert f'href="/call/{room.code}/"' in body


def test_after_the_end_there_is_thanks_and_what_happens_with_the_data(room: Room) -> None:
    _place, key = let_in(room, {**EVERYTHING, Consent.Scope.VOICE: False})
    lifecycle.end(room, room.owner)
    body = text_of(browser_with(room, key).get(f"/call/{room.code}/left/"))
    assert "Thank you, Sari Wulandari" in body
    assert "Face analysis." in body
    assert "Voice analysis." not in body
    assert current(room, "en").rights[0] in body
    assert "/join/" not in body


def test_who_agreed_to_no_analysis_reads_that_there_was_none(room: Room) -> None:
    _place, key = let_in(room, {Consent.Scope.CALL: True})
    assert "Neither your face nor your voice" in text_of(
        browser_with(room, key).get(f"/call/{room.code}/left/")
    )


@pytest.mark.parametrize("why", ["", "?why=ended", "?why=<script>"])
def test_the_page_says_what_is_so_whatever_the_address_says(room: Room, why: str) -> None:
    _place, key = let_in(room)
    second, _other = enter(room)
    lifecycle.knock(second)
    lifecycle.admit(room, second.peer)
    body = text_of(browser_with(room, key).get(f"/call/{room.code}/left/{why}"))
    assert "goes on in another browser" in body
    assert f'href="{address(room)}"' in body


def test_a_browser_that_was_put_out_comes_back_by_answering_again(room: Room) -> None:
    first, key = let_in(room)
    second, _other = enter(room)
    lifecycle.knock(second)
    lifecycle.admit(room, second.peer)
    client = browser_with(room, key)
    assert f'href="/call/{room.code}/"' not in text_of(client.get(address(room)))
    assert client.post(address(room), everything())["Location"] == f"/call/{room.code}/"
    first.refresh_from_db()
    assert first.state == State.INVITED
    assert lifecycle.knock(first)


def test_who_was_not_let_in_can_knock_again_while_the_link_is_good(room: Room) -> None:
    place, key = enter(room)
    lifecycle.knock(place)
    lifecycle.refuse(room, place.peer)
    client = browser_with(room, key)
    assert f'href="{address(room)}"' in text_of(client.get(f"/call/{room.code}/left/"))
    links.renew(room)
    assert "/join/" not in text_of(client.get(f"/call/{room.code}/left/"))
    links.revoke(room)
    assert "/join/" not in text_of(client.get(f"/call/{room.code}/left/"))


@pytest.mark.parametrize("code", ["bcd-fghj-kmn", "x"])
def test_without_a_place_there_is_no_page_after_leaving(client: Client, room: Room, code: str) -> None:
    mine = client.get(f"/call/{room.code}/left/")
    unknown = client.get(f"/call/{code}/left/")
    assert (mine.status_code, unknown.status_code) == (404, 404)
    assert "Sari" not in text_of(mine)


def test_the_owner_has_no_place_of_a_candidate(client: Client, room: Room) -> None:
    client.force_login(room.owner)
    assert client.get(f"/call/{room.code}/left/").status_code == 404


# -- Who has a place --------------------------------------------------------------------------


def test_a_place_is_known_by_the_cookie_of_its_own_room_alone(room: Room) -> None:
    place, key = enter(room)
    other = make_room(make_user("other"))

    def asked(code: str, header: str) -> Participant | None:
        return candidate_place(RequestFactory().get("/", headers={"cookie": header}), code)

    found = asked(room.code, cookie(room, key))
    assert found == place
    assert asked(other.code, cookie(room, key)) is None
    assert asked(other.code, cookie(other, key)) is None
    assert asked(room.code, cookie(room, key + "x")) is None
    assert asked("not a code", cookie(room, key)) is None
    assert asked(room.code, "") is None
