"""Stage: samples -> words with times and probabilities."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from django.conf import settings

from assessment.pipeline.models import package_versions, recognizer
from mlcore.speech import Language, Segment, Transcript, Word

if TYPE_CHECKING:
    from assessment.pipeline.attempt import Attempt

NAME = "transcribe"
TIME_PLACES = 3


def versions() -> dict[str, Any]:
    return package_versions("faster-whisper", "ctranslate2") | {"model": f"whisper {settings.WHISPER_MODEL}"}


def run(work: Attempt) -> dict[str, Any]:
    """The transcript as JSON; ``language`` is None without an audio track or speech."""
    if len(work.samples) == 0 or not work.voice_activity.speech:
        return pack(None)
    transcript = recognizer().transcribe(
        work.samples,
        cast(Language, work.answer.assessment.language),
        voice=work.voice_activity,
        on_progress=partial(work.progress.report, NAME),
    )
    return pack(transcript if transcript.words else None)


def pack(transcript: Transcript | None) -> dict[str, Any]:
    if transcript is None:
        return {
            "language": None,
            "segments": [],
            "confidence": None,
            "min_confidence": None,
            "max_confidence": None,
        }
    return asdict(transcript)


def unpack(output: dict[str, Any]) -> Transcript | None:
    """The transcript that `pack` stored; None without speech."""
    if output["language"] is None:
        return None
    segments = tuple(
        Segment(**(segment | {"words": tuple(Word(**word) for word in segment["words"])}))
        for segment in output["segments"]
    )
    return Transcript(**(output | {"segments": segments}))
