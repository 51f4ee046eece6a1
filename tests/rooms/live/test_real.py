"""The whole way with nothing scripted: a real JPEG and real speech through the socket to the inference process, and
from there to the panel's socket and the database."""

from __future__ import annotations

import asyncio
import time
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
from tests.rooms.test_analysis_consumer import live_room, opened, until
from tests.rooms.wire import hang_up, interviewer

MODEL = Path(site_settings.MODELS_DIR) / "face_landmarker" / "face_landmarker.task"
pytestmark = [
    pytest.mark.slow,
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
        started.says("Models for live rooms loaded", within_s=60)
        yield


@pytest.mark.usefixtures("_inference")
async def test_a_smiling_speaker_is_seen_heard_and_stored() -> None:
    room, _place, key = await live_room()
    panel = await interviewer(room)
    media = await opened(room, key)
    samples = np.clip(say(ANSWER), -1, 1)
    pcm = (samples * 32767).astype("<i2").tobytes()
    began = time.monotonic()
    for second in range(min(6, len(samples) // 16_000)):
        await media.frame(smiling_picture())
        await media.sound(pcm[second * 32_000 : (second + 1) * 32_000])
        await asyncio.sleep(max(0.0, began + second + 1 - time.monotonic()))
    while (metrics := await panel.next("speech_metrics"))["rate"] is None:
        pass  # the first comes after two seconds of speech, too few for a rate
    await panel.settle()
    results = [message for message in panel.heard if message["type"] == "stress_analysis"]
    assert any(
        one["face"] == {**one["face"], "detected": True, "count": 1, "quality": "ok"} for one in results
    )
    assert any(one["voice"]["speaking"] for one in results)
    assert any(set(one["sources"]) == {"face", "voice"} for one in results)
    assert all(one["stress"]["level"] in ("low", "medium", "high") for one in results)
    assert 2 < metrics["rate"] < 7
    assert metrics["speech_share"] > 0.5
    await until(Reading.objects.filter(room=room, from_face=True, from_voice=True, low__isnull=False).exists)
    await media.frame(encoded(np.zeros((1, 1, 3), np.uint8)))
    assert await media.error() == "bad_frame"
    await hang_up()
