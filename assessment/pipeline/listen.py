"""Stage: samples and words -> who spoke when, pauses, speech rate."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from assessment.pipeline import transcribe
from assessment.pipeline.models import package_versions

if TYPE_CHECKING:
    from assessment.pipeline.attempt import Attempt

NAME = "listen"


def versions() -> dict[str, Any]:
    return package_versions("resemblyzer", "faster-whisper") | {"model": "resemblyzer GE2E, Silero VAD"}


def run(work: Attempt) -> dict[str, Any]:
    from mlcore.speakers import find_voices
    from mlcore.speech_measures import measure_speech

    transcript = transcribe.unpack(work.outputs[transcribe.NAME])
    activity = work.voice_activity
    speech = activity.speech if transcript else ()
    words = transcript.words if transcript else ()
    return {
        "voices": asdict(find_voices(work.samples, speech)),
        "speech": asdict(measure_speech(words, activity)),
    }
