"""The whole way with nothing scripted: a real JPEG and real speech through the socket to the inference process, and
from there to the panel's socket and the database."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.conf import settings as site_settings

from rooms.models import Reading
from tests.interviewsite.processes import clean_environment, running
from tests.mlcore.sounds import say
from tests.rooms.pictures import encoded, smiling_picture
from tests.rooms.test_analysis_consumer import Media, live_room, opened, until
from tests.rooms.wire import hang_up, interviewer

MODEL = Path(site_settings.MODELS_DIR) / "face_landmarker" / "face_landmarker.task"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.asyncio,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not MODEL.exists(), reason="the models are not fetched"),
]

ANSWER = "I have worked in this team for three years now, and most of all I like to see how people use what we build."


@pytest.fixture
def _inference(tmp_path: Path, settings: Any) -> Iterator[None]:
    settings.INFERENCE_SOCKET = tmp_path / "i.sock"
    environment = clean_environment(VAR_DIR=str(tmp_path), INFERENCE_SOCKET=str(tmp_path / "i.sock"))
    with running(["infer"], tmp_path / "infer.log", environment) as started:
        started.says("Models for live rooms loaded", within_s=240)
        yield


async def talk(media: Media, pcm: bytes) -> None:
    """A frame and a second of speech each second, over and over: a machine that stalls hears it the next time."""
    while True:
        for at in range(0, len(pcm) - 32_000, 32_000):
            await media.frame(smiling_picture())
            await media.sound(pcm[at : at + 32_000])
            await asyncio.sleep(1)


@pytest.mark.usefixtures("_inference", "patient_gate")
async def test_a_smiling_speaker_is_seen_heard_and_stored() -> None:
    room, _place, key = await live_room()
    panel = await interviewer(room)
    media = await opened(room, key)
    samples = np.clip(say(ANSWER), -1, 1)
    pcm = (samples * 32767).astype("<i2").tobytes()
    talking = asyncio.create_task(talk(media, pcm))
    async with asyncio.timeout(240):
        while (metrics := await panel.next("speech_metrics"))["rate"] is None:
            pass  # the first comes after two seconds of speech, too few for a rate
        while not {"face", "voice"} <= set((await panel.next("stress_analysis"))["sources"]):
            pass
    talking.cancel()
    await asyncio.gather(talking, return_exceptions=True)
    await panel.settle()
    results = [message for message in panel.heard if message["type"] == "stress_analysis"]
    assert any(
        one["face"] == {**one["face"], "detected": True, "count": 1, "quality": "ok"} for one in results
    )
    assert any(one["voice"]["speaking"] for one in results)
    assert any(set(one["sources"]) == {"face", "voice"} for one in results)
    assert {one["stress"]["level"] for one in results if one["stress"]} <= {"low", "medium", "high"}
    assert 2 < metrics["rate"] < 7
    assert metrics["speech_share"] > 0.5
    await until(Reading.objects.filter(room=room, from_face=True, from_voice=True, low__isnull=False).exists)
    await media.frame(encoded(np.zeros((1, 1, 3), np.uint8)))
    assert await media.error() == "bad_frame"
    await hang_up()
