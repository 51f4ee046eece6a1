"""One WebSocket: what goes in and out of it, and its bounds. What the messages mean comes in subclasses."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, ClassVar, NoReturn

from channels.consumer import get_handler_name
from channels.exceptions import StopConsumer
from channels.layers import get_channel_layer
from channels.utils import await_many_dispatch
from django.core.exceptions import ObjectDoesNotExist
from django.db import Error as DatabaseError
from django.utils import translation
from django.utils.translation import gettext_lazy as _

from assessment.errors import RequestError
from rooms import signals
from rooms.relay import AWAY
from rooms.signals import Allowance, NotUnderstood, Signal
from rooms.sockets import NO_ROOM, TOO_MANY, TOO_SLOW, Visitor

logger = logging.getLogger(__name__)

SEND_TIMEOUT_S = 10.0  # Assumption: who takes nothing for so long is not there any more
LOOK_EVERY_S = 5.0  # Assumption: how late a socket may be told what the relay lost
TELL_TOO_FAST_EVERY_S = 1.0
LOG_EVERY = 100

Message = dict[str, Any]

ERRORS = {
    "not_understood": _("The server did not understand this message."),
    "not_allowed": _("This is not yours to do."),
    "not_waiting": _("Nobody of this name waits any more."),
    "room_ended": _("This interview has ended."),
    "not_in_room": _("You are not in this room, or the person you wrote to is not."),
    "relay_away": _("The message did not get through. Send it again."),
    "try_again": _("The server could not store this. Try again."),
    "too_fast": _("Too many messages. Wait a moment."),
}


class RelayAway(Exception):
    """A message did not get out."""


def refusal(code: str) -> RequestError:
    """For raising in a handler: the sender gets it as an `error` message."""
    return RequestError(code, str(ERRORS[code]))


class SocketConsumer:
    """`on_<type>` handles a message of the browser, `<kind>_message` one of the channel layer; one after the other, so
    that nothing in here needs a lock."""

    accepts: ClassVar[dict[str, type[Signal]]] = {}

    def __init__(self, visitor: Visitor) -> None:
        self.visitor = visitor
        self.room, self.place = visitor.room, visitor.place
        self.messages = Allowance(signals.RATE_PER_S, signals.BURST)
        self.not_allowed = 0
        self._told_too_fast_s = 0.0
        self._groups: list[str] = []

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        self.scope, self._send = scope, send
        self.channel_layer = get_channel_layer()
        self.channel_name = await self.channel_layer.new_channel()
        sources = [receive, partial(self.channel_layer.receive, self.channel_name), self._next_look]
        try:
            await await_many_dispatch(sources, self.dispatch)
        except StopConsumer:
            pass
        finally:
            await self._clean_up()

    async def dispatch(self, event: Message) -> None:
        handler = getattr(self, get_handler_name(event), None)
        if handler is None:
            logger.error("Room %s: %s sockets take no %s", self.room.pk, self.visitor.role, event["type"])
            return
        await handler(event)

    async def _next_look(self) -> Message:
        await asyncio.sleep(LOOK_EVERY_S)
        return {"type": "look.around"}

    async def _clean_up(self) -> None:
        for group in self._groups:
            try:
                await self.channel_layer.group_discard(group, self.channel_name)
            except AWAY:
                logger.warning("Room %s: a group could not be left", self.room.pk)
        await self.gone()

    async def gone(self) -> None:
        """The socket is closed, however that came."""

    async def join(self, group: str) -> None:
        if group not in self._groups:
            self._groups.append(group)
        try:
            await self.channel_layer.group_add(group, self.channel_name)
        except AWAY as error:
            raise RelayAway from error

    # -- Out ------------------------------------------------------------------------------------

    async def accept(self) -> None:
        await self._put({"type": "websocket.accept"})

    async def tell(self, message: Message) -> None:
        """To the browser. Ends this consumer where the browser does not read, or is gone."""
        await self._put({"type": "websocket.send", "text": json.dumps(message)})

    async def close(self, code: int) -> NoReturn:
        """And end this consumer."""
        await self._put({"type": "websocket.close", "code": code})
        raise StopConsumer

    async def _put(self, event: Message, timeout_s: float | None = None) -> None:
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S if timeout_s is None else timeout_s):
                await self._send(event)
        except TimeoutError:
            if event["type"] != "websocket.close":
                logger.warning("Room %s: a socket does not read (%s)", self.room.pk, self.visitor.role)
                await self._put({"type": "websocket.close", "code": TOO_SLOW}, 1.0)
            raise StopConsumer from None
        except OSError:  # uvicorn's ClientDisconnected is one
            raise StopConsumer from None

    async def error(self, code: str, of: str, message: str = "") -> None:
        with translation.override(self.visitor.language):
            text = message or str(ERRORS[code])
        await self.tell({"type": "error", "code": code, "message": text, "of": of})

    async def deliver(self, *sent: Awaitable[bool]) -> None:
        """Send all of these to others. Raises RelayAway where one did not get out."""
        if not all([await one for one in sent]):
            raise RelayAway

    # -- In -------------------------------------------------------------------------------------

    async def websocket_receive(self, event: Message) -> None:
        if not self.messages.take():
            await self._too_fast()
            return
        kind = ""
        try:
            kind, document = signals.read(event.get("text"))
            await self._handle(kind, document)
        except NotUnderstood as error:
            await self.error("not_understood", error.of)
        except RequestError as error:
            known = error.code in ERRORS
            await self.error(error.code, kind, "" if known else error.message)
        except RelayAway:
            await self.error("relay_away", kind)
        except ObjectDoesNotExist:  # erased meanwhile
            await self.close(NO_ROOM)
        except DatabaseError as error:
            logger.warning("Room %s: %s was not stored: %s", self.room.pk, kind, type(error).__name__)
            await self.error("try_again", kind)

    async def _handle(self, kind: str, document: Message) -> None:
        schema = self.accepts.get(kind)
        if schema is None:
            self._count_not_allowed(kind)
            raise refusal("not_allowed")
        handler: Callable[[Any], Awaitable[None]] = getattr(self, f"on_{kind.replace('-', '_')}")
        await handler(signals.check(kind, schema, document))

    def _count_not_allowed(self, kind: str) -> None:
        self.not_allowed += 1
        if self.not_allowed % LOG_EVERY == 1:
            logger.warning(
                "Room %s: %s is not for the %s to send (%d so far)",
                self.room.pk,
                kind,
                self.visitor.role,
                self.not_allowed,
            )

    async def _too_fast(self) -> None:
        if self.messages.used_up:
            logger.warning("Room %s: the %s sends far too much", self.room.pk, self.visitor.role)
            await self.close(TOO_MANY)
        now_s = time.monotonic()
        if now_s - self._told_too_fast_s >= TELL_TOO_FAST_EVERY_S:
            self._told_too_fast_s = now_s
            await self.error("too_fast", "")

    async def websocket_disconnect(self, event: Message) -> NoReturn:
        raise StopConsumer
