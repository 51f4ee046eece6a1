"""Chunks and readings while something else happens to them: withdrawal, erasure, twins, a request that dies. With real
transactions, side by side; `tests/assessment/test_postgres.py` runs them on PostgreSQL, too."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as site
from django.db import DatabaseError, OperationalError, connection
from django.utils import timezone

from assessment import retention
from assessment.errors import RequestError
from assessment.models import AuditEntry
from rooms import consent, lifecycle, recording
from rooms.live import store
from rooms.models import Chunk, Participant, Reading, Recording, Room, Segment
from rooms.recording import chunks, files, state
from tests.rooms.records import Scope, enter, let_in, make_room

pytestmark = pytest.mark.django_db(transaction=True)

WEBM = "video/webm"
KEY = uuid.UUID("5b0e7a34-7c11-4d4b-9a55-0c4f5a3d9e01")
GENEROUS_S = 30.0


@pytest.fixture
def room() -> Room:
    return make_room(recording=True)


@pytest.fixture
def place(room: Room) -> Participant:
    return let_in(room)[0]


def send(room: Room, place: Participant, sequence: int = 0, content: bytes = b"chunk") -> str:
    """What the candidate's browser is told: "taken", or the code of the refusal."""
    try:
        recording.receive(chunks.Address(room, KEY, sequence), place, WEBM, content)
    except RequestError as error:
        return error.code
    return "taken"


def withdraw(place: Participant) -> None:
    consent.answer(Participant.objects.get(pk=place.pk), {Scope.RECORDING: False})


def stored_files(room: Room) -> list[Path]:
    folder = Path(site.MEDIA_ROOT) / "recordings" / room.room_id
    return sorted(path for path in folder.rglob("*") if path.is_file())


def nothing_left(room: Room) -> bool:
    return not (
        stored_files(room)
        or Chunk.objects.filter(segment__recording__room=room).exists()
        or Segment.objects.filter(recording__room=room).exists()
    )


@contextmanager
def beside(*works: Callable[[], Any]) -> Iterator[list[Any]]:
    """Runs each in a thread with a connection of its own; the list has what they gave or raised, once left."""
    results: list[Any] = [None] * len(works)

    def run(number: int, work: Callable[[], Any]) -> None:
        with closing(connection):
            try:
                results[number] = work()
            except BaseException as error:
                results[number] = error

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(works)]
    for thread in threads:
        thread.start()
    yield results
    for thread in threads:
        thread.join(GENEROUS_S)
        assert not thread.is_alive()


# -- Nothing slow inside a transaction ----------------------------------------------------------


def test_files_are_written_and_removed_outside_of_transactions(
    room: Room, place: Participant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a disk or a network takes its time, another can write."""
    seen: list[str] = []
    write, remove = files.write, files.remove

    def another_writes(what: str) -> None:
        assert not connection.in_atomic_block
        with beside(lambda: AuditEntry.write(what, "beside")) as results:
            pass
        assert not isinstance(results[0], BaseException), results
        seen.append(what)

    def slow_write(*arguments: Any) -> str:
        another_writes("written")
        return write(*arguments)

    def slow_remove(names: Any) -> None:
        another_writes("removed")
        remove(names)

    monkeypatch.setattr(files, "write", slow_write)
    monkeypatch.setattr(files, "remove", slow_remove)
    assert send(room, place) == "taken"
    withdraw(place)
    assert seen == ["written", "removed"]
    assert nothing_left(room)


# -- A withdrawal comes before or after ---------------------------------------------------------


def test_a_withdrawal_between_file_and_row_leaves_neither(
    room: Room, place: Participant, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = files.write

    def withdrawn_after(*arguments: Any) -> str:
        name = write(*arguments)
        withdraw(place)
        return name

    monkeypatch.setattr(files, "write", withdrawn_after)
    assert send(room, place) == "not_allowed"
    assert nothing_left(room)


def test_a_withdrawal_waits_for_a_chunk_that_is_being_booked(
    room: Room, place: Participant, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, holds, go_on = state.begin, threading.Event(), threading.Event()

    def held(*arguments: Any) -> Segment | None:
        holds.set()
        assert go_on.wait(GENEROUS_S)
        return begin(*arguments)

    monkeypatch.setattr(state, "begin", held)
    done = threading.Event()

    def withdraws() -> None:
        assert holds.wait(GENEROUS_S)
        withdraw(place)
        done.set()

    with beside(lambda: send(room, place), withdraws) as results:
        assert holds.wait(GENEROUS_S)
        assert not done.wait(0.5), "it came between"
        assert stored_files(room)
        go_on.set()
    assert results == ["taken", None]
    assert nothing_left(room)
    assert send(room, place, 1) == "not_allowed"


def test_however_many_come_while_it_is_taken_back_nothing_stays(room: Room, place: Participant) -> None:
    start = threading.Barrier(4)

    def sends(first: int) -> Callable[[], list[str]]:
        def work() -> list[str]:
            start.wait(GENEROUS_S)
            return [send(room, place, first + number, b"x" * 5000) for number in range(8)]

        return work

    def withdraws() -> None:
        start.wait(GENEROUS_S)
        while not Chunk.objects.exists():
            pass
        withdraw(place)

    with beside(sends(0), sends(100), sends(200), withdraws) as results:
        pass
    answers = {answer for told in results[:3] for answer in told}
    assert answers <= {"taken", "not_allowed"} and "taken" in answers
    assert results[3] is None
    assert nothing_left(room)


# -- Twins, and what else may happen in between -------------------------------------------------


def test_twins_at_the_same_moment_are_one_chunk(room: Room, place: Participant) -> None:
    start = threading.Barrier(4)

    def work() -> str:
        start.wait(GENEROUS_S)
        return send(room, place)

    with beside(work, work, work, work) as results:
        pass
    assert results == ["taken"] * 4
    assert len(stored_files(room)) == Chunk.objects.count() == 1


def test_two_that_want_one_place_do_not_mix(room: Room, place: Participant) -> None:
    with beside(lambda: send(room, place, 0, b"one"), lambda: send(room, place, 0, b"two")) as results:
        pass
    assert sorted(results) == ["other_content", "taken"]
    [path] = stored_files(room)
    assert path.read_bytes() == (b"one" if results[0] == "taken" else b"two")


def test_the_end_between_file_and_row_is_late_not_lost(
    room: Room, place: Participant, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(room, place)
    write = files.write

    def ended_after(*arguments: Any) -> str:
        name = write(*arguments)
        lifecycle.end(room, room.owner)
        return name

    monkeypatch.setattr(files, "write", ended_after)
    assert send(room, place, 1) == "taken"
    monkeypatch.setattr(files, "write", write)
    Recording.objects.update(state=Recording.State.PROCESSING, claimed_at=timezone.now())
    assert send(room, place, 2) == "recording_over"
    assert len(stored_files(room)) == 2


def test_a_room_that_is_erased_between_file_and_row_leaves_neither(
    room: Room, place: Participant, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = files.write

    def erased_after(*arguments: Any) -> str:
        name = write(*arguments)
        recording.erase_for_good(room)
        Room.objects.filter(pk=room.pk).delete()
        return name

    monkeypatch.setattr(files, "write", erased_after)
    assert send(room, place) == "not_allowed"
    assert not stored_files(room)


# -- A request that dies ------------------------------------------------------------------------


def unbooked(room: Room, hours_ago: float = 0.0) -> Path:
    """What a server leaves that is killed between file and row."""
    name = files.write(room.room_id, KEY, 7, b"half done")
    path = Path(site.MEDIA_ROOT) / name
    then = (timezone.now() - timedelta(hours=hours_ago)).timestamp()
    os.utime(path, (then, then))
    return path


def test_a_file_without_its_row_is_swept_after_an_hour(room: Room, place: Participant) -> None:
    send(room, place)
    [booked] = stored_files(room)
    old, young = unbooked(room, 1.1), unbooked(room, 0.5)
    gone = make_room(recording=True)
    orphan = unbooked(gone, 1.1)
    Room.objects.filter(pk=gone.pk).delete()
    then = (timezone.now() - timedelta(hours=5)).timestamp()
    os.utime(booked, (then, then))
    assert retention.purge().others["leftover_chunks"] == 2
    assert [path.exists() for path in (booked, old, young, orphan)] == [True, False, True, False]
    assert not orphan.parent.exists() and not orphan.parent.parent.exists()


def test_a_file_without_its_row_goes_with_the_candidate(room: Room, place: Participant) -> None:
    send(room, place)
    unbooked(room)
    lifecycle.end(room, room.owner)
    retention.erase_candidate(room.candidate)
    assert not (Path(site.MEDIA_ROOT) / "recordings" / room.room_id).exists()


def test_a_database_that_fails_over_the_row_leaves_no_file(
    room: Room, place: Participant, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(*_arguments: Any, **_values: Any) -> None:
        raise OperationalError("database is locked")

    with monkeypatch.context() as patched:
        patched.setattr(Chunk.objects, "create", locked)
        with pytest.raises(OperationalError):
            send(room, place)
    assert nothing_left(room)
    assert send(room, place) == "taken"


def test_a_commit_that_nobody_knows_of_keeps_its_file(
    room: Room, place: Participant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection breaks after the commit, before its answer: the chunk is there when it is sent again."""
    book = chunks._book

    def cut_off(*arguments: Any) -> chunks.Received:
        book(*arguments)
        raise DatabaseError("server closed the connection unexpectedly")

    monkeypatch.setattr(chunks, "_book", cut_off)
    with pytest.raises(DatabaseError):
        send(room, place)
    monkeypatch.setattr(chunks, "_book", book)
    assert send(room, place) == "taken"
    assert len(stored_files(room)) == Chunk.objects.count() == 1


# -- Readings -----------------------------------------------------------------------------------

LINGERS_S = 0.3
"""Long enough for the other transaction to come to what the first one holds."""


def test_no_reading_outlives_a_withdrawal_that_is_under_way(
    room: Room, place: Participant, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete, deleted, stored = consent._delete_withdrawn, threading.Event(), threading.Event()

    def deletes_and_lingers(*arguments: Any) -> None:
        delete(*arguments)
        deleted.set()
        stored.wait(LINGERS_S)

    def stores() -> list[int | None]:
        deleted.wait(GENEROUS_S)
        keys = store.write_rows(room, place, [Reading(room=room, t_s=1.0, from_face=True)])
        stored.set()
        return keys

    monkeypatch.setattr(consent, "_delete_withdrawn", deletes_and_lingers)
    with beside(lambda: consent.answer(place, {Scope.FACE: False}), stores) as results:
        pass
    assert results[1] == [None], results
    assert not Reading.objects.exists()


def test_somebody_is_let_in_while_a_reading_of_their_other_browser_is_stored(
    room: Room, place: Participant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Letting in changes the place that storing readings holds, and holds the room that readings name."""
    second, _key = enter(room)
    assert lifecycle.knock(second)
    granted, holds = consent.granted, threading.Event()

    def lingers(participant: Participant) -> consent.Granted:
        holds.set()
        threading.Event().wait(LINGERS_S)
        return granted(participant)

    def admits() -> lifecycle.Admission:
        holds.wait(GENEROUS_S)
        return lifecycle.admit(room, second.peer)

    monkeypatch.setattr(consent, "granted", lingers)
    reading = Reading(room=room, t_s=1.0, from_face=True)
    with beside(lambda: store.write_rows(room, place, [reading]), admits) as results:
        pass
    assert not [one for one in results if isinstance(one, BaseException)], results
    assert results[1].put_out == (place,)


# -- Word of a start that comes late ------------------------------------------------------------


def test_word_of_a_start_after_a_withdrawal_begins_nothing(
    room: Room, place: Participant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both wait for a locked database, and the withdrawal is stored first."""
    atomic, played = state.transaction.atomic, []

    def withdrawn_before(*arguments: Any, **more: Any) -> Any:
        if not played:
            played.append("withdrawn")
            withdraw(place)
        return atomic(*arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(state.transaction, "atomic", withdrawn_before)
        begun = recording.started(room, place, str(KEY), WEBM)
    assert played
    assert not begun
    assert not recording.status(room)["active"]
    assert nothing_left(room)


@pytest.mark.parametrize("agrees", [False, True])
def test_another_browser_has_yet_to_begin_its_recording(room: Room, place: Participant, agrees: bool) -> None:
    assert recording.started(room, place, str(KEY), WEBM)
    assert recording.status(room)["active"]
    other, _key = enter(room, {**dict.fromkeys(Scope, True), Scope.RECORDING: agrees})
    lifecycle.knock(other)
    lifecycle.admit(room, other.peer)
    assert not recording.status(room)["active"]
    assert send(room, place, content=b"the rest of the first one's") == "taken"
    assert not recording.status(room)["active"]
    assert recording.started(room, other, str(uuid.uuid4()), WEBM) is agrees
    assert recording.status(room)["active"] is agrees
