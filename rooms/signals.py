"""The messages that browsers may send on the signalling socket (docs/protocol.md), checked."""

from __future__ import annotations

import json
import time
import uuid
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator

MAX_BYTES = 64 * 1024
RATE_PER_S, BURST = 30.0, 120.0
TOO_MANY_AFTER = 300  # messages over the rate until the socket is closed: 10 s of twice the rate
MAX_QUESTION = 999
MAX_T_S = 1e7

Peer = Annotated[str, StringConstraints(pattern="^[0-9a-f]{32}$")]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]


class NotUnderstood(Exception):
    """Not JSON, no known type, or wrong fields. `of`: the type, where it could be read."""

    def __init__(self, of: str = "") -> None:
        super().__init__(of)
        self.of = of


class Signal(BaseModel):
    """Fields that are not named are ignored, and never passed on."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", allow_inf_nan=False)


class Bare(Signal):
    """A message that is only its type."""


class ToPeer(Signal):
    to: Peer


class AboutPeer(Signal):
    peer: Peer


class _OfSession(Signal):
    """`session`: which of a peer's connections it belongs to, after one was rebuilt; the browsers' own affair."""

    session: int | Annotated[str, StringConstraints(max_length=64)] | None = None


class Offer(_OfSession):
    type: Literal["offer"]
    sdp: str = Field(max_length=MAX_BYTES)


class Answer(_OfSession):
    type: Literal["answer"]
    sdp: str = Field(max_length=MAX_BYTES)


class OfferTo(ToPeer):
    description: Offer


class AnswerTo(ToPeer):
    description: Answer


class Candidate(_OfSession):
    """As ``RTCIceCandidate.toJSON()``."""

    candidate: str = Field(max_length=2048)
    sdpMid: str | None = Field(None, max_length=256)
    sdpMLineIndex: int | None = Field(None, ge=0, le=65535)
    usernameFragment: str | None = Field(None, max_length=256)


class CandidateTo(ToPeer):
    candidate: Candidate | None


class _Worded(Signal):
    text: Text

    @field_validator("text")
    @classmethod
    def _storable(cls, text: str) -> str:
        if "\0" in text:
            raise ValueError("PostgreSQL stores no NUL")
        return text


class Chat(_Worded):
    pass


class NewNote(_Worded):
    t: float | None = Field(None, ge=0, le=MAX_T_S)


class Capture(Signal):
    face: bool
    voice: bool


class Media(Signal):
    microphone: bool
    camera: bool
    screen: bool = False


class NewConsent(Signal):
    scopes: dict[Literal["recording", "face", "voice"], bool] = Field(min_length=1)


class Recorded(Signal):
    segment: str
    content_type: str = Field("", max_length=100)
    begun: float | None = Field(None, ge=0, le=MAX_T_S)

    @field_validator("segment")
    @classmethod
    def _uuid(cls, text: str) -> str:
        return str(uuid.UUID(text))


class NextQuestion(Signal):
    number: int = Field(ge=0, le=MAX_QUESTION)


class Ping(Signal):
    id: int | Annotated[str, StringConstraints(max_length=64)] = Field(0)

    @field_validator("id")
    @classmethod
    def _small(cls, value: int | str) -> int | str:
        if isinstance(value, int) and abs(value) >= 2**53:
            raise ValueError("No number that JavaScript could have meant")
        return value


EVERYONE: dict[str, type[Signal]] = {
    "join-room": Bare,
    "peer-here": ToPeer,
    "offer": OfferTo,
    "answer": AnswerTo,
    "ice-candidate": CandidateTo,
    "chat": Chat,
    "media-state": Media,
    "leave": Bare,
    "ping": Ping,
    "pong": Bare,
}
CANDIDATE: dict[str, type[Signal]] = {
    "capture-status": Capture,
    "consent": NewConsent,
    "recording-started": Recorded,
    "recording-stopped": Recorded,
}
INTERVIEWER: dict[str, type[Signal]] = {
    "admit": AboutPeer,
    "refuse": AboutPeer,
    "end": Bare,
    "question": NextQuestion,
    "note": NewNote,
    "reset-analysis": Bare,
}
SERVER = frozenset(
    (
        "welcome",
        "peer-joined",
        "peer-left",
        "knock",
        "knock-ended",
        "waiting",
        "admitted",
        "refused",
        "put-out",
        "consent-changed",
        "recording-status",
        "stress_analysis",
        "speech_metrics",
        "real_time_alert",
        "analysis-status",
        "analysis-reset",
        "error",
    )
)
"""What the server alone says: a browser that tries is told that it may not."""

KNOWN = frozenset((*EVERYONE, *CANDIDATE, *INTERVIEWER, *SERVER))


def read(text: str | None) -> tuple[str, dict[str, Any]]:
    """Type and fields of a message of a known type. Raises NotUnderstood."""
    if text is None or len(text) > MAX_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise NotUnderstood
    try:
        document = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise NotUnderstood from error
    kind = document.get("type") if isinstance(document, dict) else None
    if not isinstance(kind, str) or kind not in KNOWN:
        raise NotUnderstood
    return kind, document


def check(kind: str, schema: type[Signal], document: dict[str, Any]) -> Signal:
    """Raises NotUnderstood."""
    try:
        signal = schema.model_validate(document)
        signal.model_dump_json()  # raises for halves of characters, which neither database nor relay can carry
    except (ValidationError, ValueError) as error:
        raise NotUnderstood(kind) from error
    return signal


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


class Allowance:
    """A token bucket: `rate_per_s` messages a second, `burst` at once."""

    def __init__(self, rate_per_s: float, burst: float) -> None:
        self._rate_per_s, self._burst = rate_per_s, burst
        self._left = burst
        self._at_s = time.monotonic()
        self._over = 0  # messages over the rate since the last time that the bucket was full

    def take(self) -> bool:
        now_s = time.monotonic()
        self._left = min(self._burst, self._left + (now_s - self._at_s) * self._rate_per_s)
        self._at_s = now_s
        if self._left >= self._burst - 1:
            self._over = 0
        if self._left < 1:
            self._over += 1
            return False
        self._left -= 1
        return True

    @property
    def used_up(self) -> bool:
        return self._over > TOO_MANY_AFTER
