"""What in the recording the indicators rest on: intervals that a person can play."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from assessment.results.schema import Evidence
from mlcore.speakers import Turn, second_voice_intervals

JOIN_WITHIN_S = 1.0  # assumption: turns of a second voice nearer than this are one thing to listen to


def collect(
    intervals: Sequence[dict[str, Any]],
    turns: Sequence[Turn],
    speech: dict[str, Any],
    high_stress: Sequence[Evidence],
) -> list[Evidence]:
    """Attention intervals, stretches of other voices, long pauses and `high_stress`, in order of time."""
    found = [Evidence(**_rounded(interval)) for interval in intervals]
    found += _other_voices(turns)
    found += [
        Evidence(
            kind="long_pause",
            start_s=round(pause["start_s"], 3),
            end_s=round(pause["end_s"], 3),
            reason="pause between words",
            value=round(pause["end_s"] - pause["start_s"], 2),
        )
        for pause in speech["long_pauses"]
    ]
    return sorted([*found, *high_stress], key=lambda item: (item.start_s, item.kind))


def _rounded(interval: dict[str, Any]) -> dict[str, Any]:
    return {key: round(value, 3) if isinstance(value, float) else value for key, value in interval.items()}


def _other_voices(turns: Sequence[Turn]) -> list[Evidence]:
    stretches: list[list[float]] = []
    for turn in second_voice_intervals(turns):
        if stretches and turn.start_s - stretches[-1][1] <= JOIN_WITHIN_S:
            stretches[-1][1] = max(stretches[-1][1], turn.end_s)
        else:
            stretches.append([turn.start_s, turn.end_s])
    return [
        Evidence(
            kind="second_voice",
            start_s=round(start, 3),
            end_s=round(end, 3),
            reason="another voice than the main one",
            value=round(end - start, 2),
        )
        for start, end in stretches
    ]
