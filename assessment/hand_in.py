"""From what was sent (a form with files, or JSON) to checked values; refusals name the field or the JSON
path."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.http import QueryDict
from django.utils.datastructures import MultiValueDict
from pydantic import ValidationError

from assessment import fields
from assessment.downloads import direct_address
from assessment.errors import IntakeError
from assessment.schemas import FlatHandIn, HandInOptions, InterviewIn, NestedHandIn
from mlcore.errors import AnalysisError
from mlcore.media_types import READABLE

MAX_ERRORS_SHOWN = 20


@dataclass(frozen=True)
class NewAnswer:
    """One answer to be: a file, or an address to fetch it from, or (code, message) why there is neither."""

    position: int
    question: str
    media: UploadedFile | None = None
    source_url: str = ""
    refusal: tuple[str, str] | None = None


@dataclass(frozen=True)
class HandIn:
    """What a program or form handed in, checked."""

    candidate_name: str
    answers: Sequence[NewAnswer]
    language: str
    project_score: float | None
    country: str
    candidate_email: str
    consent_reference: str


def from_form(post: QueryDict, files: MultiValueDict[str, UploadedFile]) -> HandIn:
    """The fields of `POST /upload`. Raises IntakeError naming the field."""
    videos = files.getlist("videos")
    name = fields.name(post.get("candidate_name", ""))
    questions = _questions(post)
    if not videos:
        message = f"No video was handed in: send each as a file in the field videos. Readable are {READABLE}."
        raise fields.invalid("videos", message, "unreadable_media")
    if len(questions) != len(videos):
        raise fields.invalid(
            "questions",
            f"questions: there are {len(questions)} for {len(videos)} videos; send one for each.",
            "count_mismatch",
            questions=len(questions),
            videos=len(videos),
        )
    _check_count(len(videos), "videos")
    answers = [
        NewAnswer(number, fields.question(question, f"questions[{number - 1}]"), media)
        for number, (question, media) in enumerate(zip(questions, videos, strict=True), start=1)
    ]
    return HandIn(
        candidate_name=name,
        answers=answers,
        language=fields.language(post.get("language")),
        project_score=fields.score(post.get("project_score")),
        country=fields.country(post.get("candidate_country")),
        candidate_email=fields.email(post.get("candidate_email")),
        consent_reference=fields.reference(post.get("consent_reference")),
    )


def _questions(post: QueryDict) -> list[str]:
    values = [str(value) for value in post.getlist("questions") or post.getlist("question")]
    if len(values) != 1 or not values[0].lstrip().startswith("["):
        return values
    try:
        listed = json.loads(values[0])
    except (ValueError, RecursionError):
        return values
    if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
        raise fields.invalid("questions", "questions: a JSON array must hold texts only.")
    return listed


def _check_count(count: int, field: str) -> None:
    most = settings.MAX_ANSWERS
    if not 1 <= count <= most:
        raise fields.invalid(
            field, f"{field}: there are {count}; send 1 to {most}.", "count_out_of_range", count=count
        )


def parse_json(body: bytes) -> Any:
    """Strict JSON (no NaN, no Infinity). Raises IntakeError('invalid_json')."""
    try:
        return json.loads(body.decode("utf-8-sig"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        where = (
            f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        )
        raise IntakeError("invalid_json", f"The body is not JSON{where}.", details={"path": "$"}) from error


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def from_json(document: Any) -> HandIn:
    """Either shape of `POST /upload_json`. Raises IntakeError naming the path of what is wrong."""
    if not isinstance(document, dict):
        raise _wrong_shape([{"path": "$", "message": "must be an object"}])
    nested = "data" in document
    try:
        given: FlatHandIn | NestedHandIn = (NestedHandIn if nested else FlatHandIn).model_validate(document)
    except ValidationError as error:
        raise _wrong_shape([_problem(problem) for problem in error.errors(include_url=False)]) from error
    if isinstance(given, NestedHandIn):
        name, name_path = given.data.candidate.name, "data.candidate.name"
        interviews, path = given.data.reviewChecklists.interviews, "data.reviewChecklists.interviews"
    else:
        name, name_path = given.candidate_name, "candidate_name"
        interviews, path = given.interviews, "interviews"
    _check_count(len(interviews), path)
    return HandIn(
        candidate_name=fields.name(name, name_path),
        answers=_answers(interviews, path),
        **_options(given),
    )


def _options(given: HandInOptions) -> dict[str, Any]:
    return {
        "language": fields.language(given.language),
        "project_score": fields.score(given.project_score),
        "country": fields.country(given.candidate_country),
        "candidate_email": fields.email(given.candidate_email),
        "consent_reference": fields.reference(given.consent_reference),
    }


def _problem(problem: Any) -> dict[str, str]:
    path = ""
    for step in problem["loc"]:
        path += f"[{step}]" if isinstance(step, int) else f".{step}"
    message = "must be an object" if problem["type"] == "model_type" else problem["msg"]
    return {"path": path.removeprefix(".") or "$", "message": message.replace("Input should", "should")}


def _wrong_shape(problems: list[dict[str, str]]) -> IntakeError:
    first = problems[0]
    details = {"path": first["path"], "errors": problems[:MAX_ERRORS_SHOWN]}
    return IntakeError("invalid_shape", f"{first['path']}: {first['message']}.", details=details)


def _answers(interviews: list[InterviewIn], path: str) -> list[NewAnswer]:
    positions = _positions(interviews, path)
    return [
        _answer(interview, position, f"{path}[{index}]")
        for index, (interview, position) in enumerate(zip(interviews, positions, strict=True))
    ]


def _positions(interviews: list[InterviewIn], path: str) -> list[int]:
    """Each answer's id: its positionId, or the next free number."""
    given = [interview.positionId for interview in interviews]
    taken: set[int] = set()
    for index, position in enumerate(given):
        if position is not None and position in taken:
            where = f"{path}[{index}].positionId"
            raise IntakeError(
                "duplicate_position",
                f"{where}: {position} stands there twice.",
                details={"path": where, "field": where},
            )
        if position is not None:
            taken.add(position)
    numbers, last = [], 0
    for position in given:
        if position is None:
            last += 1
            while last in taken:
                last += 1
            taken.add(last)
            numbers.append(last)
        else:
            last = position if position < fields.LARGEST_POSITION else 0
            numbers.append(position)
    return numbers


def _answer(interview: InterviewIn, position: int, path: str) -> NewAnswer:
    question = fields.question(interview.question, f"{path}.question")
    url = (interview.recordedVideoUrl or "").strip()
    if interview.isVideoExist is False:
        return NewAnswer(position, question, refusal=("no_video", "The hand-in says that there is no video."))
    if not url:
        return NewAnswer(
            position, question, refusal=("missing_url", "The hand-in gives no recordedVideoUrl.")
        )
    try:
        direct_address(url)
    except AnalysisError as error:
        return NewAnswer(position, question, refusal=(error.code, error.message))
    return NewAnswer(position, question, source_url=url)
