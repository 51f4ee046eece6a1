"""`/analyze/…`: one picture through the expression indicator, and the clearing of smoothing."""

from __future__ import annotations

import hashlib
from typing import Any, Literal

from django.contrib.auth.models import User
from django.http import HttpRequest
from ninja import Router
from pydantic import BaseModel, Field

from assessment import fields, policy
from assessment.api import error_responses
from assessment.errors import RequestError
from assessment.hand_in import parse_json
from rooms import access, messages
from rooms.api.rooms import REPEATABLE_KEY, check_key
from rooms.inference import blocking
from rooms.inference.wire import MAX_PAYLOAD_BYTES, InferenceError, Looked

router = Router(tags=["rooms"])

STATUS = {"bad_frame": 400, "bad_audio": 400}
CODES = {
    "bad_frame": "unreadable_image",
    "inference_away": "analysis_away",
    "inference_busy": "analysis_busy",
    "inference_slow": "analysis_slow",
}


class FaceOut(BaseModel):
    detected: bool
    count: int
    quality: str | None = Field(description='"ok", or why the largest face cannot be read.')
    yaw_deg: float | None = Field(description="Of the head; positive towards the picture's right.")
    pitch_deg: float | None = Field(description="Positive upwards.")


class StressOut(BaseModel):
    """A proxy from facial expression, smoothed over the caller's last pictures; not a measure of what someone feels."""

    level: Literal["low", "medium", "high"]
    probabilities: dict[str, float]
    model_confidence: float
    unsure: bool
    emotions: dict[str, float] | None = Field(description="The last picture's alone, not smoothed.")


class PictureResults(BaseModel):
    face: FaceOut
    stress: StressOut | None = Field(
        description="Null where nothing could be read, or the policy forbids it."
    )


class PictureWarning(BaseModel):
    code: Literal["policy_prohibits", "country_unknown"]
    message: str


class PictureOut(BaseModel):
    success: Literal[True]
    results: PictureResults
    filename: str
    warnings: list[PictureWarning]


class ResetOut(BaseModel):
    success: Literal[True]


PICTURE_FORM = {
    "parameters": [REPEATABLE_KEY],
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "format": "binary", "description": "JPEG or PNG."},
                        "candidate_country": {"type": "string", "description": "ISO 3166-1, two letters."},
                    },
                }
            }
        },
    },
}
ROOM_SCHEMA = {
    "type": "object",
    "properties": {
        "room": {"type": "string", "description": "A room's code; without it, the caller's own pictures."}
    },
}
RESET_FORM = {
    "parameters": [REPEATABLE_KEY],
    "requestBody": {
        "required": False,
        "content": {
            "application/json": {"schema": ROOM_SCHEMA},
            "application/x-www-form-urlencoded": {"schema": ROOM_SCHEMA},
        },
    },
}


def _user(request: HttpRequest) -> User:
    user = request.user
    assert isinstance(user, User), "the API's authentication lets nobody else through"
    return user


def own_session(user: User) -> str:
    """The inference process's name for the pictures of one caller."""
    return f"user:{user.pk}"


@router.post(
    "/analyze/image",
    response={200: PictureOut, **error_responses(400, 401, 403, 409, 413, 503)},
    openapi_extra=PICTURE_FORM,
    summary="The face and the expression indicator of one picture",
)
def analyze_image(request: HttpRequest) -> dict[str, Any]:
    decision = policy.decide(fields.country(request.POST.get("candidate_country")))
    file = request.FILES.get("file")
    if file is None:
        raise RequestError("no_file", "Send the picture as the field `file` of a form.")
    if file.size is None or file.size > MAX_PAYLOAD_BYTES:
        raise RequestError("too_large", "This is too large: the most is 10 MB.", 413)
    picture = file.read()
    check_key(request, "analyze image", [hashlib.sha256(picture).hexdigest(), decision.candidate_country])
    try:
        seen = blocking.look_once(own_session(_user(request)), picture, emotion=decision.emotion_inference)
    except InferenceError as error:
        raise _refused(error) from error
    return _document(seen, decision, file.name or "")


@router.post(
    "/analyze/reset",
    response={200: ResetOut, **error_responses(400, 401, 403, 404, 409, 413, 503)},
    openapi_extra=RESET_FORM,
    summary="Clear the smoothing of the caller's pictures, or of a room",
)
def analyze_reset(request: HttpRequest) -> dict[str, Any]:
    user, code = _user(request), _room_code(request)
    check_key(request, "analyze reset", code)
    if code:
        _reset_room(user, code)
    else:
        _reset_own(user)
    return {"success": True}


def _room_code(request: HttpRequest) -> str:
    """ "" where no room is named."""
    if request.content_type == "application/json" and request.body:
        document = parse_json(request.body)
        room = document.get("room") if isinstance(document, dict) else None
        if not isinstance(document, dict) or not isinstance(room, str | None):
            raise RequestError("invalid_request", "Send an object whose `room` is the code of a room.")
        return room or ""
    return request.POST.get("room", "")


def _reset_room(user: User, code: str) -> None:
    room = access.get_visible(user, code)
    if room.ended:
        raise RequestError("room_ended", "This interview has ended: there is nothing to clear any more.", 409)
    reached = messages.to_analysis_now(room, {"type": "reset"})
    if not reached:
        raise RequestError("relay_away", "The rooms cannot be reached now. Try again in a few seconds.", 503)
    name = user.get_full_name() or user.get_username()
    messages.to_panel_now(room, {"type": "analysis-reset", "by": name})
    access.record("room.reset_analysis", room, user)


def _reset_own(user: User) -> None:
    try:
        blocking.reset_now(own_session(user))
    except InferenceError as error:
        if error.code != "inference_away":  # what it remembered is gone with it
            raise _refused(error) from error


def _refused(error: InferenceError) -> RequestError:
    return RequestError(CODES.get(error.code, error.code), error.message, STATUS.get(error.code, 503))


def _document(seen: Looked, decision: policy.Policy, filename: str) -> dict[str, Any]:
    stress = None
    if seen.stress is not None:
        stress = {
            "level": seen.stress.level,
            "probabilities": seen.stress.probabilities,
            "model_confidence": seen.stress.model_confidence,
            "unsure": seen.stress.unsure,
            "emotions": seen.emotions,
        }
    face = {name: getattr(seen, name) for name in FaceOut.model_fields}
    warnings = [] if decision.emotion_inference else [{"code": decision.reason, "message": decision.message}]
    return {
        "success": True,
        "results": {"face": face, "stress": stress},
        "filename": filename,
        "warnings": warnings,
    }
