"""What goes over the socket between the web server and the inference process.

A message is two lengths (big endian, 4 bytes each), a JSON header of the first length, and bytes of the second: a
picture or samples. Requests carry an `id`, which their answer repeats, so that many are under way on one connection.
"""

from __future__ import annotations

import asyncio
import json
import struct
from dataclasses import dataclass
from typing import Any, Literal

LENGTHS = struct.Struct("!II")
MAX_HEADER_BYTES = 64 * 1024
MAX_PAYLOAD_BYTES = 10 * 1024 * 1024
"""The largest picture of ``/analyze/image``; frames and windows of sound are far smaller."""

TIMEOUT_S = 5.0
"""Who waits longer for an answer has no use for it any more. *Assumption*: five frames."""

Code = Literal["inference_away", "inference_busy", "inference_slow", "bad_frame", "bad_audio"]


class InferenceError(Exception):
    """Why there is no answer. ``inference_away``, ``inference_busy`` and ``inference_slow`` pass; ``bad_frame`` and
    ``bad_audio`` are about what was sent."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code: Code = code
        self.message = message


class BadMessage(Exception):
    """What came is no message; the connection is of no use any more."""


@dataclass(frozen=True)
class Stress:
    """The smoothed expression indicator. `model_confidence` 0-1 is the probability of `level`."""

    level: str
    probabilities: dict[str, float]
    model_confidence: float
    unsure: bool


@dataclass(frozen=True)
class Looked:
    """What a frame showed. `stress` is None where nothing could be read, or emotions were not asked for; `sources`
    tells what it was read from.

    `eye_contact` is None without a face, while the eyes are shut, and until the session's own line of sight is known.
    `yaw_deg` and `pitch_deg` are the head's (signs as `mlcore.face_geometry.Face`). `latency_ms` counts from the
    request's arrival to its answer, waiting included."""

    stress: Stress | None
    sources: tuple[str, ...]
    detected: bool
    count: int
    quality: str | None
    eye_contact: bool | None
    yaw_deg: float | None
    pitch_deg: float | None
    emotions: dict[str, float] | None
    latency_ms: float


@dataclass(frozen=True)
class Heard:
    """What a window of sound held. `speech` and `syllables_s` count seconds within the window; `loudness_db` is the
    level of its speech in dBFS; `other_voice` the cosine distance of the voice to the session's own so far, 0 to 1,
    None where it was not computed this time."""

    stress: Stress | None
    sources: tuple[str, ...]
    speaking: bool
    quality: str | None
    speech: tuple[tuple[float, float], ...]
    syllables_s: tuple[float, ...]
    loudness_db: float | None
    other_voice: float | None
    latency_ms: float


Result = Looked | Heard | None


@dataclass(frozen=True)
class Message:
    header: dict[str, Any]
    payload: bytes = b""

    def encoded(self) -> bytes:
        """Raises BadMessage where it is larger than the other side takes."""
        header = json.dumps(self.header, separators=(",", ":")).encode()
        if len(header) > MAX_HEADER_BYTES or len(self.payload) > MAX_PAYLOAD_BYTES:
            raise BadMessage("The message is too large.")
        return LENGTHS.pack(len(header), len(self.payload)) + header + self.payload


def lengths_of(prefix: bytes) -> tuple[int, int]:
    """Bytes of header and payload. Raises BadMessage before anything so large is read."""
    header_bytes, payload_bytes = LENGTHS.unpack(prefix)
    if header_bytes > MAX_HEADER_BYTES or payload_bytes > MAX_PAYLOAD_BYTES:
        raise BadMessage("The message is too large.")
    return header_bytes, payload_bytes


def header_of(encoded: bytes) -> dict[str, Any]:
    """Raises BadMessage for what is no JSON object."""
    try:
        header = json.loads(encoded)
    except (ValueError, RecursionError) as error:
        raise BadMessage("The header is no JSON.") from error
    if not isinstance(header, dict):
        raise BadMessage("The header is no object.")
    return header


async def read_message(reader: asyncio.StreamReader) -> Message | None:
    """The next message; None where the other side is done. Raises BadMessage, OSError."""
    try:
        header_bytes, payload_bytes = lengths_of(await reader.readexactly(LENGTHS.size))
        header = header_of(await reader.readexactly(header_bytes))
        return Message(header, await reader.readexactly(payload_bytes))
    except asyncio.IncompleteReadError:
        return None


def result_header(result: Result, latency_ms: float) -> dict[str, Any]:
    """`latency_ms` replaces the result's own. Not by `dataclasses.asdict`, which copies every value, one by one."""
    if result is None:
        return {"result": None}
    stress = vars(result.stress) if result.stress is not None else None
    return {"result": vars(result) | {"stress": stress, "latency_ms": latency_ms}}


def error_header(error: InferenceError) -> dict[str, Any]:
    return {"error": {"code": error.code, "message": error.message}}


def _result(header: dict[str, Any]) -> dict[str, Any]:
    """Raises InferenceError where the answer is one."""
    if "error" in header:
        raise InferenceError(header["error"]["code"], header["error"]["message"])
    result: dict[str, Any] = header["result"]
    return result


def acknowledged(header: dict[str, Any]) -> None:
    """Of an answer without a result. Raises InferenceError."""
    _result(header)


def _stress(found: dict[str, Any] | None) -> Stress | None:
    return Stress(**found) if found else None


def looked(header: dict[str, Any]) -> Looked:
    """Of an answer to ``look``. Raises InferenceError."""
    found = _result(header)
    return Looked(**found | {"stress": _stress(found["stress"]), "sources": tuple(found["sources"])})


def heard(header: dict[str, Any]) -> Heard:
    """Of an answer to ``listen``. Raises InferenceError."""
    found = _result(header)
    lists = {
        "sources": tuple(found["sources"]),
        "speech": tuple((start_s, end_s) for start_s, end_s in found["speech"]),
        "syllables_s": tuple(found["syllables_s"]),
    }
    return Heard(**found | lists | {"stress": _stress(found["stress"])})


def look_header(session: str, t_s: float, *, emotion: bool, still: bool = False) -> dict[str, Any]:
    """`still`: a picture that somebody handed in, which may be a PNG."""
    return {"kind": "look", "session": session, "t_s": t_s, "emotion": emotion, "still": still}


def listen_header(session: str, t_s: float, *, emotion: bool) -> dict[str, Any]:
    return {"kind": "listen", "session": session, "t_s": t_s, "emotion": emotion}


def too_large(kind: Literal["bad_frame", "bad_audio"]) -> InferenceError:
    return InferenceError(kind, f"This is larger than {MAX_PAYLOAD_BYTES // (1024 * 1024)} MB.")


def away(why: str = "The analysis process is not running.") -> InferenceError:
    return InferenceError("inference_away", why)


def slow() -> InferenceError:
    return InferenceError("inference_slow", f"The analysis did not answer within {TIMEOUT_S:.0f} s.")
