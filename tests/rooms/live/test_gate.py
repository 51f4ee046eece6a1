"""Consent as it stands in the database."""

from __future__ import annotations

import asyncio
import time

import pytest
from django.db import OperationalError

from rooms import consent, lifecycle
from rooms.consent import NO_ANALYSIS, MayAnalyse
from rooms.live.gate import Gate, reader
from rooms.models import Participant, Room
from rooms.sockets import in_database
from tests.rooms.live.scripted import Clock
from tests.rooms.records import Scope, let_in, make_room

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.asyncio]


def make() -> tuple[Room, Participant]:
    room = make_room()
    place, _key = let_in(room)
    return room, place


async def test_every_change_is_read_and_told() -> None:
    room, place = await in_database(make)
    told: list[tuple[MayAnalyse, MayAnalyse]] = []
    gate = Gate(reader(room, place), time.monotonic, lambda before, now: told.append((before, now)))
    assert gate.allowed() == NO_ANALYSIS
    assert await gate.now() == MayAnalyse(True, True, True)
    await in_database(consent.answer, place, {Scope.FACE: False})
    assert await gate.now() == MayAnalyse(False, True, True, withdrawals=1)
    await in_database(lifecycle.leave, place)
    assert await gate.now() == NO_ANALYSIS
    assert [now for _, now in told] == [
        MayAnalyse(True, True, True),
        MayAnalyse(False, True, True, withdrawals=1),
        NO_ANALYSIS,
    ]


async def test_a_read_that_hangs_lets_the_answer_grow_old() -> None:
    clock, never = Clock(), asyncio.Event()

    async def read() -> MayAnalyse:
        if clock.now_s > 1000:
            await never.wait()
        return MayAnalyse(True, True, True)

    gate = Gate(read, clock, lambda _before, _now: None)
    await gate.now()
    for _ in range(9):
        clock.now_s += 0.2
        gate.tick(busy=True)
        await asyncio.sleep(0)
        assert gate.allowed().face
    clock.now_s += 0.4
    assert gate.allowed() == NO_ANALYSIS
    await gate.close()


async def test_an_answer_that_was_overtaken_by_a_change_does_not_count() -> None:
    clock, going = Clock(), asyncio.Event()
    answers = [MayAnalyse(True, True, True), MayAnalyse(True, True, True), NO_ANALYSIS]

    async def read() -> MayAnalyse:
        answer = answers.pop(0)
        if len(answers) == 1:
            await going.wait()
        return answer

    gate = Gate(read, clock, lambda _before, _now: None)
    await gate.now()
    clock.now_s += 0.8
    gate.tick(busy=True)
    await asyncio.sleep(0)
    gate.ask()
    going.set()
    await asyncio.sleep(0)
    clock.now_s += 1.0
    assert gate.stale
    for _ in range(3):
        gate.tick(busy=True)
        await asyncio.sleep(0)
    assert gate.last == NO_ANALYSIS
    await gate.close()


async def test_failures_are_counted_and_tried_again() -> None:
    clock, failing = Clock(), True

    async def read() -> MayAnalyse:
        if failing:
            raise OperationalError("locked")
        return MayAnalyse(True, False, True)

    gate = Gate(read, clock, lambda _before, _now: None)
    for _ in range(3):
        gate.tick(busy=True)
        await asyncio.sleep(0)
        clock.now_s += 1.0
    assert gate.failures == 3
    assert not gate.allowed().anything
    failing = False
    gate.tick(busy=True)
    await asyncio.sleep(0)
    assert gate.allowed().face
    await gate.close()
