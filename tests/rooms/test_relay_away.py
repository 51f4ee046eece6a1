"""Two web processes over one real relay, which is killed and comes back on the same port."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from websockets.asyncio.client import ClientConnection, connect

from interviewsite.serving.valkey import EmbeddedValkey
from rooms import relay
from rooms.relay import Relay
from rooms.sockets import in_database
from tests.interviewsite.processes import free_port
from tests.rooms.records import cookie, let_in, make_room, make_user
from tests.rooms.wire import session_cookie

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True), pytest.mark.asyncio]

PASSWORD = "of-this-test"
WITHIN_S = 120.0


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    server = EmbeddedValkey(tmp_path / "valkey", port=free_port(), password=PASSWORD)
    server.start()
    yield server
    server.child.kill()


def again(before: EmbeddedValkey, folder: Path) -> EmbeddedValkey:
    """Another one at the address of the one that was killed."""
    server = EmbeddedValkey(folder, port=before.port, password=PASSWORD)
    server.start()
    return server


# -- The layer alone --------------------------------------------------------------------------


async def test_groups_are_listened_to_again(valkey: EmbeddedValkey, tmp_path: Path) -> None:
    here, there = (Relay(hosts=[valkey.url], capacity=10) for _ in range(2))
    early = await there.new_channel()
    await there.group_add("room", early)
    await here.group_send("room", {"n": 1})
    assert await asyncio.wait_for(there.receive(early), WITHIN_S) == {"n": 1}
    valkey.child.kill()
    with pytest.raises(Exception, match=r"(?i)connect|closed|refused"):
        await here.group_send("room", {"n": 2})
    late = await there.new_channel()  # a socket that opens meanwhile
    await there.group_add("room", late)
    server = again(valkey, tmp_path / "second")
    try:
        for name in (early, late):
            assert await _heard(here, there, name) == {"n": 3}
    finally:
        await here.flush()
        await there.flush()
        server.child.kill()


async def _heard(here: Relay, there: Relay, name: str) -> dict[str, Any]:
    """Sends until something arrives: when the other side listens again is its own affair."""
    waiting = asyncio.ensure_future(there.receive(name))
    async with asyncio.timeout(WITHIN_S):
        while not waiting.done():
            await here.group_send("room", {"n": 3})
            await asyncio.wait([waiting], timeout=0.2)
    return waiting.result()


async def test_who_hangs_keeps_the_newest(valkey: EmbeddedValkey) -> None:
    layer = Relay(hosts=[valkey.url], capacity=5)
    name, mark = await layer.new_channel(), await layer.new_channel()
    await layer.group_add("room", name)
    for number in range(50):
        await layer.group_send("room", {"n": number})
    await layer.send(mark, {"n": "end"})
    await layer.receive(mark)
    assert [await layer.receive(name) for _ in range(5)] == [{"n": number} for number in range(45, 50)]
    await layer.flush()


async def test_a_relay_that_hangs_costs_one_message_its_wait_and_not_each(
    valkey: EmbeddedValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that is gone without a word, or a Redis that swaps: nothing is refused, nothing answered."""
    here, there = (Relay(hosts=[valkey.url], capacity=10) for _ in range(2))
    name = await there.new_channel()
    await there.group_add("room", name)
    await here.group_add("room", await here.new_channel())
    await here.group_send("room", {"n": 1})
    assert await asyncio.wait_for(there.receive(name), WITHIN_S) == {"n": 1}
    os.killpg(valkey.child.pid, signal.SIGSTOP)
    monkeypatch.setattr(relay, "ANSWER_TIMEOUT_S", 1.5)
    try:
        with pytest.raises(relay.AWAY):
            await here.group_send("room", {"n": 2})
        for _ in range(10):
            with pytest.raises(relay.RelayClosed):  # at once: it is known to be away
                await here.group_send("room", {"n": 2})
    finally:
        os.killpg(valkey.child.pid, signal.SIGCONT)
    waiting = asyncio.ensure_future(there.receive(name))
    async with asyncio.timeout(WITHIN_S):
        while not waiting.done():
            with contextlib.suppress(*relay.AWAY):
                await here.group_send("room", {"n": 3})
            await asyncio.wait([waiting], timeout=0.2)
    assert waiting.result()["n"] in (2, 3)
    await here.flush()
    await there.flush()


# -- The site ---------------------------------------------------------------------------------


class Web:
    """An ASGI process as `serve` starts it, on the test's database."""

    def __init__(self, redis_url: str, log: Path) -> None:
        self.port = free_port()
        self.log = log
        database = connection.settings_dict["NAME"]
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "interviewsite.settings",
            "REDIS_URL": redis_url,
            "DATABASE_URL": f"sqlite:///{database}",
            "SECRET_KEY": settings.SECRET_KEY,
        }
        command = [
            sys.executable,
            "-m",
            "uvicorn",
            "interviewsite.asgi:application",
            "--port",
            str(self.port),
        ]
        with log.open("wb") as output:
            self.process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)

    async def socket(self, code: str, cookies: str) -> tuple[ClientConnection, dict[str, Any]]:
        """Once the process answers."""
        address = f"ws://127.0.0.1:{self.port}/ws/rooms/{code}/"
        async with asyncio.timeout(WITHIN_S):
            while True:
                try:
                    wire = await connect(
                        address,
                        additional_headers={"Cookie": cookies},
                        origin=f"http://127.0.0.1:{self.port}",
                    )
                    break
                except OSError:
                    assert self.process.poll() is None, self.log.read_text()
                    await asyncio.sleep(0.2)
        return wire, await hear(wire, "welcome")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait(60)


async def say(wire: ClientConnection, kind: str, **fields: Any) -> None:
    await wire.send(json.dumps({"type": kind, **fields}))


async def hear(wire: ClientConnection, *kinds: str) -> dict[str, Any]:
    async with asyncio.timeout(WITHIN_S):
        while True:
            message = json.loads(await wire.recv())
            if message["type"] in kinds:
                return message


async def until_heard(sender: ClientConnection, receiver: ClientConnection, text: str) -> set[str]:
    """Chat until the other side reads it; the errors that the sender got on the way. Each process listens again in
    its own time, and what is said before is lost."""
    reading = asyncio.ensure_future(_heard_text(receiver, text))
    answers: set[str] = set()
    async with asyncio.timeout(WITHIN_S):
        while not reading.done():
            await say(sender, "chat", text=text)
            await asyncio.wait([reading], timeout=0.5)
            await say(sender, "ping", id=3)
            while (answer := await hear(sender, "chat", "error", "pong"))["type"] != "pong":
                answers.add(answer.get("code", "chat"))
    return answers


async def _heard_text(wire: ClientConnection, text: str) -> None:
    while (await hear(wire, "chat"))["text"] != text:
        pass


@pytest.fixture
def webs(valkey: EmbeddedValkey, tmp_path: Path) -> Iterator[tuple[Web, Web]]:
    if connection.vendor != "sqlite":
        pytest.skip("hands the processes a file")
    both = Web(valkey.url, tmp_path / "one.log"), Web(valkey.url, tmp_path / "two.log")
    yield both
    for web in both:
        web.stop()


async def test_a_call_over_two_processes_outlives_the_relay(
    valkey: EmbeddedValkey, webs: tuple[Web, Web], tmp_path: Path
) -> None:
    owner = await in_database(make_user)
    room = await in_database(make_room, owner)
    place, key = await in_database(let_in, room)
    interviewer, welcomed = await webs[0].socket(room.code, await in_database(session_cookie, owner))
    candidate, _ = await webs[1].socket(room.code, cookie(room, key))
    await say(interviewer, "join-room")
    await say(interviewer, "ping", id=1)
    await hear(interviewer, "pong")
    await say(candidate, "join-room")
    assert (await hear(interviewer, "peer-joined"))["peer"] == place.peer
    await say(interviewer, "peer-here", to=place.peer)
    assert (await hear(candidate, "peer-here"))["from"] == welcomed["you"]
    await say(candidate, "offer", to=welcomed["you"], description={"type": "offer", "sdp": "v=0"})
    assert (await hear(interviewer, "offer"))["from"] == place.peer

    valkey.child.kill()
    await say(candidate, "chat", text="Anybody?")
    assert (await hear(candidate, "error"))["code"] == "relay_away"
    await say(candidate, "ping", id=2)
    await hear(candidate, "pong")  # the socket stays, and answers
    server = again(valkey, tmp_path / "second")
    try:
        assert await until_heard(candidate, interviewer, "There again") <= {"relay_away", "chat"}
        await until_heard(interviewer, candidate, "So am I")
        await say(interviewer, "end")
        for wire in (interviewer, candidate):
            await asyncio.wait_for(wire.wait_closed(), WITHIN_S)
            assert wire.close_code == 4410
    finally:
        server.child.kill()
    for web in webs:
        assert "Traceback" not in web.log.read_text()


async def test_sockets_come_back_after_a_restart_of_the_server(
    valkey: EmbeddedValkey, webs: tuple[Web, Web], tmp_path: Path
) -> None:
    owner = await in_database(make_user)
    room = await in_database(make_room, owner)
    place, key = await in_database(let_in, room)
    before, _ = await webs[0].socket(room.code, cookie(room, key))
    webs[0].stop()
    await asyncio.wait_for(before.wait_closed(), WITHIN_S)
    _wire, welcomed = await webs[1].socket(room.code, cookie(room, key))
    assert (welcomed["you"], welcomed["state"]) == (place.peer, "admitted")
