"""`/health`: a word for each part, reasons for staff, and never a long wait."""

from __future__ import annotations

import socket
import threading
import time
from collections import namedtuple

import pytest
from django.contrib.auth import get_user_model
from django.db import DatabaseError, connection

from assessment import work_queue
from interviewsite import health
from interviewsite.serving import presence
from tests.interviewsite.processes import running_valkey, wait_for

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def valkey(tmp_path_factory):
    with running_valkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture
def everything_up(valkey, settings, monkeypatch):
    """And nothing is given up because the machine that tests it stalls."""
    monkeypatch.setattr(health, "LIMIT_S", 60.0)
    monkeypatch.setattr(work_queue, "CONNECT_TIMEOUT_S", 30.0)
    monkeypatch.setattr(work_queue, "ANSWER_TIMEOUT_S", 30.0)
    settings.REDIS_URL = valkey.url
    monkeypatch.setattr("mlcore.assets.missing", lambda folder, whisper_model: [])
    monkeypatch.setattr("mlcore.stress.inventory.missing", lambda folder: [])
    with work_queue.connection() as client:
        client.flushall()
        presence.say_present(client, "host.1")


@pytest.fixture
def no_queue(settings, tmp_path):
    settings.REDIS_URL, settings.QUEUE_URL_FILE = "", tmp_path / "none"


def test_it_is_ok_when_everything_is(everything_up):
    words = dict.fromkeys(("database", "queue", "workers", "models", "disk"), "ok")
    assert health.report(staff=False) == ({"status": "ok", **words}, 200)


def test_weights_that_are_not_there_are_missing_models(everything_up, monkeypatch):
    monkeypatch.setattr("mlcore.stress.inventory.missing", lambda folder: ["weights/voice.safetensors"])
    assert health.report(staff=False)[0]["models"] == "missing"
    assert "weights/voice.safetensors. Run git checkout" in health.report(staff=True)[0]["reasons"]["models"]


def test_reasons_are_for_staff_alone(no_queue):
    everybody, status = health.report(staff=False)
    staff, _ = health.report(staff=True)
    assert (everybody["status"], everybody["queue"], everybody["workers"], status) == (
        "degraded",
        "away",
        "unknown",
        200,
    )
    assert "reasons" not in everybody
    assert "REDIS_URL" in staff["reasons"]["queue"]
    assert "manage.py infer" in staff["reasons"].pop("live_analysis")
    assert set(staff["reasons"]) == {name for name in health.CHECKS if staff[name] != "ok"}


def test_a_worker_that_fell_silent_does_not_count(everything_up, monkeypatch):
    now = time.time()
    monkeypatch.setattr(presence.time, "time", lambda: now + presence.PRESENT_FOR_S + 1)
    document, status = health.report(staff=True)
    assert (document["workers"], document["status"], status) == ("none", "degraded", 200)
    assert "manage.py work" in document["reasons"]["workers"]


def test_missing_models_are_named(valkey, settings, tmp_path):
    settings.REDIS_URL, settings.MODELS_DIR = valkey.url, tmp_path
    document, status = health.report(staff=True)
    assert (document["models"], status) == ("missing", 200)
    assert "face_landmarker" in document["reasons"]["models"]
    assert "fetch_models" in document["reasons"]["models"]


def test_a_full_disk_is_seen(everything_up, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(health.shutil, "disk_usage", lambda path: usage(10**12, 10**12, 10**8))
    document, status = health.report(staff=True)
    assert (document["disk"], document["status"], status) == ("low", "degraded", 200)
    assert "0.10 GB" in document["reasons"]["disk"]


def test_without_a_database_it_is_503(everything_up, monkeypatch):
    def refuse() -> None:
        raise DatabaseError("no connection")

    monkeypatch.setattr(type(connection._connections["default"]), "ensure_connection", lambda self: refuse())
    document, status = health.report(staff=True)
    assert (document["database"], status) == ("down", 503)


def test_a_part_that_hangs_is_not_waited_for(everything_up, monkeypatch):
    monkeypatch.setattr(health, "LIMIT_S", 0.5)
    release = threading.Event()
    monkeypatch.setitem(health.CHECKS, "models", lambda: release.wait(300) and health.OK)

    def found_in_time():
        report = health.report(staff=True)
        return report if report[0]["database"] == "ok" else None

    document, status = wait_for(found_in_time)
    release.set()
    assert (document["models"], document["status"], status) == ("unknown", "degraded", 200)


def test_a_queue_that_accepts_but_never_answers_is_away(everything_up, settings, monkeypatch):
    monkeypatch.setattr(work_queue, "ANSWER_TIMEOUT_S", 0.3)
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        settings.REDIS_URL = f"redis://127.0.0.1:{deaf.getsockname()[1]}/0"
        document, _ = health.report(staff=False)
    assert document["queue"] == "away"


def test_over_http_it_tells_reasons_to_staff_only(no_queue, client):
    assert "reasons" not in client.get("/health").json()
    users = get_user_model().objects
    client.force_login(users.create_user("interviewer"))
    assert "reasons" not in client.get("/health").json()
    client.force_login(users.create_superuser("hr"))
    answer = client.get("/health")
    assert (answer.status_code, answer.json()["reasons"]["queue"] != "") == (200, True)
