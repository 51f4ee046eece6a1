"""Intervals and voices -> how urgently a person should look at an answer, with the reasons in words.

A verdict orders the reviewer's work. It is not a finding about the candidate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mlcore.behaviour import constants as c
from mlcore.behaviour.attention import AttentionInterval
from mlcore.behaviour.visual import VisualMeasures

VerdictValue = Literal["Safe", "Medium Risk", "High Risk"]
RiskLevel = Literal["Clear", "Warning", "Critical"]

VERDICTS: tuple[VerdictValue, ...] = ("Safe", "Medium Risk", "High Risk")
"""In rising order."""

_LEVELS: dict[VerdictValue, RiskLevel] = {"Safe": "Clear", "Medium Risk": "Warning", "High Risk": "Critical"}
_DIRECTIONS = {"left": "to the left", "right": "to the right", "up": "up", "down": "down"}


@dataclass(frozen=True)
class Verdict:
    """`value` is None when neither the picture nor the voices could be looked at; `visual_reasons` and
    `audio_reasons` are empty for ``Safe``."""

    value: VerdictValue | None
    visual_reasons: tuple[str, ...]
    audio_reasons: tuple[str, ...]

    @property
    def reasons(self) -> tuple[str, ...]:
        return self.visual_reasons + self.audio_reasons


def judge(visual: VisualMeasures | None, num_speakers: int | None) -> Verdict:
    """The verdict on one answer, by the limits of DESIGN §5.

    `visual` is None without a video track, `num_speakers` None without speech. ``High Risk``: more than 20
    % of the time suspicious, a second face for more than 1 % of it, or a second voice; ``Medium Risk``:
    more than 5 %."""
    score = visual.cheating_score if visual else None
    if score is None and num_speakers is None:
        return Verdict(None, (), ())
    second_voice = num_speakers is not None and num_speakers > 1
    second_face = visual is not None and (visual.second_face_percentage or 0.0) > c.SECOND_FACE_PERCENT
    share = score or 0.0
    value: VerdictValue = "Safe"
    if second_voice or second_face or share > c.HIGH_RISK_PERCENT:
        value = "High Risk"
    elif share > c.MEDIUM_RISK_PERCENT:
        value = "Medium Risk"
    visual_flagged = visual is not None and (second_face or share > c.MEDIUM_RISK_PERCENT)
    return Verdict(
        value,
        visual_reasons=_visual_reasons(share, visual.intervals) if visual and visual_flagged else (),
        audio_reasons=(f"{num_speakers} voices heard",) if second_voice else (),
    )


def worst(verdicts: Sequence[VerdictValue | None]) -> VerdictValue | None:
    """The verdict on several answers is that of the worst; None when none could be judged."""
    return max((one for one in verdicts if one), key=VERDICTS.index, default=None)


def risk_level(verdict: VerdictValue | None) -> RiskLevel | None:
    """``Clear``, ``Warning`` or ``Critical``, for an aggregate verdict."""
    return _LEVELS[verdict] if verdict else None


def _visual_reasons(share: float, intervals: Sequence[AttentionInterval]) -> tuple[str, ...]:
    return (f"{share:.1f} % of the time to look at", *(describe_interval(one) for one in intervals))


def describe_interval(interval: AttentionInterval) -> str:
    """For example ``Looked away to the left 0:41–0:47``."""
    when = f"{clock(interval.start_s)}–{clock(interval.end_s)}"
    if interval.kind == "no_face":
        return f"No face in view {when}"
    if interval.kind == "multiple_faces":
        return f"Second face {when}"
    direction = _DIRECTIONS[interval.reason.rpartition("_")[2]]
    return f"Looked away {direction} {when}"


def clock(seconds: float) -> str:
    """Minutes and seconds, rounded: ``0:41``, ``61:05``."""
    whole = round(seconds)
    return f"{whole // 60}:{whole % 60:02d}"
