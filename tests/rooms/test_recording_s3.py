"""Recordings whose media store is S3 instead of a folder: by configuration alone, against a real server."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as site
from django.test import Client
from django.utils import timezone

from assessment import intake, retention, work_queue
from assessment.models import Answer, Assessment
from assessment.pipeline.attempt import local_media
from interviewsite import media_store
from mlcore import media
from rooms import consent, jobs, lifecycle, links
from rooms.models import Chunk, Participant, Recording, Room
from rooms.recording import files, leftovers
from tests.interviewsite.processes import (
    clean_environment,
    database_url,
    free_port,
    running,
    running_valkey,
    wait_for,
)
from tests.media_factory import make_recorder_webm, tone
from tests.rooms.records import Scope, let_in, make_room
from tests.rooms.s3 import STORAGE, S3Server, running_s3

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.django_db(transaction=True)]

KEY = uuid.UUID("5b0e7a34-7c11-4d4b-9a55-0c4f5a3d9e01")
WEBM = "video/webm"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with running_s3(tmp_path_factory.mktemp("s3")) as made:
        yield made


@pytest.fixture
def s3(server: S3Server, settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    """This process on it, as `MEDIA_STORAGE` would configure it; empty at the start and, by the test's doing, at the
    end."""
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    settings.STORAGES = {**site.STORAGES, "default": media_store.bucket(STORAGE)}
    settings.MEDIA_STORAGE = STORAGE
    before = files_on_disk()
    yield server
    assert server.names() == []
    assert files_on_disk() - before == set()


def files_on_disk() -> set[Path]:
    folders = [Path(site.MEDIA_ROOT), Path(site.FILE_UPLOAD_TEMP_DIR)]
    return {path for folder in folders for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def room() -> Room:
    return make_room(recording=True, questions=("Who are you?", "What do you do?"), language="en")


@pytest.fixture
def browser(room: Room) -> Client:
    client = Client()
    client.cookies[links.cookie_name(room)] = let_in(room)[1]
    return client


def send(browser: Client, room: Room, sequence: int, content: bytes = b"chunk", key: uuid.UUID = KEY) -> Any:
    address = f"/rooms/{room.code}/recording/{key}/{sequence}"
    return browser.post(address, content, content_type=WEBM)


def erase(room: Room) -> None:
    if Room.objects.get(pk=room.pk).status == Room.Status.LIVE:
        lifecycle.end(room, room.owner)
    retention.erase_candidate(room.candidate)


def test_chunks_are_objects_and_the_same_again_is_fine(s3: S3Server, room: Room, browser: Client) -> None:
    for number in (1, 0, 1):
        assert send(browser, room, number, b"chunk %d" % number).status_code == 200
    refused = send(browser, room, 0, b"chunk X")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "other_content")
    assert [chunk.file.read() for chunk in Chunk.objects.all()] == [b"chunk 0", b"chunk 1"]
    assert sorted(s3.names()) == sorted(chunk.file.name for chunk in Chunk.objects.all())
    assert all(key.startswith(f"recordings/{room.room_id}/") for key in s3.names())
    erase(room)


def test_a_withdrawal_erases_the_objects(
    s3: S3Server, room: Room, browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "DELETED_AT_ONCE", 2)
    for number in range(5):
        send(browser, room, number)
    assert len(s3.names()) == 5
    consent.answer(Participant.objects.get(role="candidate"), {Scope.RECORDING: False})
    assert s3.names() == []
    assert send(browser, room, 5).status_code == 403


def test_an_object_without_its_row_is_swept(s3: S3Server, room: Room, browser: Client) -> None:
    send(browser, room, 0)
    [booked] = s3.names()
    files.write(room.room_id, KEY, 1, b"half done")
    files.write(uuid.uuid4().hex, KEY, 1, b"of a room that is gone")
    assert leftovers.erase(timezone.now()) == 0
    assert leftovers.erase(timezone.now() + timedelta(minutes=61)) == 2
    assert s3.names() == [booked]
    files.write(room.room_id, KEY, 2, b"half done")
    erase(room)


def send_recording(browser: Client, room: Room, folder: Path) -> None:
    """Six seconds, in chunks, the last minute of a live room."""
    Room.objects.filter(pk=room.pk).update(admitted_at=timezone.now() - timedelta(seconds=60))
    video = make_recorder_webm(
        folder / "six.webm", seconds=6.0, samples=tone(6.0), size=(160, 120), fps=10.0, keyframe_every=10
    )
    data = video.read_bytes()
    pieces = [data[at : at + 7001] for at in range(0, len(data), 7001)]
    for number, piece in enumerate(pieces):
        assert send(browser, room, number, piece).status_code == 200
    address = f"/rooms/{room.code}/recording/{KEY}/end"
    ended = browser.post(address, {"chunks": len(pieces)}, content_type="application/json")
    assert ended.json()["complete"] is True


def test_one_host_takes_the_chunks_and_another_does_the_work(
    s3: S3Server, room: Room, browser: Client, tmp_path: Path, settings
) -> None:
    """They share database, queue and store, and no folder."""
    send_recording(browser, room, tmp_path)
    other = tmp_path / "other-host"
    with running_valkey(tmp_path / "valkey") as valkey:
        settings.REDIS_URL = valkey.url
        work_queue._outage.end()
        lifecycle.end(room, room.owner)
        Recording.objects.update(stopped_at=timezone.now() - timedelta(seconds=jobs.SETTLE_S + 1))
        environment = clean_environment(
            DATABASE_URL=database_url(),
            REDIS_URL=valkey.url,
            VAR_DIR=str(other),
            MEDIA_STORAGE=STORAGE,
            **s3.environment,
        )
        with running(["work", "--lazy"], tmp_path / "worker.log", environment) as worker:
            worker.says("is ready", within_s=240)
            wait_for(handed_over, within_s=300, every_s=1.0)
            worker.stop()
    answer = Answer.objects.get()
    assert answer.media_info["duration_s"] == pytest.approx(6.0, abs=0.5)
    assert s3.names() == [answer.media.name], "the answer alone: no chunk is left"
    with local_media(answer) as path:
        [info] = media.probe([path], intake.media_limits())
    assert info.duration_s == pytest.approx(6.0, abs=0.5)
    assert [path for path in other.rglob("*") if path.is_file() and path.stat().st_size > 1000] == []
    retention.erase_candidate(room.candidate)
    assert not Assessment.objects.exists()


def handed_over() -> bool:
    """And the chunks are erased."""
    jobs.sweep()
    return Recording.objects.get().state == Recording.State.HANDED_OVER and not Chunk.objects.exists()


def test_what_is_left_after_the_time_is_erased(s3: S3Server, room: Room, browser: Client) -> None:
    send(browser, room, 0)
    lifecycle.end(room, room.owner)
    assert retention.purge(timezone.now() + timedelta(days=8)).others["recording_chunks"] == 1
    assert s3.names() == []
    Room.objects.update(erase_at=timezone.now())
    files.write(room.room_id, KEY, 2, b"half done")
    retention.purge()
    assert not Room.objects.exists()


def test_a_store_that_is_away_is_told_and_nothing_is_booked(
    s3: S3Server, room: Room, browser: Client, settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The browser keeps the chunk and sends it again; withdrawing works without the store, the sweep does the rest."""

    def connect_anew(address: str) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        settings.STORAGES = {**site.STORAGES, "default": media_store.bucket(STORAGE)}

    assert send(browser, room, 0).status_code == 200
    connect_anew(f"http://127.0.0.1:{free_port()}")
    for number in (0, 1):
        refused = send(browser, room, number)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "storage_away")
    assert Chunk.objects.count() == 1
    consent.answer(Participant.objects.get(role="candidate"), {Scope.RECORDING: False})
    assert not Chunk.objects.exists()
    connect_anew(s3.url)
    assert len(s3.names()) == 1
    assert leftovers.erase(timezone.now() + timedelta(minutes=61)) == 1
