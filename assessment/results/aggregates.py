"""What holds for all answers together: integrity and non-verbal (keys of the earlier system)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean

from assessment.results.recommendation import mean_or_none
from assessment.results.schema import (
    AggregateCheatingDetection,
    AggregateNonVerbalAnalysis,
    AnswerResult,
    CheatingDetection,
    Content,
    QuestionIndicator,
    QuestionWithIssues,
    RiskLevel,
    Verdict,
)
from mlcore.behaviour import performance_status

VERDICTS: tuple[Verdict, ...] = ("Safe", "Medium Risk", "High Risk")
RISK_LEVELS: dict[Verdict, RiskLevel] = {"Safe": "Clear", "Medium Risk": "Warning", "High Risk": "Critical"}


def integrity(content: Sequence[Content]) -> AggregateCheatingDetection:
    """Means over the answers in which a thing was measured; the verdict is that of the worst answer."""
    found = [(item, item.result.cheating_detection) for item in content if item.result]
    blocks = [block for _, block in found]
    verdicts = [block.final_verdict for block in blocks if block.final_verdict]
    worst = max(verdicts, key=VERDICTS.index) if verdicts else None
    frames = [block.visual.suspicious_frames for block in blocks if block.visual.suspicious_frames is not None]
    return AggregateCheatingDetection(
        avg_cheating_score=mean_or_none([block.visual.cheating_score for block in blocks]),
        avg_visual_confidence=mean_or_none([block.visual.confidence.average for block in blocks]),
        avg_audio_confidence=mean_or_none([block.audio.confidence for block in blocks]),
        avg_overall_confidence=mean_or_none([block.final_avg_confidence for block in blocks]),
        total_suspicious_frames=sum(frames) if frames else None,
        avg_silhouette_score=mean_or_none([block.audio.silhouette_score for block in blocks]),
        verdict_distribution={verdict: verdicts.count(verdict) for verdict in VERDICTS},
        final_aggregate_verdict=worst,
        risk_level=RISK_LEVELS[worst] if worst else None,
        questions_with_issues=[_issues(item, block) for item, block in found if block.final_verdict not in (None, "Safe")],
        all_indicators=[
            QuestionIndicator(question_id=item.id, question=item.question, indicator=indicator)
            for item, block in found
            for indicator in block.all_indicators
        ],
        summary=_integrity_summary(len(found), verdicts),
    )


def _issues(item: Content, block: CheatingDetection) -> QuestionWithIssues:
    assert block.final_verdict is not None
    return QuestionWithIssues(
        question_id=item.id,
        question=item.question,
        verdict=block.final_verdict,
        cheating_score=block.visual.cheating_score,
        visual_confidence=block.visual.confidence.average,
        audio_confidence=block.audio.confidence,
        num_speakers=block.audio.num_speakers,
        indicators=block.all_indicators,
    )


def _integrity_summary(answers: int, verdicts: Sequence[Verdict]) -> str:
    if not verdicts:
        return "Attention and voices could not be looked at in any answer."
    parts = [f"{answers} answer(s) looked at."]
    if high := verdicts.count("High Risk"):
        parts.append(f"{high} to review first.")
    if medium := verdicts.count("Medium Risk"):
        parts.append(f"{medium} to review.")
    if len(parts) == 1:
        parts.append("Nothing that calls for a review was found.")
    return " ".join(parts)


SUMMARY_MEASURES: tuple[tuple[str, str, Callable[[AnswerResult], float | None]], ...] = (
    ("speaking ratio", "{:.2f}", lambda result: result.non_verbal_analysis.speech_analysis.speaking_ratio),
    ("pauses", "{:.1f} an answer", lambda result: result.non_verbal_analysis.speech_analysis.number_of_pauses),
    ("speech rate", "{:.0f} words per minute", lambda result: result.non_verbal_analysis.speech_analysis.speech_rate_wpm),
    (
        "smile",
        "{:.2f} of 1",
        lambda result: result.non_verbal_analysis.facial_expression_analysis.average_smile_intensity,
    ),
    (
        "brow movement",
        "{:.2f} of 1",
        lambda result: result.non_verbal_analysis.facial_expression_analysis.eyebrow_movement_range,
    ),
    ("eye contact", "{:.0f} %", lambda result: result.non_verbal_analysis.eye_movement_analysis.eye_contact_percentage),
    ("blink rate", "{:.0f} per minute", lambda result: result.non_verbal_analysis.eye_movement_analysis.blink_rate_per_minute),
)


def non_verbal(content: Sequence[Content]) -> AggregateNonVerbalAnalysis:
    """Mean of the answers' scores, its band, and the means of the measures in words with their units."""
    results = [item.result for item in content if item.result]
    score = mean_or_none([result.non_verbal_confidence_score for result in results])
    parts = []
    for name, form, read in SUMMARY_MEASURES:
        values = [value for result in results if (value := read(result)) is not None]
        parts.append(f"{name} {form.format(fmean(values)) if values else 'not measured'}")
    return AggregateNonVerbalAnalysis(
        overall_performance_status=performance_status(score) if score is not None else None,
        overall_confidence_score=score,
        summary=", ".join(parts) + ".",
    )
