"""Request and response types of the assessment API; they are what `/api/docs` shows."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field, StrictBool, StrictFloat, StrictInt, StrictStr

AnswerStatus = Literal["queued", "downloading", "processing", "completed", "error"]
StageStatus = Literal["queued", "processing", "completed", "error"]


class ErrorBody(BaseModel):
    code: str
    message: str
    details: dict[str, Any]


class ErrorResponse(BaseModel):
    success: Literal[False]
    message: str
    error: ErrorBody


class Uploaded(BaseModel):
    success: Literal[True]
    session_id: str = Field(description="32 hex digits; the name of the assessment in the other calls.")
    uploaded_videos: int


class HandedIn(Uploaded):
    video_count: int
    message: str


class StageOut(BaseModel):
    name: str
    status: StageStatus
    percent: int


class AnswerError(BaseModel):
    code: str
    message: str


class AnswerOut(BaseModel):
    id: int = Field(description="positionId of a JSON hand-in; 1, 2, … of an upload.")
    status: AnswerStatus
    stages: list[StageOut]
    error: AnswerError | None


class StatusResult(BaseModel):
    success: bool
    successful_videos: int
    failed_videos: int
    results_url: str


class StatusResponse(BaseModel):
    status: AnswerStatus
    progress: str = Field(description='Finished answers of all, as in "2/3".')
    message: str
    current_video: int | None = Field(description="Number (from 1) of the answer in work.")
    percent: int
    eta_seconds: int | None
    answers: list[AnswerOut]
    redirect: str | None = Field(default=None, description="When finished: the page with the results.")
    result: StatusResult | None = Field(default=None, description="When finished.")


class HealthResponse(BaseModel):
    status: Literal["ok", "degraded"]
    database: str = Field(description='A word for this part, "ok" if it is; and so on.')
    queue: str
    workers: str
    models: str
    disk: str
    reasons: dict[str, str] | None = Field(default=None, description="What is wrong with a part; for staff.")


class ModelState(BaseModel):
    name: str
    version: str
    purpose: str
    licence: str
    available: bool


class ModelsResponse(BaseModel):
    success: Literal[True]
    models: list[ModelState]
    libraries: dict[str, str]


class UploadForm(BaseModel):
    """The fields of `POST /upload`; `question` is taken in place of `questions` too."""

    candidate_name: str
    videos: list[bytes] = Field(json_schema_extra={"items": {"type": "string", "format": "binary"}})
    questions: list[str] = Field(description="One a video: the field repeated, or one JSON array.")
    language: Literal["en", "id", "auto"] = "auto"
    project_score: float | None = Field(default=None, ge=0, le=100)
    candidate_country: str | None = Field(default=None, description="ISO 3166-1, two letters.")
    candidate_email: str | None = None
    consent_reference: str | None = None


class InterviewIn(BaseModel):
    """One answer of a JSON hand-in."""

    positionId: StrictInt | None = Field(
        default=None, ge=0, le=2**31 - 1, description="Unique; next number if absent."
    )
    question: StrictStr
    isVideoExist: StrictBool | None = None
    recordedVideoUrl: StrictStr | None = None


class HandInOptions(BaseModel):
    """What stands at the top level of both shapes."""

    language: StrictStr | None = Field(default=None, description="en, id or auto (default).")
    project_score: StrictFloat | None = Field(default=None, description="0 to 100.")
    candidate_country: StrictStr | None = Field(default=None, description="ISO 3166-1, two letters.")
    candidate_email: StrictStr | None = None
    consent_reference: StrictStr | None = None


class FlatHandIn(HandInOptions):
    candidate_name: StrictStr
    interviews: list[InterviewIn]


class CandidateIn(BaseModel):
    name: StrictStr


class ReviewChecklists(BaseModel):
    interviews: list[InterviewIn]


class HandInData(BaseModel):
    candidate: CandidateIn
    reviewChecklists: ReviewChecklists


class NestedHandIn(HandInOptions):
    success: bool | None = None
    data: HandInData
