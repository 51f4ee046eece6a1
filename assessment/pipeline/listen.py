"""Stage: samples and words -> who spoke when, pauses, speech rate."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from assessment.pipeline import transcribe
from assessment.pipeline.models import package_versions
from mlcore.speakers import NO_VOICES, find_voices
from mlcore.speech_measures import measure_speech

if TYPE_CHECKING:
    from assessment.pipeline.attempt import Attempt

NAME = "listen"


def versions() -> dict[str, Any]:
    return package_versions("resemblyzer", "faster-whisper") | {"model": "resemblyzer GE2E, Silero VAD"}


def run(work: Attempt) -> dict[str, Any]:
    """``voices`` and ``speech`` as JSON. Durations are those of the sound, which is decoded before the picture."""
    transcript = transcribe.unpack(work.outputs[transcribe.NAME])
    words = transcript.words if transcript else ()
    heard = work.voice_activity if len(work.samples) else None
    assert work.stream is not None
    duration_s = heard.duration_s if heard else work.stream.info.duration_s or 0.0
    voices = find_voices(work.samples, heard) if words else NO_VOICES
    return {"voices": asdict(voices), "speech": asdict(measure_speech(words, heard, duration_s))}
