"""Faces and words -> attention intervals, and the measures of `docs/measures.md`."""

from mlcore.behaviour.attention import AttentionInterval, union_s
from mlcore.behaviour.nonverbal import (
    MeasureScore,
    NonVerbalConfidence,
    interpret,
    non_verbal_confidence,
    performance_status,
    summarise,
)
from mlcore.behaviour.verdict import Verdict, describe_interval, judge, risk_level, worst
from mlcore.behaviour.visual import Calibration, VisualMeasures, measure_visual

__all__ = [
    "AttentionInterval",
    "Calibration",
    "MeasureScore",
    "NonVerbalConfidence",
    "Verdict",
    "VisualMeasures",
    "describe_interval",
    "interpret",
    "judge",
    "measure_visual",
    "non_verbal_confidence",
    "performance_status",
    "risk_level",
    "summarise",
    "union_s",
    "worst",
]
