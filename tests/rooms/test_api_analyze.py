"""`/analyze/image` and `/analyze/reset`, with the real inference process behind them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.conf import settings as site_settings
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from assessment.models import ApiToken, AuditEntry
from rooms import groups, lifecycle
from rooms.models import Room
from tests.interviewsite.processes import clean_environment, running
from tests.media_factory import empty_room
from tests.rooms.pictures import encoded, smiling_picture
from tests.rooms.records import make_room, make_user

pytestmark = pytest.mark.django_db

MODEL = Path(site_settings.MODELS_DIR) / "face_landmarker" / "face_landmarker.task"
needs_models = pytest.mark.skipif(not MODEL.exists(), reason="the models are not fetched")


def headers(user: User) -> dict[str, str]:
    return {"HTTP_AUTHORIZATION": f"Bearer {ApiToken.issue(user)[1]}"}


def picture(content: bytes, name: str = "me.jpg") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content, "image/jpeg")


def refused(response: Any, status: int, code: str) -> dict[str, Any]:
    body = response.json()
    assert (response.status_code, body["success"], body["error"]["code"]) == (status, False, code), body
    return body["error"]


@pytest.fixture
def nobody_there(settings: Any, tmp_path: Path) -> None:
    settings.INFERENCE_SOCKET = tmp_path / "nobody.sock"


@pytest.fixture
def send(client: Client) -> Callable[..., Any]:
    token = headers(make_user())

    def post(content: bytes | None, name: str = "me.jpg", **fields: str) -> Any:
        form: dict[str, Any] = dict(fields)
        if content is not None:
            form["file"] = picture(content, name)
        return client.post("/analyze/image", form, **token)

    return post


# -- Pictures -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def process_socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("analyze")
    path = folder / "i.sock"
    environment = clean_environment(VAR_DIR=str(folder), INFERENCE_SOCKET=str(path))
    with running(["infer", "--dies-with-parent"], folder / "infer.log", environment) as started:
        started.says("Models for live rooms loaded", within_s=240)
        yield path


@pytest.fixture
def there(process_socket: Path, settings: Any) -> None:
    settings.INFERENCE_SOCKET = process_socket


@pytest.mark.slow
@needs_models
class TestPictures:
    def test_a_face_is_found_and_read_where_the_law_allows(self, there: None, send: Callable[..., Any]):
        body = send(smiling_picture(), "sari.jpg", candidate_country="id").json()
        assert set(body) == {"success", "results", "filename", "warnings"}
        assert (body["success"], body["filename"], body["warnings"]) == (True, "sari.jpg", [])
        face, stress = body["results"]["face"], body["results"]["stress"]
        assert (face["detected"], face["count"], face["quality"]) == (True, 1, "ok")
        assert stress["level"] == "low"
        assert sum(stress["probabilities"].values()) == pytest.approx(1.0, abs=1e-4)
        assert max(stress["emotions"], key=stress["emotions"].__getitem__) == "happy"

    @pytest.mark.parametrize(
        ("country", "code"), [({}, "country_unknown"), ({"candidate_country": "DE"}, "policy_prohibits")]
    )
    def test_nothing_of_emotions_is_said_where_it_does_not(
        self, there: None, send: Callable[..., Any], country: dict[str, str], code: str
    ):
        body = send(smiling_picture(), **country).json()
        assert body["results"]["stress"] is None
        assert [warning["code"] for warning in body["warnings"]] == [code]
        assert body["results"]["face"]["detected"] is True
        assert "happy" not in json.dumps(body)

    def test_a_picture_without_a_face_has_no_stress(self, there: None, send: Callable[..., Any]):
        body = send(encoded(empty_room(640, 480), "PNG"), "room.png", candidate_country="ID").json()
        assert body["results"]["face"] == {
            "detected": False,
            "count": 0,
            "quality": "no_face",
            "yaw_deg": None,
            "pitch_deg": None,
        }
        assert body["results"]["stress"] is None

    @pytest.mark.parametrize(
        "content",
        [b"not a picture", smiling_picture()[:500], encoded(np.zeros((2, 2, 3), np.uint8))],
        ids=["text", "broken off", "tiny"],
    )
    def test_what_is_no_picture_is_refused(self, there: None, send: Callable[..., Any], content: bytes):
        refused(send(content, candidate_country="ID"), 400, "unreadable_image")

    def test_a_reset_clears_the_callers_own_history(self, there: None, client: Client):
        mine, other = headers(make_user("mine")), headers(make_user("other"))

        def read(token: dict[str, str], content: bytes) -> dict[str, float]:
            form = {"file": picture(content), "candidate_country": "ID"}
            body = client.post("/analyze/image", form, **token).json()
            probabilities: dict[str, float] = body["results"]["stress"]["probabilities"]
            return probabilities

        first = read(mine, smiling_picture())
        turned = smiling_picture(light=0.35)
        mixed = read(mine, turned)
        alone = read(other, turned)
        assert mixed["low"] == pytest.approx((first["low"] + alone["low"]) / 2, abs=1e-3)
        assert abs(mixed["low"] - alone["low"]) > 1e-5
        assert client.post("/analyze/reset", **mine).json() == {"success": True}
        assert read(mine, turned)["low"] == pytest.approx(alone["low"], abs=1e-5)


def test_anonymous_callers_are_refused_before_the_picture_is_read(client: Client, nobody_there: None):
    for address in ("/analyze/image", "/analyze/reset"):
        refused(client.post(address, {"file": picture(b"x")}), 401, "unauthenticated")


def test_a_browser_needs_its_csrf_token(nobody_there: None):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(make_user())
    refused(browser.post("/analyze/image", {"file": picture(b"x")}), 403, "csrf_failed")


def test_a_form_without_a_file_is_named(send: Callable[..., Any], nobody_there: None):
    refused(send(None, candidate_country="ID"), 400, "no_file")


def test_a_country_that_is_none_is_named(send: Callable[..., Any], nobody_there: None):
    refused(send(b"x", candidate_country="Indonesia"), 400, "invalid_field")


def test_what_is_too_large_is_refused_by_its_length(send: Callable[..., Any], nobody_there: None):
    error = refused(send(bytes(13 * 1024 * 1024), candidate_country="ID"), 413, "too_large")
    assert error["details"]["limit_bytes"] == 10 * 1024 * 1024
    refused(send(bytes(10 * 1024 * 1024 + 1), candidate_country="ID"), 413, "too_large")


def test_without_the_process_it_is_away(send: Callable[..., Any], nobody_there: None):
    refused(send(smiling_picture(), candidate_country="ID"), 503, "analysis_away")


# -- Resets -------------------------------------------------------------------------------------


class Listener:
    """Who hears what goes to the sockets of a room."""

    def __init__(self, room: Room) -> None:
        self._layer = get_channel_layer()
        for kind in ("analysis", "panel"):
            async_to_sync(self._layer.group_add)(getattr(groups, kind)(room), f"test-{kind}")

    def got(self, kind: str) -> dict[str, Any] | None:
        if f"test-{kind}" not in self._layer.channels:
            return None
        message: dict[str, Any] = async_to_sync(self._layer.receive)(f"test-{kind}")
        return message


@pytest.fixture
def panelist() -> User:
    return make_user("panelist")


@pytest.fixture
def room(panelist: User) -> Room:
    return make_room(panel=(panelist,))


@pytest.fixture
def heard(room: Room) -> Iterator[Listener]:
    layer = get_channel_layer()
    async_to_sync(layer.flush)()
    yield Listener(room)
    async_to_sync(layer.flush)()


def reset(client: Client, user: User, room: Any) -> Any:
    return client.post("/analyze/reset", json.dumps({"room": room}), "application/json", **headers(user))


@pytest.mark.parametrize("who", ["interviewer", "panelist", "hr"])
def test_who_sees_a_room_may_reset_it(client: Client, room: Room, heard: Listener, who: str):
    user = (
        User.objects.create_superuser("hr", password="a long enough password")
        if who == "hr"
        else make_user(who)
    )
    assert reset(client, user, room.code).json() == {"success": True}
    assert heard.got("analysis") == {"type": "analysis.message", "message": {"type": "reset"}}
    assert heard.got("panel") == {
        "type": "panel.message",
        "message": {"type": "analysis-reset", "by": who},
    }
    assert AuditEntry.objects.filter(action="room.reset_analysis").count() == 1


def test_a_form_names_the_room_too(client: Client, room: Room, heard: Listener):
    response = client.post("/analyze/reset", {"room": room.code}, **headers(make_user()))
    assert response.json() == {"success": True}
    assert heard.got("analysis") is not None


def test_rooms_of_others_and_no_rooms_look_the_same(client: Client, room: Room, heard: Listener):
    stranger = make_user("stranger")
    answers = [reset(client, stranger, code) for code in (room.code, "bcd-fghj-kmn", "nonsense")]
    first, *others = [refused(answer, 404, "not_found") for answer in answers]
    assert all(other == first for other in others)
    assert heard.got("analysis") is None
    assert heard.got("panel") is None


def test_nothing_is_cleared_where_the_interview_has_ended(client: Client, room: Room, heard: Listener):
    lifecycle.end(room, room.owner)
    refused(reset(client, make_user(), room.code), 409, "room_ended")
    assert heard.got("panel") is None


@pytest.mark.parametrize("body", ["[1]", '{"room": 5}', "{"])
def test_what_names_no_room_is_refused(client: Client, body: str, nobody_there: None):
    response = client.post("/analyze/reset", body, "application/json", **headers(make_user()))
    assert response.status_code == 400
    assert response.json()["success"] is False


def test_without_the_process_there_is_nothing_to_clear(client: Client, nobody_there: None):
    token = headers(make_user())
    assert client.post("/analyze/reset", **token).json() == {"success": True}
    assert client.post("/analyze/reset", "{}", "application/json", **token).json() == {"success": True}


def test_a_form_of_very_many_fields_is_refused_and_that_is_logged(
    client: Client, caplog: pytest.LogCaptureFixture
):
    form = {f"f{number}": "x" for number in range(1100)}
    refused(client.post("/analyze/reset", form, **headers(make_user())), 400, "invalid_request")
    assert "POST /analyze/reset was refused: TooManyFieldsSent" in caplog.messages


def test_a_key_stands_for_one_request_alone(client: Client, nobody_there: None):
    token = headers(make_user())

    def reset_with(key: str, **form: str) -> int:
        return client.post("/analyze/reset", form, HTTP_IDEMPOTENCY_KEY=key, **token).status_code

    assert (reset_with("a"), reset_with("a"), reset_with("b")) == (200, 200, 200)
    assert reset_with("a", room="bcd-fghj-kmn") == 409
    assert reset_with("c", room="bcd-fghj-kmn") == 404
