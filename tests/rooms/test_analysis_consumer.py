"""The media socket with real sockets, rooms, consent and database; what frames and sound show is scripted."""

from __future__ import annotations

import asyncio
import base64
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import pytest_asyncio
from channels.layers import InMemoryChannelLayer
from channels.testing import WebsocketCommunicator
from django.db import connection, connections
from redis.exceptions import ConnectionError as RedisConnectionError

from interviewsite.asgi import application
from rooms import analysis_consumer, consent, lifecycle, messages
from rooms.live import constants
from rooms.models import Alert, Participant, Reading, Room
from rooms.sockets import in_database
from tests.rooms.live.scripted import JPEG, Inference, heard, looked, tone
from tests.rooms.records import EVERYTHING, Scope, cookie, enter, let_in, make_room, make_user
from tests.rooms.wire import HOST, ORIGIN, WAIT_S, Closed, Wire, hang_up, interviewer, session_cookie

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.asyncio,
    pytest.mark.usefixtures("patient_gate"),
]


class Media(Wire):
    """The analysis socket of a browser."""

    def __init__(self, code: str, cookies: str = "", origin: str = ORIGIN, role: str = "candidate") -> None:
        super().__init__(code, cookies, origin, role)
        raw = [(b"host", HOST.encode()), (b"cookie", cookies.encode()), (b"origin", origin.encode())]
        self.communicator = WebsocketCommunicator(
            application, f"/ws/rooms/{code}/analysis/?as={role}", headers=raw
        )

    async def open(self) -> Media:
        accepted, _ = await self.communicator.connect(timeout=WAIT_S)
        assert accepted
        self.welcome = await self.next("ready")
        return self

    async def frame(self, payload: bytes = JPEG) -> None:
        await self.communicator.send_to(bytes_data=b"\x01" + bytes(8) + payload)

    async def sound(self, pcm: bytes) -> None:
        await self.communicator.send_to(bytes_data=b"\x02" + bytes(8) + pcm)


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Inference:
    inference = Inference()
    monkeypatch.setattr(analysis_consumer, "inference", lambda: inference)
    return inference


@pytest_asyncio.fixture(autouse=True)
async def _hang_up() -> AsyncIterator[None]:
    yield
    await hang_up()


async def live_room(name: str = "interviewer", **answers: bool) -> tuple[Room, Participant, str]:
    def make() -> tuple[Room, Participant, str]:
        room = make_room(make_user(name))
        place, key = let_in(room, EVERYTHING | {Scope(scope): given for scope, given in answers.items()})
        room.refresh_from_db()
        return room, place, key

    return await in_database(make)


async def opened(room: Room, key: str) -> Media:
    return await Media(room.code, cookie(room, key)).open()


async def until(true: Callable[[], Any], seconds: float = 60.0) -> None:
    """Wait for it; fails the test where it never becomes true."""
    deadline = time.monotonic() + seconds
    while not (await in_database(true)):
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.05)


async def refused(media: Media) -> int:
    try:
        await media.open()
    except Closed as closed:
        return closed.code
    return 0


# -- Who may send -------------------------------------------------------------------------------


async def test_only_the_candidate_who_is_in_a_live_room(scripted: Inference) -> None:
    room, place, key = await live_room()
    owner = await in_database(lambda: session_cookie(room.owner))
    other, _, other_key = await live_room("other")
    waiting = await in_database(lambda: make_room(make_user("third")))
    _, early = await in_database(lambda: enter(waiting))
    assert await refused(Media(room.code, owner, role="interviewer")) == 4403
    assert await refused(Media(room.code)) == 4401
    assert await refused(Media(room.code, cookie(other, other_key))) == 4401
    assert await refused(Media(room.code, cookie(room, other_key))) == 4401
    assert await refused(Media(room.code, cookie(room, key), origin="https://elsewhere.example")) == 4403
    assert await refused(Media(waiting.code, cookie(waiting, early))) == 4403
    await in_database(lifecycle.leave, place)
    assert await refused(Media(room.code, cookie(room, key))) == 4403
    await in_database(lifecycle.end, other, None)
    assert await refused(Media(other.code, cookie(other, other_key))) == 4410
    assert scripted.calls == []


async def test_results_go_to_the_panel_and_the_database_alone(scripted: Inference) -> None:
    room, _place, key = await live_room()
    panel = await interviewer(room)
    media = await opened(room, key)
    assert media.heard == [{"type": "ready", "face": True, "voice": True, "frame_interval_ms": 1000}]
    await media.frame()
    result = await panel.next("stress_analysis")
    assert result["stress"]["level"] == "low"
    await until(Reading.objects.filter(room=room, level="low", from_face=True).exists)
    await asyncio.sleep(0.3)
    while not await media.communicator.receive_nothing():
        await media.read()
    assert {message["type"] for message in media.heard} <= {"ready", "flow"}, "a slow machine asks for fewer"


async def test_json_is_taken_as_well(scripted: Inference) -> None:
    room, _place, key = await live_room()
    panel = await interviewer(room)
    media = await opened(room, key)
    text = "data:image/jpeg;base64," + base64.b64encode(JPEG).decode()
    await media.send("video-frame", frame=text)
    await panel.next("stress_analysis")
    assert scripted.frames == [JPEG]


async def test_two_rooms_never_mix(scripted: Inference) -> None:
    one, _, one_key = await live_room("one")
    two, _, two_key = await live_room("two")
    panels = [await interviewer(one), await interviewer(two)]
    await opened(two, two_key)
    media = await opened(one, one_key)
    await media.frame()
    await media.sound(tone(2.0).pcm)
    await panels[0].next("stress_analysis")
    await until(Reading.objects.filter(room=one).exists)
    heard_there = {message["type"] for message in [*panels[1].heard, *await panels[1].settle()]}
    assert heard_there.isdisjoint({"stress_analysis", "speech_metrics", "real_time_alert"})
    assert not await in_database(Reading.objects.filter(room=two).exists)
    assert len({call[1] for call in scripted.calls}) == 1


# -- Consent ------------------------------------------------------------------------------------


async def test_media_without_consent_goes_nowhere(scripted: Inference) -> None:
    room, _place, key = await live_room(face=False, voice=False)
    media = await opened(room, key)
    assert media.welcome == {"type": "ready", "face": False, "voice": False, "frame_interval_ms": 1000}
    await media.frame()
    await media.sound(tone(3.0).pcm)
    await media.frame(b"no picture")
    assert await media.error() == "bad_frame"  # so all three were looked at
    assert scripted.calls == []
    assert not await in_database(Reading.objects.exists)


async def test_a_withdrawal_ends_it_and_leaves_nothing(scripted: Inference) -> None:
    room, place, key = await live_room()
    panel = await interviewer(room)
    media = await opened(room, key)
    await media.frame()
    await panel.next("stress_analysis")
    await until(Reading.objects.filter(room=room).exists)
    scripted.look_answer = lambda: looked(count=2)
    scripted.hold()
    await media.frame()
    await until(lambda: len(scripted.frames) == 2)
    await in_database(consent.answer, place, {Scope.FACE: False, Scope.VOICE: False})
    await messages.to_analysis(room, {"type": "consent"})
    assert await media.next("capture") == {"type": "capture", "face": False, "voice": False}
    while (await panel.next("analysis-status"))["state"] != "off":
        pass
    scripted.release()
    panel.heard.clear()
    for _ in range(3):
        await media.frame()
        await asyncio.sleep(0.4)
    await panel.settle()
    assert {message["type"] for message in panel.heard} <= {"analysis-status", "pong"}
    assert len(scripted.frames) == 2
    assert not await in_database(Reading.objects.filter(room=room).exists)


async def test_a_withdrawal_is_found_in_the_database_though_nobody_tells(scripted: Inference) -> None:
    room, place, key = await live_room()
    media = await opened(room, key)
    await media.frame()
    await in_database(consent.answer, place, {Scope.FACE: False})
    assert await media.next("capture") == {"type": "capture", "face": False, "voice": True}


# -- Two sockets, the end -----------------------------------------------------------------------


async def test_a_second_socket_of_the_same_browser_replaces_the_first(scripted: Inference) -> None:
    room, _place, key = await live_room()
    first = await opened(room, key)
    second = await opened(room, key)
    assert await first.closed() == 4409
    await second.frame()
    await until(lambda: scripted.frames == [JPEG])


async def test_another_browser_that_is_let_in_puts_the_first_out(scripted: Inference) -> None:
    room, place, key = await live_room()
    first = await opened(room, key)

    def admit_another() -> str:
        other, other_key = enter(room)
        lifecycle.knock(other)
        lifecycle.admit(room, other.peer)
        return other_key

    other_key = await in_database(admit_another)
    await first.frame()
    second = await opened(room, other_key)
    await messages.to_analysis(room, {"type": "put-out", "peer": place.peer})
    assert await first.closed() == 4409
    await second.frame()
    assert await refused(Media(room.code, cookie(room, key))) == 4403


async def test_the_end_closes_it(scripted: Inference) -> None:
    room, _place, key = await live_room()
    media = await opened(room, key)
    await in_database(lifecycle.end, room, None)
    await messages.tell_end(room)
    assert await media.next("end") == {"type": "end"}
    assert await media.closed() == 4410


async def test_clearing_the_smoothing_reaches_the_inference(scripted: Inference) -> None:
    room, _place, key = await live_room()
    await opened(room, key)
    await messages.to_analysis(room, {"type": "reset"})
    await until(lambda: len(scripted.reset_) == 1)


# -- What bad input gets ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x01" + bytes(8) + b"\xff\xd8\xff" + bytes(5 * 1024 * 1024), "too_large"),
        (b"\x01" + bytes(8) + b"\x89PNG", "bad_frame"),
        (b"\x02" + bytes(8) + bytes(3201), "bad_audio"),
        (b"\x09" + bytes(20), "bad_message"),
        (b"\x01", "bad_message"),
    ],
)
async def test_bad_input_is_told_and_the_next_frame_is_taken(
    scripted: Inference, data: bytes, code: str
) -> None:
    room, _place, key = await live_room()
    media = await opened(room, key)
    await media.communicator.send_to(bytes_data=data)
    assert await media.error() == code
    await media.frame()
    await until(lambda: scripted.frames == [JPEG])


async def test_a_thousand_messages_a_second_are_dropped_and_then_it_is_closed(scripted: Inference) -> None:
    room, _place, key = await live_room()
    media = await opened(room, key)
    began = time.monotonic()
    for _ in range(3000):
        await media.communicator.send_input({"type": "websocket.receive", "bytes": b"\x01" + bytes(8) + JPEG})
    assert await media.closed() == 4429
    took_s = time.monotonic() - began
    errors = [message["code"] for message in media.heard if message["type"] == "error"]
    assert set(errors) == {"too_fast"}
    assert len(errors) <= 1 + took_s / analysis_consumer.ERROR_EVERY_S
    assert len(scripted.frames) <= 1 + constants.FRAMES_AT_ONCE + constants.FRAMES_PER_S * took_s


async def test_garbage_without_end_is_closed(scripted: Inference) -> None:
    room, _place, key = await live_room()
    media = await opened(room, key)
    for _ in range(60):
        await media.communicator.send_input({"type": "websocket.receive", "text": "{"})
    assert await media.closed() == 4400


async def test_a_browser_that_reads_nothing_holds_a_handful_of_messages() -> None:
    sent: list[str] = []
    never = asyncio.Event()

    async def send(text: str) -> None:
        sent.append(text)
        await never.wait()

    async def unread() -> None: ...

    outbox = analysis_consumer.Outbox(send, unread)
    for number in range(10_000):
        outbox.put({"type": "flow", "frame_interval_ms": number})
        outbox.put({"type": "capture", "face": bool(number % 2), "voice": True})
        if number % 1000 == 0:
            await asyncio.sleep(0)
    assert len(outbox._waiting) == 2
    assert len(sent) == 1
    await outbox.close()


async def test_a_browser_that_reads_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analysis_consumer, "UNREAD_S", 0.05)
    given_up = asyncio.Event()

    async def send(_text: str) -> None:
        await asyncio.Event().wait()

    async def unread() -> None:
        given_up.set()

    outbox = analysis_consumer.Outbox(send, unread)
    outbox.put({"type": "flow", "frame_interval_ms": 2000})
    await asyncio.wait_for(given_up.wait(), WAIT_S)
    await outbox.close()


# -- The relay, the server ----------------------------------------------------------------------


async def test_while_the_relay_is_away_a_socket_is_put_off(
    scripted: Inference, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_args: object) -> None:
        raise RedisConnectionError

    room, _place, key = await live_room()
    monkeypatch.setattr(InMemoryChannelLayer, "group_add", away)
    monkeypatch.setattr(InMemoryChannelLayer, "group_discard", away)
    assert await refused(Media(room.code, cookie(room, key))) == 4503


async def test_a_socket_that_cannot_put_the_older_one_out_is_put_off(
    scripted: Inference, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else two would take turns in saying how the analysis stands."""

    async def away(*_args: object) -> None:
        raise RedisConnectionError

    room, _place, key = await live_room()
    await opened(room, key)
    with monkeypatch.context() as patch:
        patch.setattr(InMemoryChannelLayer, "group_send", away)
        assert await refused(Media(room.code, cookie(room, key))) == 4503


@pytest.mark.parametrize(("happens", "code"), [("another is let in", 4403), ("the end", 4410)])
async def test_what_happens_before_a_socket_listens_is_not_missed(
    scripted: Inference, monkeypatch: pytest.MonkeyPatch, happens: str, code: int
) -> None:
    room, _place, key = await live_room()
    group_add = InMemoryChannelLayer.group_add

    def change() -> None:
        if happens == "the end":
            lifecycle.end(room, None)
            return
        other, _key = enter(room)
        lifecycle.knock(other)
        lifecycle.admit(room, other.peer)

    async def just_before(self: InMemoryChannelLayer, group: str, channel: str) -> None:
        await in_database(change)
        await group_add(self, group, channel)

    monkeypatch.setattr(InMemoryChannelLayer, "group_add", just_before)
    assert await refused(Media(room.code, cookie(room, key))) == code


async def test_a_relay_that_goes_away_meanwhile_costs_messages_not_readings(
    scripted: Inference, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_args: object) -> None:
        raise RedisConnectionError

    room, _place, key = await live_room()
    media = await opened(room, key)
    with monkeypatch.context() as patch:
        patch.setattr(InMemoryChannelLayer, "group_send", away)
        await media.frame()
        await until(Reading.objects.filter(room=room).exists)
    panel = await interviewer(room)
    await media.frame()
    await panel.next("stress_analysis")


async def test_a_server_that_stops_writes_what_it_has_and_forgets_the_session(scripted: Inference) -> None:
    room, _place, key = await live_room()
    media = await opened(room, key)
    await media.frame()
    await until(lambda: bool(scripted.frames))
    media.communicator.future.cancel()
    await asyncio.gather(media.communicator.future, return_exceptions=True)
    assert scripted.forgotten == [scripted.calls[0][1]]


# -- The database -------------------------------------------------------------------------------


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """SQLite waits for a lock for a fifth of a second instead of twenty."""
    if connection.vendor != "sqlite":
        pytest.skip("SQLite's lock")
    monkeypatch.setitem(connections.settings["default"]["OPTIONS"], "timeout", 0.2)
    connections.close_all()
    yield
    connections.close_all()


@pytest.mark.usefixtures("_impatient")
async def test_while_the_database_is_locked_results_come_and_are_stored_afterwards(
    scripted: Inference,
) -> None:
    room, _place, key = await live_room()
    panel = await interviewer(room)
    media = await opened(room, key)
    scripted.look_answer = lambda: looked(count=2)
    lock = sqlite3.connect(str(connection.settings_dict["NAME"]), isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    try:
        results = []
        for _ in range(6):  # one a second on average, the first two at once: more than 2 s of a second face
            await media.frame()
            results.append(await panel.next("stress_analysis"))
        told = [one for one in panel.heard if one["type"] == "real_time_alert"]
        alert = told[0] if told else await panel.next("real_time_alert")
    finally:
        lock.execute("ROLLBACK")
        lock.close()
    assert len(results) == 6
    assert alert["kind"] == "second_face"
    await media.frame()
    await until(lambda: Reading.objects.filter(room=room).count() >= 4)
    stored = await in_database(Alert.objects.filter(room=room).get)
    assert (stored.kind, stored.from_face, stored.from_voice) == ("second_face", True, False)


async def test_what_was_measured_is_not_written_once_consent_is_gone(scripted: Inference) -> None:
    from rooms.live import store

    room, place, _key = await live_room()

    def records() -> list[Any]:
        return [
            Reading(room=room, t_s=1.0, level="low", from_face=True),
            Reading(room=room, t_s=1.0, level="low", from_face=True, from_voice=True),
            Reading(room=room, t_s=1.0, from_voice=True, speech={"rate": 4.0}),
            Alert(room=room, t_s=1.0, kind="no_face", severity="attention", from_face=True),
        ]

    assert all(await in_database(store.write_rows, room, place, records()))
    await in_database(consent.answer, place, {Scope.FACE: False})
    assert await in_database(lambda: [one.speech for one in Reading.objects.all()]) == [{"rate": 4.0}]
    keys = await in_database(store.write_rows, room, place, records())
    assert [key is not None for key in keys] == [False, False, True, False]
    await in_database(Room.objects.filter(pk=room.pk).delete)
    assert await in_database(store.write_rows, room, place, records()) == [None] * 4


async def test_no_indicator_is_stored_where_policy_forbids(scripted: Inference) -> None:
    from rooms.live import store

    def make() -> tuple[Room, Participant]:
        room = make_room(country="DE")
        return room, let_in(room)[0]

    room, place = await in_database(make)
    rows: list[Any] = [
        Reading(room=room, t_s=1.0, level="high", high=0.9, from_face=True),
        Reading(room=room, t_s=1.0, confidence=50.0, from_face=True),
        Reading(room=room, t_s=1.0, parts={"face": {"count": 1}}, from_face=True),
        Alert(room=room, t_s=1.0, kind="high_stress", severity="attention", from_face=True),
        Alert(room=room, t_s=1.0, kind="no_face", severity="attention", from_face=True),
    ]
    keys = await in_database(store.write_rows, room, place, rows)
    assert [key is not None for key in keys] == [False, False, True, False, True]


# -- The whole way ------------------------------------------------------------------------------


async def test_speech_reaches_the_panel_as_metrics(scripted: Inference) -> None:
    room, _place, key = await live_room(face=False)
    panel = await interviewer(room)
    media = await opened(room, key)
    scripted.listen_answer = lambda: heard(sources=("voice",))
    await media.sound(tone(3.0).pcm)
    metrics = await panel.next("speech_metrics")
    assert metrics["rate"] == pytest.approx(4.0)
    assert metrics["rate_method"] == "syllable nuclei"
    await until(Reading.objects.filter(room=room, speech__isnull=False, from_face=False).exists)


async def test_nothing_on_the_wire_of_the_candidate_tells_a_result(scripted: Inference) -> None:
    room, _place, key = await live_room()
    media = await opened(room, key)
    scripted.look_answer = lambda: looked(count=2)
    for _ in range(8):
        await media.frame()
        await media.sound(tone(0.5).pcm)
        await asyncio.sleep(0.5)
    await in_database(lifecycle.end, room, None)
    await messages.tell_end(room)
    assert await media.closed() == 4410
    assert {message["type"] for message in media.heard} <= {"ready", "flow", "capture", "end"}
    assert "stress" not in json.dumps(media.heard)
