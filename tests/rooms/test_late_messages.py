"""What reaches an interviewer or the candidate too late, in another order than it happened, or not at all: the state
that is left standing is the one in the database. Nothing here waits for time: looks are asked for, orders are played.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import pytest_asyncio
from channels.layers import InMemoryChannelLayer, get_channel_layer
from django.db import OperationalError
from redis.exceptions import ConnectionError as RedisConnectionError

from rooms import consent, groups, lifecycle, messages, recording
from rooms.consumers import absence, records, standing
from rooms.consumers.common import RoomConsumer
from rooms.models import Note, Participant, Recording, Room
from rooms.sockets import in_database
from tests.rooms.records import EVERYTHING, Scope, enter, let_in, make_room, make_user
from tests.rooms.wire import Call, Wire, candidate, hang_up, interviewer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.asyncio]

State = Participant.State
WEBM = "video/webm"
CALL_ONLY = {**dict.fromkeys(EVERYTHING, False), Scope.CALL: True}


@pytest_asyncio.fixture(autouse=True)
async def _hang_up(_django_db_helper: None, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    monkeypatch.setattr(standing, "SILENT_AFTER_S", float("inf"))  # no test depends on how long it takes
    yield
    await hang_up()


@contextmanager
def relay_away() -> Iterator[None]:
    """Nothing that is said to others gets out; the sockets themselves stay."""

    async def away(*_args: object) -> None:
        raise RedisConnectionError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(InMemoryChannelLayer, "group_send", away)
        yield


async def look(room: Room, wire: Wire) -> None:
    """What each socket does every 5 s."""
    group = f"{groups.peer_named(room, wire.peer)}.calls"
    await get_channel_layer().group_send(group, {"type": "look.around"})


async def looks(call: Call, *wires: Wire) -> list[list[dict[str, Any]]]:
    """What these are told by their next look."""
    told = []
    for wire in wires:
        await wire.settle()
        await look(call.room, wire)
        told.append(await wire.settle())
    return told


async def with_member(**wanted: Any) -> tuple[Call, Wire]:
    """A call, and somebody of the panel who watches it."""
    member = await in_database(make_user, "member")
    call = await Call.start(panel=(member,), **wanted)
    return call, await interviewer(call.room, member)


def of(kind: str, heard: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [message for message in heard if message["type"] == kind]


def shown(message: dict[str, Any]) -> tuple[Any, ...]:
    return message["state"], message["face"], message["voice"]


# -- What the relay lost ------------------------------------------------------------------------


async def test_a_withdrawal_that_the_relay_lost_reaches_the_panel() -> None:
    call = await Call.start(recording=True)
    await call.candidate.send("recording-started", segment=str(uuid.uuid4()), content_type=WEBM)
    assert (await call.interviewer.next("recording-status"))["active"] is True
    await call.candidate.next("recording-status")
    with relay_away():
        await call.candidate.send("consent", scopes={"face": False, "voice": False, "recording": False})
        await call.candidate.next("consent-changed")
        assert (await call.candidate.next("recording-status"))["active"] is False
        assert await call.candidate.error() == "relay_away"
    [told] = await looks(call, call.interviewer)
    assert [shown(one) for one in of("analysis-status", told)] == [("off", False, False)]
    assert [one["active"] for one in of("recording-status", told)] == [False]
    assert await looks(call, call.interviewer) == [[]]


async def test_a_note_and_a_question_that_the_relay_lost_are_stored_once_and_reach_the_others() -> None:
    call, other = await with_member(questions=("One?", "Two?"))
    with relay_away():
        await call.interviewer.send("note", text="Stored")
        note = await call.interviewer.next("note")
        await call.interviewer.send("question", number=1)
        assert (await call.interviewer.next("question"))["number"] == 1
    assert not of("error", await call.interviewer.settle())
    assert await Note.objects.filter(room=call.room).acount() == 1
    [told] = await looks(call, other)
    assert of("note", told) == [note]
    assert [one["number"] for one in of("question", told)] == [1]
    assert await looks(call, other, call.interviewer) == [[], []]


async def test_who_knocked_and_who_was_let_in_while_the_relay_was_away() -> None:
    room = await in_database(make_room)
    place, key = await in_database(enter, room)
    panel = await interviewer(room)
    with relay_away():
        browser = await candidate(room, key)
        await browser.settle()
    await look(room, panel)
    assert (await panel.next("knock"))["peer"] == place.peer
    await look(room, browser)  # it says itself, now that it can, what the page knows by now
    await browser.settle()
    assert of("knock", await panel.settle()) == []
    with relay_away():
        await in_database(lifecycle.admit, room, place.peer)
    await look(room, panel)
    ended = await panel.next("knock-ended")
    assert (ended["peer"], ended["admitted"]) == (place.peer, True)
    assert ended["t"] >= 0.0


async def test_a_question_mark_that_the_relay_lost_reaches_the_recorder() -> None:
    call = await Call.start(recording=True, questions=("One?", "Two?"))
    await call.candidate.send("recording-started", segment=str(uuid.uuid4()), content_type=WEBM)
    assert (await call.candidate.next("recording-status"))["segment"] == 0
    with relay_away():
        await call.interviewer.send("question", number=0)
        assert of("question", await call.interviewer.settle())
    [told] = await looks(call, call.candidate)
    assert [(one["active"], one["segment"]) for one in of("recording-status", told)] == [(True, 1)]
    assert await looks(call, call.candidate) == [[]]


async def test_letting_in_is_stored_though_the_relay_is_away_and_asked_for_once() -> None:
    room = await in_database(make_room)
    place, key = await in_database(enter, room)
    panel, browser = await interviewer(room), await candidate(room, key)
    await panel.next("knock")
    with relay_away():
        await panel.send("admit", peer=place.peer)
        assert (await panel.next("knock-ended"))["admitted"] is True
    assert not of("error", await panel.settle())
    await look(room, browser)
    assert (await browser.next("admitted"))["t"] >= 0.0


async def test_what_was_taken_back_on_the_consent_page_is_not_shown_any_more() -> None:
    """The same browser, in another tab, in the middle of the call: no socket says it."""
    call = await Call.start(recording=True)
    await messages.to_panel(call.room, await in_database(records.analysis_status, call.room))
    await call.candidate.send("recording-started", segment=str(uuid.uuid4()), content_type=WEBM)
    assert (await call.interviewer.next("recording-status"))["active"] is True
    await in_database(enter, call.room, CALL_ONLY, call.key)
    [told] = await looks(call, call.interviewer)
    assert [shown(one) for one in of("analysis-status", told)] == [("off", False, False)]
    assert [one["active"] for one in of("recording-status", told)] == [False]


@pytest.mark.parametrize("how", ["left", "put_out"])
async def test_who_is_not_in_any_more_does_not_stay_on_the_page(how: str) -> None:
    """Their picture would hang there as if the line were to come back."""
    call = await Call.start()
    with relay_away():
        if how == "left":
            await call.candidate.send("leave")
            await call.candidate.closed()
        else:
            other, _key = await in_database(enter, call.room)
            await in_database(lifecycle.knock, other)
            await in_database(lifecycle.admit, call.room, other.peer)
    [told] = await looks(call, call.interviewer)
    assert of("peer-left", told) == [{"type": "peer-left", "peer": call.place.peer, "reason": how}]
    assert await looks(call, call.interviewer) == [[]]


async def test_who_was_put_out_does_not_stay_on_the_page_beside_who_came_instead() -> None:
    """The relay is back before the page looks, and in time for who was let in."""
    call = await Call.start()
    other, key = await in_database(enter, call.room)
    with relay_away():
        await in_database(lifecycle.knock, other)
        await in_database(lifecycle.admit, call.room, other.peer)
    instead = await candidate(call.room, key)
    await instead.send("join-room")
    assert (await call.interviewer.next("peer-joined"))["peer"] == other.peer
    [told] = await looks(call, call.interviewer)
    assert of("peer-left", told) == [{"type": "peer-left", "peer": call.place.peer, "reason": "put_out"}]
    assert await looks(call, call.interviewer) == [[]]


async def test_who_was_lost_and_is_put_out_later_does_not_hang_on_the_page() -> None:
    """Their line to the interviewer may well hold meanwhile."""
    call = await Call.start()
    await call.candidate.drop()
    await messages.to_everyone(
        call.room, {"type": "peer-left", "peer": call.candidate.peer, "reason": "lost"}
    )
    other, _key = await in_database(enter, call.room)
    with relay_away():
        await in_database(lifecycle.knock, other)
        await in_database(lifecycle.admit, call.room, other.peer)
    [told] = await looks(call, call.interviewer)
    assert [one["reason"] for one in of("peer-left", told)] == ["put_out"]


async def test_a_newer_tab_puts_the_older_one_out_once_the_relay_is_back() -> None:
    call = await Call.start()
    with relay_away():
        again = await candidate(call.room, call.key)
    await look(call.room, again)
    assert await call.candidate.closed() == 4409
    assert again.welcome["state"] == "admitted"
    assert not of("error", await again.settle())


async def test_an_analysis_that_says_nothing_any_more_is_not_shown_as_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its host may have died, or its last word was lost."""
    call = await Call.start()
    await messages.to_panel(call.room, await in_database(records.analysis_status, call.room))
    assert (await call.interviewer.next("analysis-status"))["state"] == "on"
    assert await looks(call, call.interviewer) == [[]]
    monkeypatch.setattr(standing, "SILENT_AFTER_S", 0.0)
    [told] = await looks(call, call.interviewer)
    assert [shown(one) for one in of("analysis-status", told)] == [("paused", True, True)]
    assert await looks(call, call.interviewer) == [[]]


# -- In another order ---------------------------------------------------------------------------


async def test_nothing_is_shown_of_what_was_measured_before_the_withdrawal_was_told() -> None:
    call = await Call.start()
    await messages.to_panel(call.room, await in_database(records.analysis_status, call.room))
    await call.candidate.send("consent", scopes={"face": False, "voice": False})
    assert (await call.interviewer.next("analysis-status"))["state"] == "on"
    assert (await call.interviewer.next("analysis-status"))["state"] == "off"
    await call.interviewer.next("recording-status")
    for kind in ("stress_analysis", "speech_metrics", "real_time_alert"):
        await messages.to_panel(call.room, {"type": kind, "t": 3.0})
    assert await call.interviewer.settle() == []
    await call.candidate.send("consent", scopes={"face": True})
    assert (await call.interviewer.next("analysis-status"))["state"] == "on"
    await messages.to_panel(call.room, {"type": "stress_analysis", "t": 5.0})
    assert (await call.interviewer.next("stress_analysis"))["t"] == 5.0


async def test_another_browser_of_the_candidate_is_shown_as_it_agreed() -> None:
    """The first one was recorded and analysed; this one wants the call alone."""
    call = await Call.start(recording=True)
    await messages.to_panel(call.room, await in_database(records.analysis_status, call.room))
    await call.candidate.send("recording-started", segment=str(uuid.uuid4()), content_type=WEBM)
    assert (await call.interviewer.next("recording-status"))["active"] is True
    other, key = await in_database(enter, call.room, CALL_ONLY)
    await candidate(call.room, key)
    await call.interviewer.next("knock")
    await call.interviewer.send("admit", peer=other.peer)
    told = await call.interviewer.settle()
    assert [shown(one) for one in of("analysis-status", told)] == [("off", False, False)]
    assert [one["active"] for one in of("recording-status", told)] == [False]


async def test_a_knock_told_after_the_candidate_was_let_in_does_not_stand(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    room = await in_database(make_room)
    place, key = await in_database(enter, room)
    panel = await interviewer(room)
    knock_of = records.knock_of

    def let_in_meanwhile(waits: Participant) -> dict[str, Any]:
        found = knock_of(waits)
        if waits.state == State.WAITING:
            lifecycle.admit(room, waits.peer)
        return found

    monkeypatch.setattr(records, "knock_of", let_in_meanwhile)
    await candidate(room, key)
    await panel.next("knock")
    ended = await panel.next("knock-ended")
    assert (ended["peer"], ended["admitted"]) == (place.peer, True)


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_who_comes_in_the_moment_of_a_change_is_shown_what_it_changed(
    monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """The welcome may be older than the change, or newer than what is told of it; both are told in order."""
    call, other = await with_member(questions=("One?", "Two?"), recording=True)
    await other.drop()
    welcome = records.interviewer_welcome
    key = str(uuid.uuid4())

    def change() -> None:
        consent.answer(call.place, {Scope.VOICE: False})
        recording.started(call.room, call.place, key, WEBM)
        for status in (records.analysis_status, records.recording_status):
            messages.to_panel_now(call.room, status(call.room))

    def changed(visitor: Any) -> dict[str, Any]:
        if moment == "before":
            change()
        found = welcome(visitor)
        if moment == "after":
            change()
        return found

    monkeypatch.setattr(records, "interviewer_welcome", changed)
    late = await interviewer(call.room, await in_database(make_user, "member"))
    told = await late.settle()
    analysis = [late.welcome["analysis"], *of("analysis-status", told)]
    runs = [late.welcome["recording"], *of("recording-status", told)]
    assert shown(analysis[-1]) == ("on", True, False)
    assert runs[-1]["active"] is True
    assert await looks(call, late) == [[]]


# -- The old socket of somebody who is back -----------------------------------------------------


def beside(method: Callable[..., Any], happens: Callable[..., Awaitable[None]]) -> Callable[..., Any]:
    """`method`, an async function of `rooms.messages`, with something that happens just before what it says first."""
    first = True

    async def played(*args: Any, **more: Any) -> Any:
        nonlocal first
        if first:
            first = False
            await happens()
        return await method(*args, **more)

    return played


async def test_who_is_back_while_the_loss_is_being_told_is_said_to_be_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(absence, "LOST_AFTER_S", 0.0)
    call = await Call.start()
    came: list[Wire] = []
    to_everyone = messages.to_everyone

    async def comes_back() -> None:
        monkeypatch.setattr(messages, "to_everyone", to_everyone)
        came.append(await candidate(call.room, call.key))
        await came[0].send("join-room")
        await came[0].settle()

    monkeypatch.setattr(messages, "to_everyone", beside(to_everyone, comes_back))
    await call.candidate.drop()
    await asyncio.gather(*absence._waiting)
    told = [one["type"] for one in await call.interviewer.settle()]
    assert "peer-left" in told, "this was told too late"
    assert told[-1] == "peer-joined"


async def test_who_is_there_and_said_to_be_lost_says_so() -> None:
    """An older socket of theirs, which got no word of the newer one, showed life after it and closed."""
    call = await Call.start()
    lost = {"type": "peer-left", "peer": call.candidate.peer, "reason": "lost"}
    await messages.to_everyone(call.room, lost)
    assert await call.candidate.settle() == []
    told = [one["type"] for one in await call.interviewer.settle()]
    assert told == ["peer-left", "peer-joined"]


async def test_nobody_is_said_to_be_lost_while_that_cannot_be_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(absence, "LOST_AFTER_S", 0.0)
    monkeypatch.setattr(absence, "ASK_AGAIN_S", 0.0)
    call = await Call.start()
    tries: list[Any] = []

    def away_at_first(*args: Any) -> bool:
        tries.append(args)
        if len(tries) < 3:
            raise OperationalError("away")
        return True

    monkeypatch.setattr(records, "seen_since", away_at_first)
    await call.candidate.drop()
    await asyncio.gather(*absence._waiting)
    assert len(tries) == 3
    assert of("peer-left", await call.interviewer.settle()) == []


async def test_a_sign_of_life_that_is_stored_after_the_end_brings_nobody_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The socket did not wait for it: the database took too long."""
    monkeypatch.setattr(absence, "LOST_AFTER_S", 0.0)
    came_back, gone, stored = absence._came_back, RoomConsumer.gone, asyncio.Event()
    ended: list[RoomConsumer] = []

    async def noted(consumer: RoomConsumer) -> None:
        ended.append(consumer)
        await gone(consumer)

    async def asked_afterwards(*args: Any) -> bool:
        await stored.wait()
        return await came_back(*args)

    monkeypatch.setattr(RoomConsumer, "gone", noted)
    monkeypatch.setattr(absence, "_came_back", asked_afterwards)
    call = await Call.start()
    await call.candidate.drop()
    await in_database(ended[0]._touch)
    stored.set()
    await asyncio.gather(*absence._waiting)
    [left] = of("peer-left", await call.interviewer.settle())
    assert (left["peer"], left["reason"]) == (call.place.peer, "lost")


async def test_who_knocks_again_while_the_knock_is_being_ended_stays_on_the_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(absence, "FORGET_KNOCK_AFTER_S", 0.0)
    room = await in_database(make_room)
    place, key = await in_database(enter, room)
    panel, browser = await interviewer(room), await candidate(room, key)
    await panel.next("knock")
    to_panel = messages.to_panel

    async def knocks_again() -> None:
        monkeypatch.setattr(messages, "to_panel", to_panel)
        await (await candidate(room, key)).settle()

    monkeypatch.setattr(messages, "to_panel", beside(to_panel, knocks_again))
    await browser.drop()
    await asyncio.gather(*absence._waiting)
    told = [one["type"] for one in await panel.settle() if one.get("peer") == place.peer]
    assert "knock-ended" in told, "this was told too late"
    assert told[-1] == "knock"


async def test_who_left_by_a_word_that_was_stored_late_waits_again() -> None:
    """The old page said `leave` while the database was locked, and the new one is in the call by then."""
    call = await Call.start()
    await in_database(lifecycle.leave, call.place)
    await look(call.room, call.candidate)
    assert await call.candidate.closed() == 4503
    again = await candidate(call.room, call.key)
    assert again.welcome["state"] == "waiting"


# -- Whose recording it is ----------------------------------------------------------------------


async def test_a_chunk_that_begins_the_recording_does_not_undo_a_withdrawal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from django.test import Client

    from rooms import links
    from rooms.views import recording as views

    room = await in_database(make_room, recording=True)
    place, key = await in_database(let_in, room)
    said: list[bool] = []

    def told_meanwhile(_room: Any, message: dict[str, Any]) -> bool:
        said.append(message["active"])
        if len(said) == 1:
            # The withdrawal is stored, and told by the candidate's socket, before this arrives.
            consent.answer(Participant.objects.get(pk=place.pk), {Scope.RECORDING: False})
        return True

    monkeypatch.setattr(views.messages, "to_everyone_now", told_meanwhile)

    def send() -> int:
        client = Client()
        client.cookies[links.cookie_name(room)] = key
        address = f"/rooms/{room.code}/recording/{uuid.uuid4()}/0"
        return client.post(address, b"chunk", content_type=WEBM).status_code

    assert await in_database(send) == 200
    assert said == [True, False]
    assert (await Recording.objects.aget(room=room)).state == Recording.State.INITIATED
