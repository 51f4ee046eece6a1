"""The signalling sockets: lobby, call, the candidate's switches, the panel."""

from __future__ import annotations

import asyncio
import inspect
import threading
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from channels.layers import get_channel_layer
from django.conf import settings
from django.db import OperationalError, connection

from assessment import retention
from rooms import groups, lifecycle, messages, sockets
from rooms.consumers import CandidateConsumer, InterviewerConsumer, absence, records, signalling, transport
from rooms.models import Consent, Note, Participant, QuestionMark, Reading, Room, Segment
from rooms.sockets import in_database
from tests.rooms.records import Scope, cookie, enter, make_room
from tests.rooms.wire import HOST, ORIGIN, Call, Closed, candidate, hang_up, hold_back_the_look, interviewer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.asyncio]


@pytest_asyncio.fixture(autouse=True)
async def _hang_up(_django_db_helper: None) -> AsyncIterator[None]:
    yield
    await hang_up()


async def ear(group: str) -> tuple[Any, str]:
    """A channel of the test's own in `group`."""
    layer = get_channel_layer()
    name = await layer.new_channel()
    await layer.group_add(group, name)
    return layer, name


def kinds(heard: list[dict[str, Any]]) -> list[str]:
    return [message["type"] for message in heard]


async def test_tests_signal_within_the_process() -> None:
    assert settings.CHANNEL_LAYERS["default"]["BACKEND"] == "channels.layers.InMemoryChannelLayer"


# -- The lobby --------------------------------------------------------------------------------


async def test_from_the_knock_to_the_call() -> None:
    room = await in_database(make_room)
    panel = await interviewer(room)
    assert panel.welcome["waiting"] == []
    place, key = await in_database(enter, room)
    browser = await candidate(room, key)
    assert (browser.welcome["state"], browser.welcome["t"]) == ("waiting", 0.0)
    knock = await panel.next("knock")
    assert knock == {"type": "knock", "peer": place.peer, "name": place.name, "again": False}
    await browser.send("join-room")
    assert await browser.error() == "not_in_room"
    await panel.send("admit", peer=place.peer)
    assert (await browser.next("admitted"))["t"] >= 0.0
    assert (await panel.next("knock-ended"))["peer"] == place.peer
    await panel.send("join-room")
    await panel.settle()
    await browser.send("join-room")
    joined = await panel.next("peer-joined")
    assert joined == {"type": "peer-joined", "peer": place.peer, "role": "candidate", "name": place.name}
    await panel.send("peer-here", to=place.peer, name="Somebody else", role="candidate")
    here = await browser.next("peer-here")
    assert (here["from"], here["role"], here["name"]) == (panel.peer, "interviewer", "interviewer")


async def test_who_comes_later_learns_who_waits() -> None:
    room = await in_database(make_room)
    place, key = await in_database(enter, room)
    await candidate(room, key)
    panel = await interviewer(room)
    assert panel.welcome["waiting"] == [{"peer": place.peer, "name": place.name, "again": False}]


async def test_a_refused_candidate_is_told_and_stays_outside() -> None:
    room = await in_database(make_room)
    place, key = await in_database(enter, room)
    browser, panel = await candidate(room, key), await interviewer(room)
    await panel.send("refuse", peer=place.peer)
    assert await browser.closed() == 4403
    assert "refused" in kinds(browser.heard)
    with pytest.raises(Closed, match="4403"):
        await candidate(room, key)
    await panel.send("refuse", peer=place.peer)
    assert await panel.error() == "not_waiting"


async def test_another_browser_puts_the_first_out() -> None:
    call = await Call.start()
    first = call.place.peer
    _layer, name = await ear(groups.analysis(call.room))
    second, key = await in_database(enter, call.room)
    browser = await candidate(call.room, key)
    assert (await call.interviewer.next("knock"))["again"] is True
    await call.interviewer.send("admit", peer=second.peer)
    assert await call.candidate.closed() == 4409
    assert "put-out" in kinds(call.candidate.heard)
    await browser.next("admitted")
    left = await call.interviewer.next("peer-left")
    assert (left["peer"], left["reason"]) == (first, "put_out")
    assert (await _layer.receive(name))["message"] == {"type": "put-out", "peer": first}
    with pytest.raises(Closed, match="4409"):
        await candidate(call.room, call.key)


async def test_a_knock_is_forgotten_with_the_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(absence, "FORGET_KNOCK_AFTER_S", 0.01)
    room = await in_database(make_room)
    place, key = await in_database(enter, room)
    panel, browser = await interviewer(room), await candidate(room, key)
    await browser.drop()
    assert (await panel.next("knock-ended"))["peer"] == place.peer
    await in_database(place.refresh_from_db)
    assert place.state == Participant.State.INVITED


async def test_a_withdrawn_link_ends_knocking_but_not_the_call() -> None:
    call = await Call.start()
    _place, key = await in_database(enter, call.room)
    from rooms import links

    await in_database(links.revoke, call.room)
    with pytest.raises(Closed, match="4403"):
        await candidate(call.room, key)
    assert (await candidate(call.room, call.key)).welcome["state"] == "admitted"


async def test_a_link_in_place_of_another_ends_knocking_by_the_old_one() -> None:
    """Who has the old link may have been sent it by mistake."""
    room = await in_database(make_room)
    _place, key = await in_database(enter, room)
    from rooms import links

    await in_database(links.revoke, room)
    await in_database(links.renew, room)
    with pytest.raises(Closed, match="4403"):
        await candidate(room, key)
    _place, key = await in_database(enter, room, None, key)  # by the new link, in the same browser
    assert (await candidate(room, key)).welcome["state"] == "waiting"


async def test_a_database_away_at_the_knock_costs_a_moment_not_the_socket(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transport, "LOOK_EVERY_S", 0.05)
    reading, failures = records.knock_of, iter(range(2))

    def locked(place: Participant) -> dict[str, Any]:
        if next(failures, None) is not None:
            raise OperationalError("database is locked")
        return reading(place)

    monkeypatch.setattr(records, "knock_of", locked)
    room = await in_database(make_room)
    place, key = await in_database(enter, room)
    panel = await interviewer(room)
    browser = await candidate(room, key)
    assert (await panel.next("knock"))["peer"] == place.peer
    assert await browser.settle() == []


async def test_a_knock_that_was_forgotten_too_late_is_one_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The browser came back in the moment in which its knock was given up."""
    monkeypatch.setattr(transport, "LOOK_EVERY_S", 0.05)
    room = await in_database(make_room)
    place, key = await in_database(enter, room)
    panel = await interviewer(room)
    await candidate(room, key)
    assert (await panel.next("knock"))["peer"] == place.peer
    await in_database(lifecycle.forget_knock, place)
    assert (await panel.next("knock"))["peer"] == place.peer
    async with asyncio.timeout(60):  # the panel may have heard of the first knock twice
        while (await Participant.objects.aget(pk=place.pk)).state != Participant.State.WAITING:
            await asyncio.sleep(0.02)
    await in_database(lifecycle.admit, room, place.peer)


async def test_nobody_is_in_a_call_without_having_agreed_to_it() -> None:
    room = await in_database(make_room)
    _place, key = await in_database(enter, room, {Scope.CALL: False})
    with pytest.raises(Closed, match="4403"):
        await candidate(room, key)


# -- The call ---------------------------------------------------------------------------------


async def test_descriptions_and_candidates_pass_untouched_and_signed_by_the_server() -> None:
    call = await Call.start()
    description = {"type": "offer", "sdp": "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\n", "session": "a1"}
    await call.interviewer.send(
        "offer", to=call.candidate.peer, description=description, **{"from": "f" * 32}
    )
    offer = await call.candidate.next("offer")
    assert (offer["from"], offer["description"]) == (call.interviewer.peer, description)
    ice = {
        "candidate": "candidate:1 1 udp 1 10.0.0.1 9 typ host",
        "sdpMid": "0",
        "sdpMLineIndex": 0,
        "usernameFragment": None,
    }
    await call.candidate.send("ice-candidate", to=call.interviewer.peer, candidate=ice)
    assert (await call.interviewer.next("ice-candidate"))["candidate"] == ice
    await call.candidate.send("ice-candidate", to=call.interviewer.peer, candidate=None)
    assert (await call.interviewer.next("ice-candidate"))["candidate"] is None


async def test_offers_reach_nobody_outside_of_the_call() -> None:
    call, other = await Call.start(), await Call.start("another")
    waiting, _key = await in_database(enter, call.room)
    offer = {"description": {"type": "offer", "sdp": "x"}}
    for name in (other.candidate.peer, waiting.peer, "0" * 32, call.candidate.peer):
        await call.candidate.send("offer", to=name, **offer)
        assert await call.candidate.error() == "not_in_room"
    assert await other.candidate.settle() == []
    again = await candidate(call.room, call.key)  # has not joined the call again yet
    await call.interviewer.send("offer", to=again.peer, **offer)
    await call.interviewer.settle()
    assert await again.settle() == []


async def test_chat_and_tiles_stay_in_the_room() -> None:
    call, other = await Call.start(), await Call.start("another")
    await call.candidate.send("chat", text=" Halo ", **{"from": "0" * 32, "name": "Interviewer"})
    for wire in (call.candidate, call.interviewer):
        message = await wire.next("chat")
        assert (message["from"], message["name"], message["text"]) == (
            call.candidate.peer,
            call.place.name,
            "Halo",
        )
    await call.candidate.send("media-state", microphone=True, camera=False, screen=False)
    state = await call.interviewer.next("media-state")
    assert (state["from"], state["camera"]) == (call.candidate.peer, False)
    assert await call.candidate.settle() == []
    assert await other.interviewer.settle() == []


async def test_leaving_and_coming_back() -> None:
    call = await Call.start()
    await call.candidate.send("leave")
    assert await call.candidate.closed() == 1000
    left = await call.interviewer.next("peer-left")
    assert (left["peer"], left["reason"]) == (call.candidate.peer, "left")
    again = await candidate(call.room, call.key)
    assert again.welcome["state"] == "waiting"
    await call.interviewer.send("leave")
    assert await call.interviewer.closed() == 1000
    assert (await interviewer(call.room)).welcome["state"] == "admitted"


async def test_who_does_not_come_back_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(absence, "LOST_AFTER_S", 0.01)
    call = await Call.start()
    await call.candidate.drop()
    left = await call.interviewer.next("peer-left")
    assert (left["peer"], left["reason"]) == (call.candidate.peer, "lost")


async def test_who_comes_back_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    is_back = hold_back_the_look(monkeypatch)
    call = await Call.start()
    await call.candidate.drop()
    again = await candidate(call.room, call.key)
    assert again.welcome["state"] == "admitted"
    assert absence._waiting
    is_back.set()
    await asyncio.gather(*absence._waiting)
    assert "peer-left" not in kinds(await call.interviewer.settle())


async def test_the_newest_tab_has_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    call = await Call.start()
    again = await candidate(call.room, call.key)
    assert await call.candidate.closed() == 4409
    assert "put-out" in kinds(call.candidate.heard)
    assert not absence._waiting
    assert again.welcome["state"] == "admitted"
    assert await again.settle() == []
    place = await Participant.objects.aget(pk=call.place.pk)
    assert place.state == Participant.State.ADMITTED


async def test_the_end_closes_every_socket() -> None:
    call, other = await Call.start(), await Call.start("another")
    _place, key = await in_database(enter, call.room)
    waiting = await candidate(call.room, key)
    _layer, name = await ear(groups.analysis(call.room))
    await call.interviewer.send("end")
    for wire in (call.candidate, call.interviewer, waiting):
        assert await wire.closed() == 4410
        assert wire.heard[-1] == {"type": "end"}
    assert (await _layer.receive(name))["message"] == {"type": "end"}
    with pytest.raises(Closed, match="4410"):
        await candidate(call.room, call.key)
    assert await other.candidate.settle() == []


# -- The candidate's switches -----------------------------------------------------------------


async def test_the_end_reaches_who_waits_without_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said once the end is stored needs no connection that may have gone stale meanwhile."""
    call = await Call.start()
    _place, key = await in_database(enter, call.room)
    waiting = await candidate(call.room, key)
    await waiting.settle()
    await in_database(lifecycle.end, call.room, None)

    def away(*_args: Any, **_more: Any) -> None:
        raise OperationalError("away")

    monkeypatch.setattr("django.db.backends.utils.CursorWrapper.execute", away)
    await messages.tell_end(call.room)
    for wire in (waiting, call.candidate, call.interviewer):
        assert await wire.closed() == 4410
    monkeypatch.undo()


async def test_nobody_agrees_to_a_recording_that_no_text_asked_about() -> None:
    call = await Call.start()
    await call.candidate.send("consent", scopes={"recording": True})
    assert await call.candidate.error() == "not_understood"


async def test_consent_is_taken_back_from_inside_the_call() -> None:
    call = await Call.start(recording=True)
    await Reading.objects.acreate(room=call.room, t_s=1.0, from_face=True)
    _layer, name = await ear(groups.analysis(call.room))
    await call.candidate.send("consent", scopes={"face": False})
    assert (await _layer.receive(name))["message"] == {"type": "consent"}
    assert (await call.candidate.next("consent-changed"))["consent"] == {
        "call": True,
        "recording": True,
        "face": False,
        "voice": True,
    }
    status = await call.interviewer.next("analysis-status")
    assert (status["state"], status["face"], status["voice"]) == ("on", False, True)
    assert not await Reading.objects.filter(room=call.room).aexists()
    await call.candidate.send("consent", scopes={"voice": False, "recording": False})
    off = await call.interviewer.next("analysis-status")
    assert off["state"] == "off"
    assert not {"reason", "consent", "by"} & set(off)
    await call.candidate.send("consent", scopes={"call": False})
    assert await call.candidate.error() == "not_understood"


async def test_capture_status_is_for_the_panel_alone() -> None:
    call = await Call.start()
    await call.candidate.send("capture-status", face=True, voice=False)
    status = await call.interviewer.next("capture-status")
    assert (status["from"], status["face"], status["voice"]) == (call.candidate.peer, True, False)
    assert await call.candidate.settle() == []


async def test_a_recording_is_not_begun_without_consent() -> None:
    call = await Call.start()  # the room asks for none
    await call.candidate.send("recording-started", segment=str(uuid.uuid4()), content_type="video/webm")
    assert await call.candidate.error() == "not_allowed"


async def test_a_recording_is_visible_to_both() -> None:
    call = await Call.start(recording=True, questions=("One?", "Two?"))
    key = str(uuid.uuid4())
    await call.candidate.send("recording-started", segment=key, content_type="video/webm")
    own = await call.candidate.next("recording-status")
    assert own == {"type": "recording-status", "active": True, "wanted": True, "segment": 0}
    assert (await call.interviewer.next("recording-status")) == {
        "type": "recording-status",
        "active": True,
        "wanted": True,
    }
    await call.interviewer.send("question", number=1)
    assert (await call.candidate.next("recording-status"))["segment"] == 1
    await call.candidate.send("recording-stopped", segment=key)
    assert (await call.interviewer.next("recording-status"))["active"] is False


async def test_a_recording_ends_with_the_consent_to_it() -> None:
    call = await Call.start(recording=True)
    await call.candidate.send("recording-started", segment=str(uuid.uuid4()), content_type="video/webm")
    assert (await call.interviewer.next("recording-status"))["active"] is True
    await call.candidate.send("consent", scopes={"recording": False})
    assert (await call.interviewer.next("recording-status"))["active"] is False
    assert not await Segment.objects.filter(recording__room=call.room).aexists()


# -- The panel --------------------------------------------------------------------------------


async def test_questions_and_notes_are_stored_with_their_time() -> None:
    call = await Call.start(questions=("One?", "Two?"))
    layer, name = await ear(groups.analysis(call.room))
    await call.interviewer.send("question", number=1)
    message = await call.interviewer.next("question")
    mark = await QuestionMark.objects.aget(room=call.room)
    assert (message["number"], message["t"]) == (1, round(mark.t_s, 3))
    await call.interviewer.send("question", number=2)
    assert await call.interviewer.error() == "not_understood"
    await call.interviewer.send("note", text="Clear answer", t=0.0)
    note = await call.interviewer.next("note")
    assert (note["text"], note["t"], note["author"]) == ("Clear answer", 0.0, "interviewer")
    assert await Note.objects.filter(room=call.room, author=call.room.owner).acount() == 1
    await call.interviewer.send("reset-analysis")
    assert (await call.interviewer.next("analysis-reset"))["by"] == "interviewer"
    assert (await layer.receive(name))["message"] == {"type": "reset"}
    again = await interviewer(call.room)
    assert (again.welcome["question"], len(again.welcome["notes"])) == (1, 1)
    assert await call.candidate.settle() == []


async def test_nothing_of_the_panel_reaches_the_candidate() -> None:
    assert not hasattr(CandidateConsumer, "panel_message")
    assert "groups.panel" not in inspect.getsource(CandidateConsumer)
    assert hasattr(InterviewerConsumer, "panel_message")
    call, other = await Call.start(), await Call.start("another")
    await messages.to_panel(call.room, {"type": "stress_analysis", "stress": {"level": "low"}})
    assert (await call.interviewer.next("stress_analysis"))["stress"] == {"level": "low"}
    for wire in (call.candidate, other.interviewer, other.candidate):
        assert await wire.settle() == []
    assert {"stress_analysis", "notes", "policy", "analysis", "waiting"}.isdisjoint(call.candidate.welcome)


# -- Bounds -----------------------------------------------------------------------------------


async def test_who_sends_too_much_is_told_and_then_closed() -> None:
    call = await Call.start()
    for _ in range(3000):  # far more than are let through, however long it takes to look at them
        await call.candidate.communicator.send_to(text_data='{"type": "pong"}')
    assert await call.candidate.closed() == 4429
    assert "too_fast" in [message.get("code") for message in call.candidate.heard]
    assert await call.interviewer.settle() is not None


async def test_who_stores_too_much_is_told() -> None:
    call = await Call.start()
    for number in range(100):  # more than are let through in a minute
        await call.interviewer.send("note", text=f"Note {number}")
    assert await call.interviewer.error() == "too_fast"
    assert await Note.objects.acount() < 100


@pytest.mark.parametrize(
    "text",
    ["{", "[]", "1", '"x"', '{"type": 1}', '{"type": "nothing"}', "[" * 30000, '{"type": NaN}', "9" * 5000],
)
async def test_what_is_no_message_is_answered_so(text: str) -> None:
    call = await Call.start()
    await call.candidate.communicator.send_to(text_data=text)
    assert await call.candidate.error() == "not_understood"


async def test_long_and_binary_messages_are_not_understood() -> None:
    call = await Call.start()
    await call.candidate.send("chat", text="é" * 40_000)
    assert await call.candidate.error() == "not_understood"
    await call.candidate.communicator.send_to(bytes_data=b"\x01" * 100)
    assert await call.candidate.error() == "not_understood"


async def test_a_socket_that_never_reads_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    call = await Call.start()
    monkeypatch.setattr(transport, "SEND_TIMEOUT_S", 0.05)
    tried: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if not tried:
            return {"type": "websocket.connect"}
        return await asyncio.Event().wait()  # type: ignore[return-value]

    async def send(event: dict[str, Any]) -> None:
        tried.append(event)
        if event["type"] == "websocket.send":
            await asyncio.Event().wait()

    headers = [
        (b"host", HOST.encode()),
        (b"origin", ORIGIN.encode()),
        (b"cookie", cookie(call.room, call.key).encode()),
    ]
    scope = {"type": "websocket", "headers": headers, "url_route": {"kwargs": {"code": call.room.code}}}
    await signalling(scope, receive, send)
    assert tried[-1] == {"type": "websocket.close", "code": 4408}


async def test_a_locked_database_is_told_and_the_socket_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("locks as SQLite does")
    call = await Call.start()
    monkeypatch.setattr(sockets, "IN_DATABASE_TIMEOUT_S", 0.3)
    locked, done = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def hold() -> None:
        from django.db import transaction

        with transaction.atomic():
            Room.objects.filter(pk=call.room.pk).update(title="Locked")
            loop.call_soon_threadsafe(locked.set)
            done.wait(60)
        connection.close()

    holding = loop.run_in_executor(None, hold)
    await locked.wait()
    try:
        await call.interviewer.send("note", text="While it is locked")
        assert await call.interviewer.error() == "try_again"
    finally:
        done.set()
    await holding
    monkeypatch.undo()
    await call.interviewer.send("note", text="After that")
    assert (await call.interviewer.next("note"))["text"] == "After that"


# -- What the relay lost ----------------------------------------------------------------------


async def test_a_socket_finds_out_by_itself_what_it_was_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "LOOK_EVERY_S", 0.05)
    room = await in_database(make_room)
    place, key = await in_database(enter, room)
    panel, browser = await interviewer(room), await candidate(room, key)
    await in_database(lifecycle.admit, room, place.peer)
    assert (await browser.next("admitted"))["t"] >= 0.0
    await in_database(lifecycle.end, room, None)
    assert await browser.closed() == 4410
    assert await panel.closed() == 4410


async def test_a_room_that_is_erased_ends_its_sockets() -> None:
    room = await in_database(make_room)
    panel = await interviewer(room)
    await panel.settle()
    await in_database(retention.erase_candidate, room.candidate)
    await panel.send("admit", peer="0" * 32)
    assert await panel.closed() == 4404


async def test_who_loses_their_seat_loses_the_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "LOOK_EVERY_S", 0.05)
    from tests.rooms.records import make_user

    member = await in_database(make_user, "member")
    room = await in_database(make_room, panel=(member,))
    wire = await interviewer(room, member)
    await in_database(room.panel.clear)
    assert await wire.closed() == 4403


async def test_signs_of_life_are_stored() -> None:
    call = await Call.start()
    place = await Participant.objects.aget(pk=call.place.pk)
    assert place.seen_at is not None
    assert await Consent.objects.filter(participant=place).acount() == 4
