"""docs/protocol.md against the wire: every example has the keys and kinds of a real message of its type, every message
that is sent is described with all of its fields, and every type that the server takes stands in a table."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from django.conf import settings as site_settings

from rooms import analysis_consumer, media_messages, signals
from rooms.inference.wire import InferenceError
from rooms.sockets import in_database
from tests.rooms.live.scripted import JPEG, Inference, looked, tone
from tests.rooms.records import cookie, enter, make_room
from tests.rooms.test_analysis_consumer import Media
from tests.rooms.wire import Wire, candidate, hang_up, interviewer

PAGE = (Path(site_settings.BASE_DIR) / "docs" / "protocol.md").read_text(encoding="utf-8")
SIGNED = {"type", "from", "to"}
"""As the page says once for all messages."""
Message = dict[str, Any]


def examples() -> list[Message]:
    """Every JSON message of the page, in blocks and within lines."""
    found, decoder = [], json.JSONDecoder()
    for block in re.findall(r"```json\n(.*?)```|`(?={\"type\")(.*?)`", PAGE, re.DOTALL):
        rest = "".join(block).strip()
        while rest:
            message, end = decoder.raw_decode(rest)
            found.append(message)
            rest = rest[end:].strip()
    return found


def rows() -> dict[str, str]:
    """By message type, the rows of the tables that begin with it; several types may share one."""
    found: dict[str, str] = {}
    for line in PAGE.splitlines():
        first = line.split("|")[1] if line.startswith("| `") else ""
        for kind in re.findall(r"`([a-z_-]+)`", first):
            found[kind] = found.get(kind, "") + line
    return found


ROWS, EXAMPLES = rows(), examples()


def described(kind: str) -> set[str]:
    """Names of fields that the page gives for a type: in its row, in the text after its example, or in the example."""
    words = set(re.findall(r"[a-z_]+", ROWS.get(kind, "")))
    for example in EXAMPLES:
        if example["type"] == kind:
            words |= set(example)
    return words | (set(re.findall(r"`([a-z_]+)`", PAGE)) if kind == "welcome" else set())


# -- Without a wire ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted({**signals.EVERYONE, **signals.CANDIDATE, **signals.INTERVIEWER}))
def test_what_browsers_may_send_is_described_with_all_its_fields(kind: str) -> None:
    schema = {**signals.EVERYONE, **signals.CANDIDATE, **signals.INTERVIEWER}[kind]
    assert kind in ROWS
    assert set(schema.model_fields) - SIGNED <= described(kind)


def test_every_type_of_the_tables_is_known() -> None:
    codes_and_media = {"invalid_request", "upload_broken", "not_allowed", "not_found", "recording_over"}
    codes_and_media |= {"other_content", "too_large", "recording_full", "unknown_type", "storage_full"}
    assert set(ROWS) - codes_and_media <= signals.KNOWN


def test_the_media_examples_are_taken() -> None:
    frame, sound = (one for one in EXAMPLES if one["type"] in ("video-frame", "audio-chunk"))
    frame["frame"] = "data:image/jpeg;base64," + base64.b64encode(JPEG).decode()
    sound["audioData"] = base64.b64encode(tone(0.5).pcm).decode()
    assert media_messages.parse(json.dumps(frame)).jpeg == JPEG  # type: ignore[union-attr]
    assert media_messages.parse(json.dumps(sound)).rate == 16000  # type: ignore[union-attr]


# -- On the wire ------------------------------------------------------------------------------


def same_shape(example: Any, real: Any, where: str) -> None:
    """Equal keys at every depth, and values of one kind where both are there."""
    if example is None or real is None:
        return
    if isinstance(example, dict):
        assert isinstance(real, dict), where
        assert set(example) == set(real), where
        for name, value in example.items():
            same_shape(value, real[name], f"{where}.{name}")
    elif isinstance(example, list):
        assert isinstance(real, list), where
        for one, other in zip(example[:1], real[:1], strict=False):
            same_shape(one, other, f"{where}[]")
    else:
        kinds = {bool: "boolean", int: "number", float: "number", str: "text"}
        assert kinds[type(example)] == kinds[type(real)], where


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Inference:
    inference = Inference()
    monkeypatch.setattr(analysis_consumer, "inference", lambda: inference)
    return inference


@pytest_asyncio.fixture
async def _hang_up(_django_db_helper: None) -> AsyncIterator[None]:
    yield
    await hang_up()


async def lobby(room: Any) -> tuple[Wire, Wire, str]:
    """Panel and candidate in the call, by way of a refusal."""
    panel = await interviewer(room)
    _other, other_key = await in_database(enter, room)
    refused = await candidate(room, other_key)
    await panel.send("refuse", peer=(await panel.next("knock"))["peer"])
    await refused.closed()
    place, key = await in_database(enter, room)
    browser = await candidate(room, key)
    await panel.next("knock")
    await panel.send("admit", peer=place.peer)
    assert (await browser.next("admitted"))["ice_servers"][0]["credential"]
    assert browser.welcome["ice_servers"] == [], "no credentials for who only has the link"
    again = await candidate(room, key)
    again.heard += [*refused.heard, *browser.heard]
    return panel, again, key


async def talk(panel: Wire, browser: Wire) -> None:
    """Everything that is said in a call, on either side."""
    description = {"type": "offer", "sdp": "v=0", "session": 1}
    await panel.send("join-room")
    await panel.settle()
    await browser.send("join-room")
    await panel.next("peer-joined")
    await panel.send("peer-here", to=browser.peer)
    await panel.send("offer", to=browser.peer, description=description)
    await browser.send("answer", to=panel.peer, description={**description, "type": "answer"})
    await browser.send("ice-candidate", to=panel.peer, candidate={"candidate": "", "sdpMid": "0"})
    await browser.send("chat", text="Hello")
    await browser.send("media-state", microphone=True, camera=True, screen=False)
    await browser.send("capture-status", face=True, voice=True)
    await browser.send(
        "recording-started", segment="5b0f7c3e-6d53-4f3b-9f3a-0a1b2c3d4e5f", content_type="video/webm"
    )
    await panel.send("question", number=0)
    await panel.send("note", text="A note")
    await panel.send("reset-analysis")
    await panel.send("offer", to="0" * 32, description=description)
    for wire in (panel, browser, panel, browser):
        await wire.settle()


async def analysed(panel: Wire, media: Media, scripted: Inference) -> None:
    """Results, an alert, and what the media socket says of its flow."""
    scripted.look_answer = lambda: looked(count=2)
    await media.sound(tone(3.0).pcm)
    await panel.next("speech_metrics")
    while not any(message["type"] == "real_time_alert" for message in panel.heard):
        await media.frame()
        await panel.next("stress_analysis")

    def away() -> Any:
        raise InferenceError("inference_away", "It is away.")

    scripted.look_answer = away
    await media.communicator.send_to(bytes_data=b"\x09")
    await media.next("error")
    while not any(message["type"] == "flow" for message in media.heard):
        await media.frame()
        await asyncio.sleep(0.5)
        if not await media.communicator.receive_nothing(0.05):
            await media.read()


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.asyncio
@pytest.mark.usefixtures("_hang_up", "patient_gate")
async def test_what_is_on_the_wire_is_what_the_page_says(scripted: Inference, settings: Any) -> None:
    settings.TURN_URLS, settings.TURN_SECRET = ("turn:turn.example:3478",), "a secret"
    room = await in_database(lambda: make_room(recording=True, questions=("One", "Two")))
    panel, browser, key = await lobby(room)
    await talk(panel, browser)
    media = await Media(room.code, cookie(room, key)).open()
    await analysed(panel, media, scripted)
    await browser.send("consent", scopes={"face": False})
    await browser.next("consent-changed")
    await media.next("capture")
    late = await interviewer(room)  # a newer socket: its welcome has notes, a question and a status
    await panel.closed()
    await late.send("end")
    for wire in (late, browser, media):
        await wire.closed()
    heard = [*panel.heard, *late.heard, *browser.heard, *media.heard]
    compare(heard)


def compare(heard: list[Message]) -> None:
    by_type: dict[str, list[Message]] = {}
    for message in heard:
        by_type.setdefault(message["type"], []).append(message)
    missing = {kind: set().union(*messages) - SIGNED - described(kind) for kind, messages in by_type.items()}
    assert {kind: names for kind, names in missing.items() if names} == {}, (
        "fields that the page does not name"
    )
    for example in EXAMPLES:
        if example["type"] in ("video-frame", "audio-chunk"):
            continue
        real = by_type[example["type"]]
        if example["type"] == "welcome":
            real = [one for one in real if one["role"] == "candidate" and one["state"] == "admitted"]
        real = [one for one in real if set(one) == set(example)]
        assert real, f"no {example['type']} has the keys {sorted(example)}"
        best = max(real, key=lambda message: sum(value is not None for value in message.values()))
        same_shape(example, best, example["type"])
    never = {"peer-left", "put-out", "waiting", "stress_analysis", "speech_metrics", "real_time_alert"}
    assert signals.SERVER - never <= set(by_type), "not all of it was heard"
