"""Who signs out, is deactivated, or loses their seat while their socket is open does not keep it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from assessment.models import ApiToken
from rooms.consumers import transport
from rooms.models import Room
from rooms.sockets import in_database
from tests.rooms.records import make_room, make_user
from tests.rooms.wire import Call, Wire, bearer, hang_up, hold_back_the_look, interviewer, session_cookie

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.asyncio]


@pytest_asyncio.fixture(autouse=True)
async def _often(_django_db_helper: None, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    monkeypatch.setattr(transport, "LOOK_EVERY_S", 0.05)
    yield
    await hang_up()


def _signs_out(user: User, cookie: str) -> None:
    client = Client()
    client.cookies["sessionid"] = cookie.removeprefix("sessionid=")
    client.post("/logout/")


def _session_expires(user: User, cookie: str) -> None:
    Session.objects.filter(session_key=cookie.removeprefix("sessionid=")).update(
        expire_date=timezone.now() - timedelta(seconds=1)
    )


def _changes_password(user: User, cookie: str) -> None:
    user.set_password("another long password")
    user.save()


def _is_deactivated(user: User, cookie: str) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


@pytest.mark.parametrize("happens", [_signs_out, _session_expires, _changes_password, _is_deactivated])
async def test_an_interviewer_who_is_not_signed_in_any_more_is_told_so(
    happens: Callable[[User, str], None],
) -> None:
    room = await in_database(make_room)
    cookie = await in_database(session_cookie, room.owner)
    wire = await Wire(room.code, cookie, role="interviewer").open()
    await wire.settle()
    await in_database(happens, room.owner, cookie)
    assert await wire.closed() == 4401


async def test_a_program_whose_token_is_revoked_is_cut_off() -> None:
    room = await in_database(make_room)
    wire = await Wire(room.code, origin=None, authorization=await in_database(bearer, room.owner)).open()
    await wire.settle()
    await in_database(lambda: ApiToken.objects.update(revoked_at=timezone.now()))
    assert await wire.closed() == 4401


async def test_signing_in_elsewhere_changes_nothing_here() -> None:
    room = await in_database(make_room)
    wire = await interviewer(room)
    await in_database(session_cookie, room.owner)
    await wire.settle()
    assert not [message for message in await wire.settle() if message["type"] == "error"]


def _is_taken_off_the_panel(room: Room, member: User) -> None:
    room.panel.clear()


def _signs_out_everywhere(room: Room, member: User) -> None:
    for session in Session.objects.all():
        if session.get_decoded().get("_auth_user_id") == str(member.pk):
            session.delete()


@pytest.mark.parametrize(
    ("happens", "code"), [(_is_taken_off_the_panel, 4403), (_signs_out_everywhere, 4401)]
)
async def test_the_others_hang_up_on_who_may_not_stay(
    happens: Callable[[Room, User], None], code: int
) -> None:
    """Told that a socket is lost only, browsers would go on sending picture and sound as long as the line holds."""
    member = await in_database(make_user, "member")
    call = await Call.start(panel=(member,))
    wire = await interviewer(call.room, member)
    await wire.send("join-room")
    await call.candidate.next("peer-joined")
    await in_database(happens, call.room, member)
    assert await wire.closed() == code
    left = await call.candidate.next("peer-left")
    assert (left["peer"], left["reason"]) == (wire.peer, "put_out")


async def test_who_cut_their_socket_before_they_lost_their_seat_is_put_out_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    has_no_seat = hold_back_the_look(monkeypatch)
    member = await in_database(make_user, "member")
    call = await Call.start(panel=(member,))
    wire = await interviewer(call.room, member)
    await wire.send("join-room")
    await wire.settle()
    await wire.drop()
    await in_database(_is_taken_off_the_panel, call.room, member)
    has_no_seat.set()
    left: dict[str, Any] = await call.candidate.next("peer-left")
    assert (left["peer"], left["reason"]) == (wire.peer, "put_out")


async def test_a_room_that_is_given_to_somebody_else_closes_to_its_owner_before() -> None:
    room = await in_database(make_room)
    heir = await in_database(make_user, "heir")
    wire = await interviewer(room)
    await in_database(lambda: Room.objects.filter(pk=room.pk).update(owner=heir))
    assert await wire.closed() == 4403
    assert (await interviewer(room, heir)).welcome["role"] == "interviewer"
