"""What comes over the analysis socket, binary or JSON -> a frame or a piece of sound; see docs/protocol.md.

Whether a frame really is a JPEG is for the inference process to find out, which decodes it: the web process never does.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any, Literal

Code = Literal["bad_message", "bad_frame", "bad_audio", "too_large"]

SAMPLE_RATE = 16_000
LEAST_RATE, MOST_RATE = 8_000, 96_000
MAX_PAYLOAD = 512 * 1024
HEADER = 9
"""One byte of kind, eight of milliseconds."""
JPEG, PCM = 1, 2
MAX_TEXT = MAX_PAYLOAD * 4 // 3 + 1024
"""Base64 makes four letters of three bytes; the rest is for the names around it."""
MAX_T_MS = 7 * 24 * 3600 * 1000
"""No socket is open for a week: a time past it is garbage, and counts as 0."""
MAX_SOUND_S = 10.0
"""A longer piece is no live sound: the analysis looks at 10 s at most."""

_SAY: dict[Code, str] = {
    "bad_message": "This is neither a frame nor sound as described in docs/protocol.md.",
    "bad_frame": "A frame is a JPEG picture that is not empty.",
    "bad_audio": "Sound is PCM, 16 bits little endian, one channel, up to 10 s a piece; 16 kHz unless told.",
    "too_large": "A message holds 512 KiB of picture or sound at most.",
}


class BadMessage(Exception):
    """Not taken. `code` as in docs/protocol.md; `message` is for whoever writes a client."""

    def __init__(self, code: Code, message: str = "") -> None:
        self.code, self.message = code, message or _SAY[code]
        super().__init__(code)


@dataclass(frozen=True)
class Frame:
    """`t_ms` is the browser's, since its socket opened; 0 where it does not say. It tells what comes late
    (`rooms.live.lateness`); nothing else relies on it."""

    t_ms: int
    jpeg: bytes


@dataclass(frozen=True)
class Sound:
    """PCM s16le, mono, `rate` samples a second."""

    t_ms: int
    pcm: bytes
    rate: int = SAMPLE_RATE

    @property
    def seconds(self) -> float:
        return len(self.pcm) / 2 / self.rate


def parse(data: bytes | str) -> Frame | Sound:
    """Raises BadMessage, whatever `data` is."""
    return _from_json(data) if isinstance(data, str) else _from_binary(data)


def _from_binary(data: bytes) -> Frame | Sound:
    if len(data) > HEADER + MAX_PAYLOAD:
        raise BadMessage("too_large")
    if len(data) < HEADER:
        raise BadMessage("bad_message")
    return _media(data[0], _time(int.from_bytes(data[1:HEADER], "big")), data[HEADER:])


def _from_json(text: str) -> Frame | Sound:
    if len(text) > MAX_TEXT:
        raise BadMessage("too_large")
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadMessage("bad_message") from error
    if not isinstance(message, dict):
        raise BadMessage("bad_message")
    if message.get("type") == "video-frame":
        return _media(JPEG, _time(message.get("t_ms")), _decoded(message.get("frame"), "bad_frame"))
    if message.get("type") == "audio-chunk":
        rate = _rate(message.get("sampleRate", SAMPLE_RATE))
        return _media(PCM, _time(message.get("t_ms")), _decoded(message.get("audioData"), "bad_audio"), rate)
    raise BadMessage("bad_message")


def _rate(rate: Any) -> int:
    """Browsers' microphones have 8 to 96 kHz; earlier clients send what theirs has."""
    if isinstance(rate, bool) or not isinstance(rate, int | float) or rate != rate // 1:
        raise BadMessage("bad_audio")
    if not LEAST_RATE <= rate <= MOST_RATE:
        raise BadMessage("bad_audio", f"Sound has from {LEAST_RATE} to {MOST_RATE} samples a second.")
    return int(rate)


def _time(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_T_MS:
        return 0
    return value


def _decoded(value: Any, code: Code) -> bytes:
    """Of base64: with or without ``data:…;base64,`` before it, in either alphabet, with or without padding and line
    breaks."""
    if not isinstance(value, str):
        raise BadMessage(code)
    if value[:5].lower() == "data:":
        head, comma, value = value.partition(",")
        if not comma or not head.lower().endswith(";base64"):
            raise BadMessage(code)
    letters = "".join(value.split()).replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(letters + "=" * (-len(letters) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadMessage(code) from error


def _media(kind: int, t_ms: int, payload: bytes, rate: int = SAMPLE_RATE) -> Frame | Sound:
    if len(payload) > MAX_PAYLOAD:
        raise BadMessage("too_large")
    if kind == JPEG:
        return Frame(t_ms, _jpeg(payload))
    if kind == PCM:
        return Sound(t_ms, _pcm(payload, rate), rate)
    raise BadMessage("bad_message")


def _jpeg(payload: bytes) -> bytes:
    if not payload.startswith(b"\xff\xd8\xff"):  # SOI and the first marker (ITU T.81, annex B)
        raise BadMessage("bad_frame")
    return payload


def _pcm(payload: bytes, rate: int) -> bytes:
    if not payload or len(payload) % 2 or len(payload) > 2 * rate * MAX_SOUND_S:
        raise BadMessage("bad_audio")
    return payload
