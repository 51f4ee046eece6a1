"""What `GET /api/rooms/{code}/summary` gives, for the OpenAPI document. The document itself is `rooms.summary`'s; tests
hold the two together."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from rooms.schemas import RoomStatus

Level = Literal["low", "medium", "high", "unsure"]


class Exact(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SummaryRoom(Exact):
    roomId: str
    code: str
    title: str
    status: RoomStatus
    candidate: str
    candidate_country: str | None
    language: str
    interviewers: list[str]
    created_at: datetime
    admitted_at: datetime | None = Field(description="When the candidate was first let in: second 0.")
    ended_at: datetime | None
    duration_s: float | None


class SummaryPolicy(Exact):
    emotion_inference: bool
    reason: str = Field(description="policy_prohibits or country_unknown, else empty.")


class Expressions(Exact):
    """Of the expression indicator: a guess from face and voice, not a measure of what somebody feels."""

    measured_s: int
    distribution: dict[Level, float]
    mean_probabilities: dict[str, float]
    model_confidence: float


class Index(Exact):
    """0-100."""

    mean: float
    lowest: float
    highest: float
    measured_s: int


class Attention(Exact):
    measured_s: int
    face_visible_share: float
    several_faces_s: int
    eye_contact_share: float | None


class Speech(Exact):
    rate: float | None
    rate_unit: str | None
    rate_method: str | None
    words_per_minute: float | None
    speech_share: float | None
    longest_pause_s: float | None
    windows: int


class Measures(Exact):
    """Null where nothing was measured, or may be."""

    stress: Expressions | None
    confidence: Index | None
    voice_confidence: Index | None
    attention: Attention | None
    speech: Speech | None


class QuestionMeasures(Measures):
    number: int = Field(description="From 1.")
    text: str
    start_s: float
    end_s: float


class AlertOut(Exact):
    id: int
    t: float
    kind: str
    severity: str
    value: float | None
    message: str


class NoteOut(Exact):
    id: int
    t: float
    text: str
    author: str


class TimelinePoint(Exact):
    t: float
    low: float | None
    medium: float | None
    high: float | None
    level: Level | None
    confidence: float | None
    voice_confidence: float | None
    sources: list[Literal["face", "voice"]]


class SummaryAssessment(Exact):
    session_id: str
    status: str
    results_url: str


class SummaryOut(Measures):
    success: Literal[True]
    room: SummaryRoom
    policy: SummaryPolicy
    questions: list[QuestionMeasures]
    alerts: list[AlertOut]
    notes: list[NoteOut]
    timeline: list[TimelinePoint]
    assessment: SummaryAssessment | None


class AlertsOut(Exact):
    success: Literal[True]
    alerts: list[AlertOut]
