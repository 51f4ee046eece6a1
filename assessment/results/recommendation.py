"""The final score and the recommendation: advice for a person, never a decision."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from assessment.results.schema import CodedMessage, Content, Recommendation

PASS_MARK = 70.0
PROJECT_WEIGHT = 0.7
TRANSCRIPT_CONFIDENCE_FLOOR = 60.0  # assumption: below it the words themselves are in doubt
SCORE_CONFIDENCE_FLOOR = 60.0  # assumption: below it the grader spreads over several scores
WARNINGS_FOR_A_PERSON = (
    "no_speech",
    "no_audio",
    "graded_by_rules",
    "grader_disagreement",
    "language_uncertain",
)


def mean_or_none(values: Sequence[float | None]) -> float | None:
    """Mean of what was measured, rounded to two places."""
    measured = [value for value in values if value is not None]
    return round(fmean(measured), 2) if measured else None


def final_score(project_score: float | None, average_total: float | None) -> float | None:
    """DESIGN section 5: ``project × 0.7 + average × 0.3`` where a project score was given, else the average."""
    if average_total is None:
        return None
    if project_score is None:
        return round(average_total, 2)
    return round(PROJECT_WEIGHT * project_score + (1 - PROJECT_WEIGHT) * average_total, 2)


def recommend(content: Sequence[Content], project_score: float | None) -> Recommendation:
    totals = [item.result.penilaian.total for item in content if item.result]
    score = final_score(project_score, mean_or_none(totals))
    reasons = [reason for item in content for reason in _reasons_for_a_person(item)]
    if reasons or score is None:
        return Recommendation(value="Perlu Tinjauan", final_score=score, reasons=reasons)
    passed = score >= PASS_MARK
    side = "at or above" if passed else "below"
    message = f"The final score {score:g} is {side} the pass mark {PASS_MARK:g}."
    reason = CodedMessage(code="score_at_or_above_mark" if passed else "score_below_mark", message=message)
    return Recommendation(value="Lulus" if passed else "Tidak Lulus", final_score=score, reasons=[reason])


def _reasons_for_a_person(item: Content) -> list[CodedMessage]:
    name = f"Answer {item.id}"
    if item.result is None:
        why = item.error.message if item.error else ""
        return [CodedMessage(code="answer_failed", message=f"{name} could not be processed. {why}".strip())]
    result = item.result
    reasons = [
        CodedMessage(code=warning.code, message=f"{name}: {warning.message}")
        for warning in result.warnings
        if warning.code in WARNINGS_FOR_A_PERSON
    ]
    if result.penilaian.total is None:
        reasons.append(CodedMessage(code="not_scored", message=f"{name} could not be scored."))
    verdict = result.cheating_detection.final_verdict
    if verdict not in (None, "Safe"):
        found = "; ".join(result.cheating_detection.all_indicators)
        reasons.append(CodedMessage(code="integrity_review", message=f"{name}: {found}."))
    return reasons + _doubts(name, result.transkripsi_confidence, result.penilaian.logprobs_confidence)


def _doubts(name: str, transcript: float | None, score: float | None) -> list[CodedMessage]:
    doubts = []
    if transcript is not None and transcript < TRANSCRIPT_CONFIDENCE_FLOOR:
        message = f"{name}: the transcript is uncertain ({transcript:.0f} of 100)."
        doubts.append(CodedMessage(code="transcript_uncertain", message=message))
    if score is not None and score < SCORE_CONFIDENCE_FLOOR:
        message = f"{name}: the grader was unsure of its scores ({score:.0f} of 100)."
        doubts.append(CodedMessage(code="scores_uncertain", message=message))
    return doubts
