"""Who may open a room's socket, and who may say what on it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from django.contrib.auth.models import Permission, User
from django.utils import translation

from rooms import lifecycle, signals
from rooms.consumers.transport import ERRORS
from rooms.models import Note, Participant, QuestionMark, Room
from rooms.sockets import in_database
from tests.rooms.records import cookie, enter, let_in, make_room, make_user
from tests.rooms.wire import (
    ORIGIN,
    Call,
    Wire,
    bearer,
    candidate,
    hang_up,
    interviewer,
    refused,
    session_cookie,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.asyncio]

FIELDS: dict[str, dict[str, Any]] = {
    "offer": {"description": {"type": "offer", "sdp": "v=0"}},
    "answer": {"description": {"type": "answer", "sdp": "v=0"}},
    "ice-candidate": {"candidate": None},
    "chat": {"text": "Hello"},
    "media-state": {"microphone": True, "camera": True, "screen": False},
    "capture-status": {"face": True, "voice": True},
    "consent": {"scopes": {"face": False}},
    "recording-started": {"segment": "5b0f7c3e-6d53-4f3b-9f3a-0a1b2c3d4e5f", "content_type": "video/webm"},
    "recording-stopped": {"segment": "5b0f7c3e-6d53-4f3b-9f3a-0a1b2c3d4e5f"},
    "question": {"number": 0},
    "note": {"text": "A note"},
}
TO_ONE = ("peer-here", "offer", "answer", "ice-candidate")
ABOUT_ONE = ("admit", "refuse")


@pytest_asyncio.fixture(autouse=True)
async def _hang_up(_django_db_helper: None, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    monkeypatch.setattr(signals, "BURST", 1e6)  # these tests say a lot
    yield
    await hang_up()


def fields_of(kind: str, peer: str) -> dict[str, Any]:
    named = {"to": peer} if kind in TO_ONE else {"peer": peer} if kind in ABOUT_ONE else {}
    return {**FIELDS.get(kind, {}), **named}


def make_hr() -> User:
    user = make_user("hr")
    user.user_permissions.add(Permission.objects.get(codename="view_every_room"))
    return user


def types(heard: list[dict[str, Any]]) -> set[str]:
    return {message["type"] for message in heard}


# -- Opening ----------------------------------------------------------------------------------


async def test_who_is_turned_away_and_how() -> None:
    room = await in_database(make_room)
    _place, other_key = await in_database(let_in, await in_database(make_room))
    stranger = await in_database(lambda: session_cookie(make_user("stranger")))
    hr = await in_database(lambda: session_cookie(make_hr()))
    for cookies, code in (
        ("", 4401),
        ("sessionid=nothing", 4401),
        (cookie(room, "a wrong key"), 4401),
        (cookie(room, other_key), 4401),
        (stranger, 4404),
        (hr, 4403),
    ):
        assert await refused(Wire(room.code, cookies)) == code
    assert await Participant.objects.filter(room=room).acount() == 0


@pytest.mark.parametrize("code", ["bcd-fghj-kmn", "nothing", "..", "bcd-fghj-kmn%00", "é"])
async def test_unknown_rooms_look_as_foreign_ones_do(code: str) -> None:
    stranger = await in_database(lambda: session_cookie(make_user("stranger")))
    assert await refused(Wire(code, stranger)) == 4404
    assert await refused(Wire(code)) == 4401


async def test_programs_come_as_interviewers() -> None:
    room = await in_database(make_room)
    token = await in_database(lambda: bearer(room.owner))
    wire = await Wire(room.code, origin=None, authorization=token).open()
    assert wire.welcome["role"] == "interviewer"
    assert await refused(Wire(room.code, origin=None, authorization="Bearer wrong")) == 4401
    _place, key = await in_database(enter, room)
    assert await refused(Wire(room.code, cookie(room, key), None, authorization="Bearer wrong")) == 4401
    stranger = await in_database(lambda: bearer(make_user("stranger")))
    assert await refused(Wire(room.code, origin=None, authorization=stranger)) == 4404


async def test_a_browser_that_is_both_says_which_it_means() -> None:
    room = await in_database(make_room)
    _place, key = await in_database(enter, room)
    both = await in_database(lambda: f"{session_cookie(room.owner)}; {cookie(room, key)}")
    assert (await Wire(room.code, both).open()).welcome["role"] == "interviewer"
    assert (await Wire(room.code, both, role="candidate").open()).welcome["role"] == "candidate"
    assert await refused(Wire(room.code, both, role="administrator")) == 4400
    assert await refused(Wire(room.code, cookie(room, key), role="interviewer")) == 4401
    stranger = await in_database(lambda: f"{session_cookie(make_user('stranger'))}; {cookie(room, key)}")
    assert (await Wire(room.code, stranger).open()).welcome["role"] == "candidate"
    assert await refused(Wire(room.code, stranger, role="interviewer")) == 4404


async def test_who_is_no_longer_active_is_not_known() -> None:
    room = await in_database(make_room)
    cookies = await in_database(lambda: session_cookie(room.owner))
    await User.objects.filter(pk=room.owner_id).aupdate(is_active=False)
    assert await refused(Wire(room.code, cookies)) == 4401


@pytest.mark.parametrize(
    ("origin", "welcome"),
    [
        (ORIGIN, True),
        ("https://testserver", True),
        ("https://interviews.example", True),
        ("https://one.trusted.example", True),
        (None, True),
        ("null", False),
        ("", True),  # no header
        ("http://testserver:8000", False),
        ("http://testserver.evil.example", False),
        ("https://eviltrusted.example", False),
        ("http://interviews.example", False),
        ("file://", False),
        ("http://[", False),
    ],
)
async def test_pages_of_others_open_nothing(origin: str | None, welcome: bool, settings: Any) -> None:
    settings.PUBLIC_URL = "https://interviews.example"
    settings.CSRF_TRUSTED_ORIGINS = ["https://*.trusted.example"]
    room = await in_database(make_room)
    cookies = await in_database(lambda: session_cookie(room.owner))
    assert await refused(Wire(room.code, cookies, origin)) == (0 if welcome else 4403)


async def test_browsers_must_say_where_they_come_from() -> None:
    room = await in_database(make_room)
    cookies = await in_database(lambda: session_cookie(room.owner))
    assert await refused(Wire(room.code, cookies, None, sec_fetch_site="cross-site")) == 4403


async def test_a_name_that_is_not_ours_is_no_host(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["testserver"]
    room = await in_database(make_room)
    cookies = await in_database(lambda: session_cookie(room.owner))
    evil = Wire(room.code, cookies, "http://evil.example", host="evil.example")
    assert await refused(evil) == 4403


# -- Saying -----------------------------------------------------------------------------------


async def test_what_a_waiting_candidate_may_say() -> None:
    room = await in_database(make_room)
    panel = await interviewer(room)
    await panel.send("join-room")
    _place, key = await in_database(enter, room)
    wire = await candidate(room, key)
    await panel.next("knock")
    for kind in sorted(signals.KNOWN - {"leave"}):
        await wire.send(kind, **fields_of(kind, panel.peer))
        if kind in signals.INTERVIEWER or kind in signals.SERVER:
            assert await wire.error() == "not_allowed", kind
        elif kind in ("ping", "pong", "consent"):
            assert "error" not in types(await wire.settle()), kind
        else:
            assert await wire.error() == "not_in_room", kind
        heard = types(await panel.settle())
        assert heard <= ({"analysis-status", "recording-status"} if kind == "consent" else set()), kind
    await wire.send("leave")
    assert await wire.closed() == 1000
    await panel.next("knock-ended")


async def test_what_an_admitted_candidate_may_not_say(caplog: pytest.LogCaptureFixture) -> None:
    call = await Call.start()
    _waiting, key = await in_database(enter, call.room)
    other = await candidate(call.room, key)
    await call.interviewer.next("knock")
    for kind in sorted(signals.SERVER | set(signals.INTERVIEWER)):
        await call.candidate.send(kind, **fields_of(kind, other.peer))
        assert await call.candidate.error() == "not_allowed", kind
    assert await call.interviewer.settle() == []
    assert await other.settle() == []
    assert (await Room.objects.aget(pk=call.room.pk)).status == Room.Status.LIVE
    assert not await Note.objects.aexists()
    assert f"Room {call.room.pk}: admit is not for the candidate to send" in caplog.text
    assert call.place.name not in caplog.text


@pytest.mark.parametrize("seat", ["owner", "member"])
async def test_what_interviewers_may_say(seat: str) -> None:
    member = await in_database(make_user, "member")
    call = await Call.start(panel=(member,))
    wire = await interviewer(call.room, member) if seat == "member" else call.interviewer
    await wire.send("join-room")
    await wire.settle()
    for kind in sorted(signals.KNOWN - {"end", "leave", *ABOUT_ONE}):
        await wire.send(kind, **fields_of(kind, call.candidate.peer))
        if kind in signals.CANDIDATE or kind in signals.SERVER:
            assert await wire.error() == "not_allowed", kind
        else:
            assert "error" not in types(await wire.settle()), kind
    for kind, told in (("refuse", "refused"), ("admit", "admitted")):
        waiting, key = await in_database(enter, call.room)
        browser = await candidate(call.room, key)
        await wire.next("knock")
        await wire.send(kind, peer=waiting.peer)
        await browser.next(told)
    await wire.send("end")
    assert await wire.closed() == 4410


async def test_nothing_gets_from_one_room_into_another() -> None:
    call, other = await Call.start(), await Call.start("another")
    waiting, key = await in_database(enter, call.room)
    knocking = await candidate(call.room, key)
    await call.interviewer.next("knock")
    own = ("chat", "media-state", "capture-status", "consent", "note", "question", "reset-analysis")
    for kind in (*TO_ONE, *ABOUT_ONE, *own, "end"):
        for wire in (other.candidate, other.interviewer):
            target = waiting.peer if kind in ABOUT_ONE else call.candidate.peer
            await wire.send(kind, **fields_of(kind, target))
            if kind in (*TO_ONE, *ABOUT_ONE):
                assert await wire.error() in ("not_in_room", "not_waiting", "not_allowed")
    assert await other.interviewer.closed() == 4410
    for wire in (call.candidate, call.interviewer, knocking):
        assert await wire.settle() == []
    room = await Room.objects.aget(pk=call.room.pk)
    assert room.status == Room.Status.LIVE
    assert not await Note.objects.filter(room=room).aexists()
    assert not await QuestionMark.objects.filter(room=room).aexists()


async def test_errors_are_in_the_language_of_who_reads_them() -> None:
    room = await in_database(make_room)
    cookies = await in_database(lambda: f"{session_cookie(room.owner)}; django_language=id")
    wire = await Wire(room.code, cookies, accept_language="en").open()
    await wire.send("chat")
    told = (await wire.next("error"))["message"]
    with translation.override("id"):
        assert told == str(ERRORS["not_understood"])


async def test_a_candidate_who_was_put_out_says_nothing_more() -> None:
    call = await Call.start()
    second, _key = await in_database(enter, call.room)
    await in_database(lifecycle.knock, second)
    await in_database(lifecycle.admit, call.room, second.peer)  # and the relay loses the message
    await call.interviewer.settle()
    assert await refused(Wire(call.room.code, cookie(call.room, call.key))) == 4409
