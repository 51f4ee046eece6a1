"""What somebody gets who holds a link and asks for too much, and what an honest second person is told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio
from django.test import Client

from assessment.models import AuditEntry
from rooms import bounds, consent, lifecycle, links
from rooms.consumers import transport
from rooms.models import Consent, Participant, Room
from rooms.sockets import in_database
from tests.rooms.records import Scope, enter, let_in, make_room
from tests.rooms.wire import Closed, Wire, candidate, cookie, hang_up, interviewer, session_cookie

pytestmark = pytest.mark.django_db(transaction=True)
State = Participant.State


@pytest_asyncio.fixture(autouse=True)
async def _hang_up(_django_db_helper: None) -> AsyncIterator[None]:
    yield
    await hang_up()


def answer_page(room: Room, client: Client | None = None) -> int:
    client = client or Client()
    form = {"choice": "chosen", "call": "yes"}
    return client.post(f"/join/{links.token_of(room)}", form).status_code


# -- Places -----------------------------------------------------------------------------------


def test_a_link_gives_places_to_so_many_browsers_and_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_PLACES", 3)
    room, known = make_room(), Client()
    assert answer_page(room, known) == 302
    assert [answer_page(room) for _ in range(2)] == [302, 302]
    response = Client().post(f"/join/{links.token_of(room)}", {"choice": "chosen", "call": "yes"})
    assert response.status_code == 429
    assert "in the browser that you used first" in response.content.decode()
    assert links.cookie_name(room) not in response.cookies
    assert Participant.objects.filter(room=room).count() == 3
    assert answer_page(room, known) == 302, "who has a place keeps it"


def test_a_new_link_gives_places_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_PLACES", 1)
    room = make_room()
    assert [answer_page(room), answer_page(room)] == [302, 429]
    links.renew(room)
    assert answer_page(room) == 302


def test_the_rooms_page_tells_the_interviewer_that_the_link_is_used_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bounds, "MAX_PLACES", 1)
    room, client = make_room(), Client()
    client.force_login(room.owner)
    answer_page(room)
    body = client.get(f"/rooms/{room.code}/").content.decode()
    assert "opened in too many browsers" in body


# -- Answers ----------------------------------------------------------------------------------


def test_answers_have_an_end_but_no_always_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_ANSWERS", 6)
    room = make_room()
    place, key = let_in(room)
    consent.answer(place, {Scope.VOICE: True})
    for _ in range(5):
        enter(room, key=key)
    rows, lines = Consent.objects.count(), AuditEntry.objects.count()
    assert rows <= 6 + len(Scope)
    assert not consent.answer(place, {Scope.FACE: False}).face
    assert not consent.answer(place, {Scope.FACE: True}).face, "no more of it is stored"
    assert (Consent.objects.count(), AuditEntry.objects.count()) == (rows + 1, lines + 1)


# -- The door ---------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_at_the_door_is_room_for_a_few_and_the_next_waits_for_one_to_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bounds, "MAX_WAITING", 1)
    monkeypatch.setattr(transport, "LOOK_EVERY_S", 0.05)
    room = await in_database(make_room)
    first, first_key = await in_database(enter, room)
    second, second_key = await in_database(enter, room)
    panel = await interviewer(room)
    waits = await candidate(room, first_key)
    assert waits.welcome["state"] == "waiting"
    next_one = await candidate(room, second_key)
    assert next_one.welcome["state"] == "invited"
    await panel.settle()
    assert [m["peer"] for m in panel.heard if m["type"] == "knock"] == [first.peer]
    await panel.send("refuse", peer=first.peer)
    await next_one.next("waiting")
    assert (await panel.next("knock"))["peer"] == second.peer


@pytest.mark.asyncio
async def test_a_knock_that_the_database_took_its_time_over_is_told_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Given up after five seconds, it may be stored later."""
    monkeypatch.setattr(bounds, "MAX_WAITING", 0)
    monkeypatch.setattr(transport, "LOOK_EVERY_S", 0.05)
    room = await in_database(make_room)
    place, key = await in_database(enter, room)
    panel, browser = await interviewer(room), await candidate(room, key)
    assert browser.welcome["state"] == "invited"
    await in_database(Participant.objects.filter(pk=place.pk).update, state=State.WAITING)
    await browser.next("waiting")
    assert (await panel.next("knock"))["peer"] == place.peer


@pytest.mark.asyncio
async def test_who_went_away_does_not_hold_the_door(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that was ended leaves knocks without a socket behind."""
    monkeypatch.setattr(bounds, "MAX_WAITING", 1)
    room = await in_database(make_room)
    dead, _key = await in_database(enter, room)
    await in_database(lifecycle.knock, dead)
    await in_database(lambda: Participant.objects.update(seen_at=dead.created_at - 2 * bounds.KNOCK_LIVES))
    _place, key = await in_database(enter, room)
    assert (await candidate(room, key)).welcome["state"] == "waiting"


@pytest.mark.asyncio
@pytest.mark.parametrize("close", [links.revoke, links.renew])
async def test_a_link_that_is_withdrawn_sends_who_waits_away(
    close: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "LOOK_EVERY_S", 0.05)
    room = await in_database(make_room)
    place, key = await in_database(enter, room)
    panel, browser = await interviewer(room), await candidate(room, key)
    await panel.next("knock")
    await in_database(close, room)  # type: ignore[arg-type]
    assert await browser.closed() == 4403
    ended = await panel.next("knock-ended")
    assert (ended["peer"], ended["admitted"]) == (place.peer, False)
    await panel.send("admit", peer=place.peer)
    assert await panel.error() == "not_waiting"


@pytest.mark.parametrize("close", [links.revoke, links.renew])
def test_nobody_knocks_by_a_link_that_was_withdrawn_just_before(close: Callable[[Room], None]) -> None:
    room = make_room()
    place, _key = enter(room)
    close(Room.objects.get(pk=room.pk))
    assert not lifecycle.knock(place)
    place.refresh_from_db()
    assert place.state == State.INVITED


@pytest.mark.asyncio
async def test_a_withdrawn_link_leaves_who_is_in_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "LOOK_EVERY_S", 0.05)
    room = await in_database(make_room)
    _place, key = await in_database(let_in, room)
    browser = await candidate(room, key)
    await in_database(links.revoke, room)
    await browser.settle()
    await browser.send("chat", text="Still here")
    assert await browser.error() == "not_in_room"  # has not joined; but is there


# -- Coming back again and again --------------------------------------------------------------


@pytest.mark.asyncio
async def test_a_browser_that_comes_without_end_is_sent_to_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "VISITS_AT_ONCE", 3.0)
    monkeypatch.setattr(bounds, "VISITS_PER_S", 0.0)
    room = await in_database(make_room)
    _place, key = await in_database(enter, room)
    for _ in range(3):
        await (await candidate(room, key)).drop()
    with pytest.raises(Closed, match="4429"):
        await candidate(room, key)
    owner = await in_database(session_cookie, room.owner)
    assert await Wire(room.code, owner, role="interviewer").open(), "others come in"
    assert cookie(room, key)
