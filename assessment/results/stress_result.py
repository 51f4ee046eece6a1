"""The stress stage's output -> its blocks of the results document."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from assessment.policy import Policy
from assessment.results.schema import (
    AggregateStress,
    Content,
    Emotion,
    Evidence,
    LevelProbabilities,
    Stress,
    StressDistribution,
    StressModality,
    StressPoint,
)

Output = dict[str, Any]
PLACES = 4


def build(output: Output | None, policy: Policy) -> Stress | None:
    """None where policy forbids it now or did when the stage ran, and where nothing could be read. `output` is None for
    an answer from before the stage existed."""
    if not policy.emotion_inference or output is None or not output["timeline"]:
        return None
    return Stress(
        timeline=[StressPoint(**_rounded(point)) for point in output["timeline"]],
        distribution=StressDistribution(**_rounded(output["distribution"])),
        model_confidence=round(output["model_confidence"], PLACES),
        face=_modality(output["face"]),
        voice=_modality(output["voice"]),
    )


def evidence(output: Output | None, policy: Policy) -> list[Evidence]:
    """Stretches at level high."""
    if not policy.emotion_inference or output is None:
        return []
    return [
        Evidence(
            kind="high_stress",
            start_s=round(interval["start_s"], 3),
            end_s=round(interval["end_s"], 3),
            reason=" and ".join(interval["sources"]),
            value=round(interval["value"], PLACES),
        )
        for interval in output["high"]
    ]


def aggregate(content: Sequence[Content]) -> AggregateStress | None:
    """Means over the answers that have the indicator; None where none has it."""
    found = [item.result.stress for item in content if item.result and item.result.stress]
    if not found:
        return None
    means = {
        name: round(fmean(getattr(one.distribution, name) for one in found), PLACES)
        for name in StressDistribution.model_fields
    }
    confidence = round(fmean(one.model_confidence for one in found), PLACES)
    return AggregateStress(
        answers=len(found), distribution=StressDistribution(**means), model_confidence=confidence
    )


def _rounded(values: Output) -> Output:
    return {key: round(value, PLACES) if isinstance(value, float) else value for key, value in values.items()}


def _rounded_emotions(emotions: dict[Emotion, float] | None) -> dict[Emotion, float] | None:
    return {name: round(share, PLACES) for name, share in emotions.items()} if emotions else None


def _modality(found: Output | None) -> StressModality | None:
    if found is None:
        return None
    probabilities, emotions = found["probabilities"], found["emotions"]
    return StressModality(
        probabilities=LevelProbabilities(**_rounded(probabilities)) if probabilities else None,
        emotions=_rounded_emotions(emotions),
        looked_at=found["looked_at"],
        used=found["used"],
        share_used=round(found["used"] / found["looked_at"], PLACES) if found["looked_at"] else None,
        quality=found["quality"],
    )
