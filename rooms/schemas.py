"""Request and response types of the rooms API; they are what `/api/docs` shows."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr

RoomStatus = Literal["scheduled", "lobby", "live", "ended"]


class RoomIn(BaseModel):
    """What a program asks for. Unknown fields are refused, so that a slip of the pen does not change the policy."""

    model_config = ConfigDict(extra="forbid")

    title: StrictStr = Field(description="What the interview is about; the candidate reads it too.")
    candidate_name: StrictStr
    candidate_email: StrictStr | None = None
    candidate_country: StrictStr | None = Field(
        default=None, description="ISO 3166-1, two letters. Without it, nothing about emotion is inferred."
    )
    language: StrictStr | None = Field(default=None, description="en, id or auto (default).")
    questions: list[StrictStr] | None = None
    recording: StrictBool = Field(default=False, description="Ask the candidate whether it may be recorded.")
    planned_at: StrictStr | None = Field(default=None, description="ISO 8601, with a time zone.")
    panel: list[StrictStr] | None = Field(default=None, description="User names of further interviewers.")


class RoomCreated(BaseModel):
    success: Literal[True]
    roomId: str = Field(description="32 hex digits.")
    code: str = Field(description="The name of the room in the other calls.")
    candidate_link: str = Field(description="For the candidate alone: who has it may knock.")


class RoomOut(BaseModel):
    roomId: str
    code: str
    title: str
    status: RoomStatus
    participantCount: int = Field(description="People in the call now; and so on for the two sides.")
    interviewerCount: int
    intervieweeCount: int
    created_at: datetime


class RoomEnded(BaseModel):
    success: Literal[True]
    code: str
    status: Literal["ended"]
    ended_at: datetime
