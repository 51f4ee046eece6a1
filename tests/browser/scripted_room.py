"""A room's server, scripted: it says what the protocol says to real pages, so that the pages can be tried alone.

It stands behind `page.route_web_socket`; the browser's own sockets, media and connections are real. Only what the
pages need is here (see docs/protocol.md); the real consumers have tests of their own."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import BrowserContext, Page, WebSocketRoute

SOCKET = re.compile(r"/ws/rooms/[a-z-]+/(\?.*)?$")
HEARD_WITHIN_S = 60.0
Message = dict[str, Any]


@dataclass
class Seat:
    """Who sits at one browser context. `role` and `name` are what the others are told."""

    peer: str
    name: str
    role: str
    room: ScriptedRoom
    joined: bool = False
    route: WebSocketRoute | None = None
    heard: list[Message] = field(default_factory=list)

    def send(self, message: Message) -> None:
        if self.route is not None:
            self.route.send(json.dumps(message))

    def connected(self, route: WebSocketRoute) -> None:
        if self.room.away:
            route.close(code=1012)
            return
        self.route = route
        route.on_message(lambda text: self._take(json.loads(text)))
        self.send(self.room.welcome(self))

    def lose(self, code: int) -> None:
        """The server closes the socket."""
        assert self.route is not None
        route, self.route = self.route, None
        route.close(code=code)

    def of_type(self, kind: str) -> list[Message]:
        return [message for message in self.heard if message["type"] == kind]

    def _take(self, message: Message) -> None:
        self.heard.append(message)
        self.room.take(self, message)


class ScriptedRoom:
    def __init__(self, **welcome: Any) -> None:
        self.seats: list[Seat] = []
        self.extra = welcome
        self.deaf_to = ""  # messages of this type get no answer
        self.away = False  # who comes is sent away at once, to come back later
        self._ids = 0

    def seat(self, context: BrowserContext, name: str, role: str) -> Seat:
        """Whoever opens the room's socket in `context` is this person."""
        seat = Seat(f"{len(self.seats) + 1:032x}", name, role, self)
        self.seats.append(seat)
        context.route_web_socket(SOCKET, seat.connected)
        return seat

    def welcome(self, seat: Seat) -> Message:
        base = {
            "type": "welcome",
            "you": seat.peer,
            "role": seat.role,
            "name": seat.name,
            "state": "admitted",
        }
        room = {
            "status": "lobby",
            "t": 0.0,
            "ice_servers": [],
            "questions": [],
            "question": None,
            "waiting": [],
        }
        status = {
            "state": "off",
            "face": False,
            "voice": False,
            "emotion": False,
            "dropped": 0,
            "latency_ms": None,
        }
        more = {"analysis": status, "recording": {"active": False, "wanted": True}, "notes": []}
        policy = {"policy": {"emotion_inference": True, "reason": ""}}
        return {**base, **room, **more, **policy, **self.extra}

    def to_all(self, message: Message, but: Seat | None = None) -> None:
        for seat in self.seats:
            if seat is not but:
                seat.send(message)

    def take(self, sender: Seat, message: Message) -> None:
        kind = message["type"]
        if kind == self.deaf_to:
            return
        if kind == "ping":
            sender.send({"type": "pong", "id": message["id"]})
        elif kind == "join-room":
            sender.joined = True
            about = {"peer": sender.peer, "role": sender.role, "name": sender.name}
            self.to_all({"type": "peer-joined", **about}, but=sender)
        elif "to" in message:
            self._forward(sender, message)
        elif kind == "media-state":
            self.to_all({**message, "from": sender.peer}, but=sender)
        elif kind == "chat":
            self._ids += 1
            self.to_all({**message, "from": sender.peer, "name": sender.name, "t": 61.0, "id": self._ids})
        elif kind in ("admit", "refuse"):
            self.to_all({"type": "knock-ended", "peer": message["peer"]})
        elif kind == "end":
            self.to_all({"type": "end"})

    def _forward(self, sender: Seat, message: Message) -> None:
        about = {"from": sender.peer, "name": sender.name, "role": sender.role}
        wanted = message.pop("to")
        for seat in self.seats:
            if seat.peer == wanted:
                seat.send({**message, **about})


def arrives(page: Page, seat: Seat) -> None:
    """Until the seat's socket is there. A page may say that somebody waits while it still opens it."""
    end_s = time.monotonic() + HEARD_WITHIN_S
    while seat.route is None:
        assert time.monotonic() < end_s, f"no socket of {seat.name}"
        page.wait_for_timeout(50)


def heard(page: Page, seat: Seat, kind: str, count: int = 1) -> list[Message]:
    """What the room got from this seat, once there are `count` of it; Playwright takes it in while it waits."""
    end_s = time.monotonic() + HEARD_WITHIN_S
    while len(found := seat.of_type(kind)) < count:
        assert time.monotonic() < end_s, f"{count} × {kind}: {seat.heard}"
        page.wait_for_timeout(50)
    return found
