"""What holds for all answers together: integrity and non-verbal (keys of the earlier system)."""

from __future__ import annotations

from collections.abc import Sequence

from assessment.results.recommendation import mean_or_none
from assessment.results.schema import (
    AggregateCheatingDetection,
    AggregateNonVerbalAnalysis,
    CheatingDetection,
    Content,
    QuestionIndicator,
    QuestionWithIssues,
    Verdict,
)
from mlcore.behaviour import performance_status, risk_level, summarise, worst
from mlcore.behaviour.verdict import VERDICTS


def integrity(content: Sequence[Content]) -> AggregateCheatingDetection:
    """Means over the answers in which a thing was measured; the verdict is that of the worst answer."""
    found = [(item, item.result.cheating_detection) for item in content if item.result]
    blocks = [block for _, block in found]
    verdicts = [block.final_verdict for block in blocks if block.final_verdict]
    overall = worst(verdicts)
    frames = [
        block.visual.suspicious_frames for block in blocks if block.visual.suspicious_frames is not None
    ]
    return AggregateCheatingDetection(
        avg_cheating_score=mean_or_none([block.visual.cheating_score for block in blocks]),
        avg_visual_confidence=mean_or_none([block.visual.confidence.average for block in blocks]),
        avg_audio_confidence=mean_or_none([block.audio.confidence for block in blocks]),
        avg_overall_confidence=mean_or_none([block.final_avg_confidence for block in blocks]),
        total_suspicious_frames=sum(frames) if frames else None,
        avg_silhouette_score=mean_or_none([block.audio.silhouette_score for block in blocks]),
        verdict_distribution={verdict: verdicts.count(verdict) for verdict in VERDICTS},
        final_aggregate_verdict=overall,
        risk_level=risk_level(overall),
        questions_with_issues=[
            _issues(item, block) for item, block in found if block.final_verdict not in (None, "Safe")
        ],
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


def non_verbal(content: Sequence[Content], *, expressions: bool) -> AggregateNonVerbalAnalysis:
    """Mean of the answers' scores, its band, and the measures in words. `expressions`: whether policy lets smile and
    brows be put into words."""
    results = [item.result for item in content if item.result]
    score = mean_or_none([result.non_verbal_confidence_score for result in results])
    speech = [result.non_verbal_analysis.speech_analysis for result in results]
    face = (
        [result.non_verbal_analysis.facial_expression_analysis for result in results] if expressions else []
    )
    eyes = [result.non_verbal_analysis.eye_movement_analysis for result in results]
    return AggregateNonVerbalAnalysis(
        overall_performance_status=performance_status(score),
        overall_confidence_score=score,
        summary=summarise(
            speaking_ratio=mean_or_none([one.speaking_ratio for one in speech]),
            number_of_pauses=mean_or_none([one.number_of_pauses for one in speech]),
            duration_s=mean_or_none(
                [one.total_duration_seconds for one in speech if one.number_of_pauses is not None]
            ),
            speech_rate_wpm=mean_or_none([one.speech_rate_wpm for one in speech]),
            average_smile_intensity=mean_or_none([one.average_smile_intensity for one in face]),
            eyebrow_movement_range=mean_or_none([one.eyebrow_movement_range for one in face]),
            eye_contact_percentage=mean_or_none([one.eye_contact_percentage for one in eyes]),
            blink_rate_per_minute=mean_or_none([one.blink_rate_per_minute for one in eyes]),
        ),
    )
