"""What an answer's results must be read with."""

from __future__ import annotations

from typing import Any

from assessment.models import Answer
from assessment.policy import Policy

FACE_VISIBLE_SHARE = 0.9  # assumption: below it people should know that the visual measures rest on a part
Outputs = dict[str, dict[str, Any]]


def collect(answer: Answer, outputs: Outputs) -> list[dict[str, str]]:
    """Warnings of the contract, in a fixed order, each once."""
    found = _media(answer) + _speech(answer, outputs) + _faces(answer, outputs)
    for stage in ("translate", "stress", "grade"):
        found += outputs.get(stage, {}).get("warnings", [])
    policy = Policy.from_snapshot(answer.assessment.policy)
    if policy.reason:
        found.append(_warning(policy.reason, policy.message))
    return found


def _warning(code: str, message: str) -> dict[str, str]:
    return {"code": code, "message": message}


def _media(answer: Answer) -> list[dict[str, str]]:
    if not answer.media_info.get("truncated"):
        return []
    reached = answer.media_info.get("duration_s") or 0.0
    return [
        _warning("truncated", f"The recording breaks off at {reached:.1f} s; it was analysed up to there.")
    ]


def _speech(answer: Answer, outputs: Outputs) -> list[dict[str, str]]:
    transcript = outputs["transcribe"]
    if not answer.media_info.get("has_audio"):
        return [
            _warning("no_audio", "The recording has no sound, so nothing that was said could be analysed.")
        ]
    if transcript["language"] is None:
        return [_warning("no_speech", "No speech was heard, so there is no transcript and no score.")]
    if transcript["language_uncertain"]:
        name = {"en": "English", "id": "Indonesian"}[transcript["language"]]
        return [
            _warning("language_uncertain", f"The language was taken to be {name}, but the other was close.")
        ]
    return []


def _faces(answer: Answer, outputs: Outputs) -> list[dict[str, str]]:
    if not answer.media_info.get("has_video"):
        return [_warning("no_video", "The recording has no picture, so nothing visual could be analysed.")]
    seen = outputs["watch"]["face_detected_percentage"]
    if seen is None or seen < 100 * FACE_VISIBLE_SHARE:
        message = (
            f"A face was visible for {seen or 0:.0f} % of the recording; visual measures rest on that part."
        )
        return [_warning("face_not_visible", message)]
    return []
