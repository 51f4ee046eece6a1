"""Sockets of a room for tests, through the site's own ASGI application."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import User
from django.test import Client

from assessment.models import ApiToken
from interviewsite.asgi import application
from rooms import bounds
from rooms.consumers import absence
from rooms.models import Participant, Room
from rooms.sockets import in_database
from tests.rooms.records import cookie, enter, let_in, make_room, make_user

HOST = "testserver"
ORIGIN = f"http://{HOST}"
WAIT_S = 60.0
ROUNDS = 8  # a consumer takes one message of the browser and one of the channel layer in turn
NEXT_WITHIN_S = 90.0


def session_cookie(user: User) -> str:
    client = Client()
    client.force_login(user)
    return f"sessionid={client.cookies['sessionid'].value}"


def bearer(user: User) -> str:
    """The Authorization header of a program of this user."""
    return f"Bearer {ApiToken.issue(user, 'test')[1]}"


_open: list[Wire] = []


async def hang_up() -> None:
    """Close whatever a test left open, so that nothing of it goes on in the next one."""
    for wire in _open:
        wire.communicator.future.cancel()
        await asyncio.gather(wire.communicator.future, return_exceptions=True)
    _open.clear()
    waiting = list(absence._waiting)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    for visits in (bounds.calls, bounds.media):  # keys of places come again in the next test
        visits.forget()


def hold_back_the_look(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Whoever's socket is gone is looked for soon, and not before the event: however long a test takes until then."""
    monkeypatch.setattr(absence, "LOST_AFTER_S", 0.01)
    look, may_look = absence._came_back, asyncio.Event()

    async def look_then(*arguments: Any) -> bool:
        await may_look.wait()
        return await look(*arguments)

    monkeypatch.setattr(absence, "_came_back", look_then)
    return may_look


class Closed(Exception):
    """The server closed the socket with `code`."""

    def __init__(self, code: int) -> None:
        super().__init__(str(code))
        self.code = code


class Wire:
    """One socket. `heard` holds every message that came over it."""

    def __init__(
        self, code: str, cookies: str = "", origin: str | None = ORIGIN, role: str = "", **headers: str
    ) -> None:
        found = {"host": HOST, "cookie": cookies, **headers}
        if origin is not None:
            found["origin"] = origin
        raw = [
            (name.replace("_", "-").encode(), value.encode("latin-1"))
            for name, value in found.items()
            if value
        ]
        path = f"/ws/rooms/{code}/" + (f"?as={role}" if role else "")
        self.communicator = WebsocketCommunicator(application, path, headers=raw)
        self.heard: list[dict[str, Any]] = []
        self.welcome: dict[str, Any] = {}
        _open.append(self)

    @property
    def peer(self) -> str:
        return self.welcome["you"]

    async def open(self) -> Wire:
        """Raises Closed."""
        accepted, _ = await self.communicator.connect(timeout=WAIT_S)
        assert accepted
        self.welcome = await self.next("welcome")
        return self

    async def send(self, kind: str, **fields: Any) -> None:
        await self.communicator.send_json_to({"type": kind, **fields})

    async def read(self) -> dict[str, Any]:
        event = await self.communicator.receive_output(WAIT_S)
        if event["type"] == "websocket.close":
            raise Closed(event["code"])
        message = json.loads(event["text"])
        self.heard.append(message)
        return message

    async def next(self, kind: str) -> dict[str, Any]:
        async with asyncio.timeout(NEXT_WITHIN_S):  # others may go on coming for ever
            while True:
                message = await self.read()
                if message["type"] == kind:
                    return message

    async def error(self) -> str:
        return (await self.next("error"))["code"]

    async def settle(self) -> list[dict[str, Any]]:
        """What comes until everything that is under way has arrived."""
        before = len(self.heard)
        for number in range(ROUNDS):
            await self.send("ping", id=number)
            await self.next("pong")
        return [message for message in self.heard[before:] if message["type"] != "pong"]

    async def closed(self) -> int:
        try:
            while True:
                await self.read()
        except Closed as closed:
            return closed.code

    async def drop(self) -> None:
        """The browser is gone."""
        await self.communicator.disconnect(timeout=WAIT_S)


async def refused(wire: Wire) -> int:
    """The code that a socket is closed with before it is welcomed."""
    try:
        await wire.open()
    except Closed as closed:
        return closed.code
    return 0


async def interviewer(room: Room, user: User | None = None) -> Wire:
    cookies = await in_database(lambda: session_cookie(user or room.owner))
    return await Wire(room.code, cookies, role="interviewer").open()


async def candidate(room: Room, key: str) -> Wire:
    return await Wire(room.code, cookie(room, key), role="candidate").open()


class Call:
    """A live room with the interviewer and the candidate in the call."""

    room: Room
    place: Participant
    key: str
    interviewer: Wire
    candidate: Wire

    @classmethod
    async def start(cls, name: str = "interviewer", **wanted: Any) -> Call:
        call = cls()
        owner = await in_database(make_user, name)
        call.room = await in_database(make_room, owner, **wanted)
        call.place, call.key = await in_database(let_in, call.room)
        call.interviewer = await interviewer(call.room)
        call.candidate = await candidate(call.room, call.key)
        for wire in (call.interviewer, call.candidate):
            await wire.send("join-room")
            await wire.settle()
        await call.interviewer.settle()
        return call


__all__ = [
    "Call",
    "Closed",
    "Wire",
    "bearer",
    "candidate",
    "enter",
    "hold_back_the_look",
    "interviewer",
    "refused",
    "session_cookie",
]
