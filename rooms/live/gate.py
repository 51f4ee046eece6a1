"""What may be analysed right now, read from the database again and again. When that cannot be read: nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from django.db import Error as DatabaseError

from rooms import consent
from rooms.consent import NO_ANALYSIS, NOT_HERE, MayAnalyse
from rooms.live import constants as c
from rooms.live.database import DatabaseThreads
from rooms.live.rates import Clock
from rooms.models import Participant, Room

logger = logging.getLogger(__name__)

Read = Callable[[], Awaitable[MayAnalyse]]

_READERS = DatabaseThreads(2, "live-consent")
"""Reads of consent wait neither for pages nor for readings that are being written."""


def reader(room: Room, place: Participant) -> Read:
    """Reads consent, place and policy in a thread. Raises django.db.Error."""

    async def run() -> MayAnalyse:
        return await _READERS.run(consent.may_analyse, room, place)

    return run


class Gate:
    """`last` is the last answer, `allowed()` what of it counts: nothing once it is too old."""

    def __init__(self, read: Read, clock: Clock, changed: Callable[[MayAnalyse, MayAnalyse], None]) -> None:
        """`changed(before, now)` is called, in the loop, for each answer that differs from the one before."""
        self._read, self._clock, self._changed = read, clock, changed
        self.last = NOT_HERE
        self.failures = 0
        self._good_until_s = self._started_s = float("-inf")
        self._asked = False
        self._reading: asyncio.Task[None] | None = None

    @property
    def stale(self) -> bool:
        return self._clock() > self._good_until_s

    def allowed(self) -> MayAnalyse:
        return NO_ANALYSIS if self.stale else self.last

    def ask(self) -> None:
        """Word came that consent changed: read now. What was read before counts for less than a second more."""
        self._good_until_s = min(self._good_until_s, self._clock() + c.ASKED_COUNTS_S)
        self._asked = True
        self.tick(busy=True)

    def tick(self, *, busy: bool) -> None:
        """Start a read where one is due. `busy`: media comes."""
        if self._reading is not None and not self._reading.done():
            return
        due_s = self._started_s + (c.READ_EVERY_S if busy else c.IDLE_READ_EVERY_S)
        if self._asked or self._clock() >= due_s:
            self._asked = False
            self._started_s = self._clock()
            self._reading = asyncio.create_task(self._read_once())

    async def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    async def now(self) -> MayAnalyse:
        """The answer of a read that begins now. Raises django.db.Error."""
        self._started_s = self._clock()
        self._take(await self._read(), self._started_s)
        return self.allowed()

    async def _read_once(self) -> None:
        started_s = self._started_s
        try:
            found = await self._read()
        except (DatabaseError, OSError) as error:
            self.failures += 1
            logger.warning("Consent could not be read: %s", type(error).__name__)
            return
        if not self._asked:  # else consent changed meanwhile, and the next read tells
            self._take(found, started_s)

    def _take(self, found: MayAnalyse, started_s: float) -> None:
        """It was true when the read began; how long it took does not make it newer."""
        before, self.last = self.last, found
        self._good_until_s = started_s + c.READ_COUNTS_S
        if found != before:
            self._changed(before, found)
