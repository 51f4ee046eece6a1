"""Stage: question and answer -> scores against the rubric."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal

from django.conf import settings

from assessment.pipeline import transcribe, translate
from assessment.pipeline.models import package_versions
from assessment.services import llm
from assessment.services.grading import grade_answer

if TYPE_CHECKING:
    from assessment.pipeline.attempt import Attempt

NAME = "grade"
BUILT_IN = "built-in grader with all-MiniLM-L6-v2"


def versions() -> dict[str, Any]:
    return package_versions("huggingface-hub", "sentence-transformers")


def run(work: Attempt) -> dict[str, Any]:
    """``grade`` is None where nothing was said: an answer without speech has no scores."""
    transcript = transcribe.unpack(work.outputs[transcribe.NAME])
    if transcript is None:
        return {"grade": None, "warnings": [], "reason": None, "versions": {"model": None}}
    texts = work.outputs[translate.NAME]
    language: Literal["en", "id"] = "id" if transcript.language == "id" else "en"
    client = llm.from_settings()
    english_question, english_answer = english_texts(texts, for_llm=client is not None)
    graded = grade_answer(
        work.answer.question,
        transcript.text,
        english_question=english_question,
        english_answer=english_answer,
        language=language,
        client=client,
    )
    return {
        "grade": asdict(graded.grade),
        "warnings": [asdict(warning) for warning in graded.warnings],
        "reason": graded.reason,
        "versions": {"model": settings.LLM_MODEL if graded.grade.grader == "llm" else BUILT_IN},
    }


def english_texts(texts: dict[str, Any], *, for_llm: bool) -> tuple[str | None, str | None]:
    """Question and answer in English, None where there is none worth reading: a language model does better with the
    words as they were spoken than with the recogniser's rough rendering, which the built-in grader has to do with."""
    if for_llm and texts["engine"] == "whisper":
        return None, None
    return texts["english_question"], texts["english_answer"]
