"""Readings and alerts -> the database, at most once a second, each time with a new look at the consent."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import takewhile

from django.db import Error as DatabaseError
from django.db import IntegrityError, transaction

from assessment.policy import Policy
from rooms import consent
from rooms.live import constants as c
from rooms.live.database import DatabaseThreads
from rooms.live.rates import Clock
from rooms.models import Alert, Participant, Reading, Room

logger = logging.getLogger(__name__)

OF_EMOTION = frozenset({"high_stress", "low_confidence", "low_voice_confidence"})
"""Alerts that exist only where policy allows to infer emotions."""

_WRITERS = DatabaseThreads(4, "live-readings")
"""A locked database holds up nothing but the writing of readings."""


@dataclass(eq=False)
class Row:
    """Waits to be written. `stored`: told once it is settled: the row's key, or None where it may not be kept."""

    record: Reading | Alert
    since_s: float
    stored: asyncio.Future[int | None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def settle(self, key: int | None) -> None:
        if not self.stored.done():
            self.stored.set_result(key)


Write = Callable[[list[Reading | Alert]], Awaitable[list[int | None]]]
"""Keys of the records, None for those that may not be kept. Raises django.db.Error."""


def writer(room: Room, place: Participant) -> Write:

    async def run(records: list[Reading | Alert]) -> list[int | None]:
        return await _WRITERS.run(write_rows, room, place, records)

    return run


def write_rows(room: Room, place: Participant, records: list[Reading | Alert]) -> list[int | None]:
    """In one transaction: read the consent, keep what is still agreed to.

    No withdrawal falls in between: SQLite's transactions follow one another, and on PostgreSQL both this and
    `consent.answer` hold the participant's row. The new row of a consent alone would hold nobody up: its foreign key is
    looked at when it commits."""
    with transaction.atomic():
        locked = Participant.objects.select_for_update().filter(pk=place.pk, room=room).exists()
        agreed = consent.granted(place)
        emotion = Policy.from_snapshot(room.policy).emotion_inference
        kept = [record for record in records if locked and _allowed(record, agreed, emotion)]
        for record in kept:
            record.pk = None  # of an earlier try that was rolled back
            record.save(force_insert=True)
    written = {id(record) for record in kept}
    return [record.pk if id(record) in written else None for record in records]


def _allowed(record: Reading | Alert, agreed: consent.Granted, emotion: bool) -> bool:
    if (record.from_face and not agreed.face) or (record.from_voice and not agreed.voice):
        return False
    if isinstance(record, Alert):
        return emotion or record.kind not in OF_EMOTION
    judged = (record.low, record.medium, record.high, record.confidence, record.voice_confidence)
    return emotion or (not record.level and all(value is None for value in judged))


class Store:
    """Buffers for one room."""

    def __init__(self, write: Write, clock: Clock) -> None:
        self._write, self._clock = write, clock
        self._rows: deque[Row] = deque()
        self._writing: asyncio.Task[None] | None = None
        self._written_s = float("-inf")
        self.lost = 0
        """Rows that the database could not take for a minute."""

    @property
    def waiting(self) -> int:
        return len(self._rows)

    def add(self, record: Reading | Alert) -> Row:
        row = Row(record, self._clock())
        self._rows.append(row)
        self._drop_old()
        return row

    def withdraw(self, *, face: bool, voice: bool) -> None:
        """Forget at once what derives from a source that was taken back; what is being written right now looks at the
        consent itself."""
        for row in list(self._rows):
            if (face and row.record.from_face) or (voice and row.record.from_voice):
                self._rows.remove(row)
                row.settle(None)

    def tick(self) -> None:
        """Start writing where it is due."""
        busy = self._writing is not None and not self._writing.done()
        if self._rows and not busy and self._clock() - self._written_s >= c.WRITE_EVERY_S:
            self._written_s = self._clock()
            self._writing = asyncio.create_task(self._flush())

    async def close(self, within_s: float = 5.0) -> None:
        """Write what is left, if the database takes it in time."""
        if self._writing is not None:
            await asyncio.wait({self._writing}, timeout=within_s)
        if self._rows:
            self._writing = asyncio.create_task(self._flush())
            await asyncio.wait({self._writing}, timeout=within_s)
        self.lost += len(self._rows)
        for row in self._rows:
            row.settle(None)
        self._rows.clear()

    async def _flush(self) -> None:
        rows = list(self._rows)
        self._rows.clear()
        try:
            keys = await self._write([row.record for row in rows])
        except IntegrityError:  # the room was erased meanwhile
            keys = [None] * len(rows)
        except (DatabaseError, OSError) as error:
            logger.warning("%d readings wait for the database: %s", len(rows), type(error).__name__)
            self._rows.extendleft(reversed(rows))
            self._drop_old()
            return
        for row, key in zip(rows, keys, strict=True):
            row.settle(key)

    def _drop_old(self) -> None:
        oldest_s = self._clock() - c.KEPT_S
        old = list(takewhile(lambda row: row.since_s < oldest_s, self._rows))
        for row in old:
            self._rows.popleft()
            row.settle(None)
        self.lost += len(old)
