"""The socket that takes the candidate's frames and sound; see docs/protocol.md. No result goes back over it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer
from django.core.exceptions import ObjectDoesNotExist
from django.db import Error as DatabaseError
from redis.exceptions import RedisError

from rooms import bounds, groups, messages, sockets
from rooms.live import constants as c
from rooms.live import gate, store
from rooms.live.analyzer import LiveAnalyzer
from rooms.live.lateness import Lateness
from rooms.live.outside import Inference, Message, Outside
from rooms.live.rates import TokenBucket
from rooms.media_messages import BadMessage, parse
from rooms.models import Participant, Room

logger = logging.getLogger(__name__)

UNREAD_S = 10.0
"""A browser that takes a message no sooner is gone. *Assumption*."""
ERROR_EVERY_S = 5.0
"""The same error is not said more often. *Assumption*."""
TOO_FAST = "Too many messages: some were dropped. Send one frame a second, and sound as it is recorded."


def inference() -> Inference:
    """This process's connection to the inference process."""
    from rooms.inference.client import InferenceClient

    return InferenceClient.shared()


def _check_in(room: Room, place: Participant) -> None:
    """Raises sockets.Refused unless the room is live and this browser in it."""
    if room.ended:
        raise sockets.Refused(sockets.ENDED)
    if room.status != room.Status.LIVE or place.state != Participant.State.ADMITTED:
        raise sockets.Refused(sockets.NOT_ALLOWED)


class Outbox:
    """Messages to the browser. Of each type the last one waits, so a socket that nobody reads holds a handful."""

    def __init__(self, send: Callable[[str], Awaitable[None]], unread: Callable[[], Awaitable[None]]) -> None:
        """`unread` is called where the browser takes nothing for `UNREAD_S`."""
        self._send, self._unread = send, unread
        self._waiting: OrderedDict[str, Message] = OrderedDict()
        self._there = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    def put(self, message: Message) -> None:
        self._waiting[f"{message['type']}.{message.get('code', '')}"] = message
        self._there.set()

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await self._there.wait()
            if not self._waiting:
                self._there.clear()
                continue
            _, message = self._waiting.popitem(last=False)
            try:
                await asyncio.wait_for(self._send(json.dumps(message)), UNREAD_S)
            except TimeoutError:
                await self._unread()
                return


class AnalysisConsumer(AsyncWebsocketConsumer):
    """One browser of the candidate, while it is the one that was let in."""

    analyzer: LiveAnalyzer | None = None
    outbox: Outbox | None = None
    group = ""
    over = False
    """Closed by us: what still comes is not looked at."""
    replaced = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:  # a server that stops cancels us, without a message
            await self._stop()

    async def dispatch(self, message: Message) -> None:
        if (
            message["type"] == "websocket.receive"
        ):  # uses no database, so there are no connections to look after
            await self.websocket_receive(message)
        else:
            await super().dispatch(message)

    async def connect(self) -> None:
        await self.accept()  # else the browser would not learn the close code
        try:
            self.visitor = await sockets.identify(self.scope)
            self._check_place()
            await self._join()
        except sockets.Refused as refused:
            await self._end(refused.close_code)
        except ObjectDoesNotExist:  # erased meanwhile
            await self._end(sockets.NO_ROOM)
        except (DatabaseError, RedisError, OSError) as error:
            logger.warning("A media socket was put off: %s", type(error).__name__)
            await self._end(sockets.TRY_LATER)

    def _check_place(self) -> None:
        """Raises Refused."""
        room, place = self.visitor.room, self.visitor.place
        if place.role != Participant.Role.CANDIDATE:
            raise sockets.Refused(sockets.NOT_ALLOWED)
        if not bounds.media.take(place.pk):
            raise sockets.Refused(sockets.TOO_MANY)
        _check_in(room, place)

    def _look_again(self) -> None:
        """In a database thread, once word of the room comes: who was put out just before heard nothing of it. Raises
        Refused, ObjectDoesNotExist."""
        self.visitor.room.refresh_from_db()
        self.visitor.place.refresh_from_db()
        _check_in(self.visitor.room, self.visitor.place)

    async def _join(self) -> None:
        room, place = self.visitor.room, self.visitor.place
        self.since = time.time()
        self.all = TokenBucket(c.MESSAGES_PER_S, c.MESSAGES_AT_ONCE, time.monotonic)
        self.excess = TokenBucket(c.EXCESS_PER_S, c.EXCESS_AT_ONCE, time.monotonic)
        self.bad = TokenBucket(c.BAD_PER_S, c.BAD_AT_ONCE, time.monotonic)
        self.lateness = Lateness(time.monotonic)
        self.errors_said: dict[str, float] = {}
        self.outbox = Outbox(self.send, self._unread)
        self.group = groups.analysis(room)
        await self.channel_layer.group_add(self.group, self.channel_name)
        await sockets.in_database(self._look_again)
        newer = {"type": "put-out", "peer": place.peer, "but": self.channel_name, "since": self.since}
        if not await messages.to_analysis(room, newer):  # an older one would go on, and both would speak
            raise sockets.Refused(sockets.TRY_LATER)
        outside = Outside(
            lambda message: messages.to_panel(room, message),
            self._say,
            gate.reader(room, place),
            store.writer(room, place),
        )
        self.analyzer = LiveAnalyzer(room, inference(), outside)
        may = await self.analyzer.start()
        self._say(
            {
                "type": "ready",
                "face": may.face,
                "voice": may.voice,
                "frame_interval_ms": self.analyzer.pace.interval_ms,
            }
        )

    # -- From the browser -----------------------------------------------------------------------

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if self.over or self.analyzer is None:
            return
        if not self.all.take():
            await self._too_fast()
            return
        try:
            media = parse(text_data if text_data is not None else bytes_data or b"")
        except BadMessage as error:
            await self._bad(error)
            return
        if self.lateness.is_late(media):
            self.analyzer.counts.late += 1
            return
        self.analyzer.offer(media)

    async def _too_fast(self) -> None:
        assert self.analyzer is not None
        self.analyzer.counts.too_fast += 1
        self._say({"type": "error", "code": "too_fast", "message": TOO_FAST})
        if not self.excess.take():
            await self._end(sockets.TOO_MANY)

    async def _bad(self, error: BadMessage) -> None:
        assert self.analyzer is not None
        self.analyzer.counts.failed += 1
        self._say({"type": "error", "code": error.code, "message": error.message})
        if not self.bad.take():
            await self._end(sockets.NOT_UNDERSTOOD)

    # -- From the room --------------------------------------------------------------------------

    async def analysis_message(self, event: Message) -> None:
        """Of `rooms.messages.to_analysis`."""
        message = event["message"]
        if self.over or self.analyzer is None:
            return
        if message["type"] == "consent":
            self.analyzer.consent()
        elif message["type"] == "reset":
            self.analyzer.reset()
        elif message["type"] == "put-out" and self._puts_out(message):
            self.replaced = True
            await self._end(sockets.REPLACED)
        elif message["type"] == "end":
            self.replaced = True
            await self._say_last({"type": "end"})
            await self._end(sockets.ENDED)

    def _puts_out(self, message: Message) -> bool:
        """Whether this socket is meant: of two that come at the same moment, the newer stays."""
        if message["peer"] != self.visitor.place.peer or message.get("but") == self.channel_name:
            return False
        since, but = message.get("since"), message.get("but")
        return since is None or (self.since, self.channel_name) < (since, but)

    # -- To the browser -------------------------------------------------------------------------

    def _say(self, message: Message) -> None:
        """An error once in a while only."""
        if self.over or self.outbox is None:
            return
        if message["type"] == "error":
            now_s, code = time.monotonic(), message["code"]
            if now_s - self.errors_said.get(code, float("-inf")) < ERROR_EVERY_S:
                return
            self.errors_said[code] = now_s
        self.outbox.put(message)

    async def _say_last(self, message: Message) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.send(json.dumps(message)), 1.0)

    async def _unread(self) -> None:
        """In the outbox's own task. The close may wait behind what is unread; then the server's own pings end it."""
        logger.info("A media socket of room %s is not read", self.visitor.room.pk)
        self.over = True
        await asyncio.wait_for(self.close(sockets.TOO_SLOW), 1.0)

    # -- The end --------------------------------------------------------------------------------

    async def _end(self, code: int) -> None:
        self.over = True
        await self._stop()
        await self.close(code)

    async def disconnect(self, code: int) -> None:
        await self._stop()

    async def _stop(self) -> None:
        """Once, whoever comes first."""
        self.over = True
        analyzer, self.analyzer = self.analyzer, None
        outbox, self.outbox = self.outbox, None
        group, self.group = self.group, ""
        if group:
            with contextlib.suppress(
                RedisError, OSError
            ):  # away; it forgets channels that nobody reads by itself
                await self.channel_layer.group_discard(group, self.channel_name)
        if outbox is not None:
            await outbox.close()
        if analyzer is not None:
            await analyzer.close(say_paused=not self.replaced)
