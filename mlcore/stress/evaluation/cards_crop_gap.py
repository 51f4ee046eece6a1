"""The report of ``python -m tests.bench.crop_gap`` -> tables of the face model's card."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

COMMAND = "python -m tests.bench.crop_gap"
SCORES = {
    "accuracy": "accuracy",
    "macro_f1": "macro-F1",
    "emotion_accuracy": "accuracy, 7 emotions",
    "log_loss": "log loss",
}
APART = {"agreement": "same level", "distance": "distance"}
EXPLAINED = (
    "Distance is the total variation of the level probabilities, 0 to 1. Both against the images as the "
    "data set gives them."
    " The crop's scale and the limits of the quality check were chosen on validation images, so these figures "
    "flatter a little."
)

Table = dict[str, Any]


def tables(report: Mapping[str, Any]) -> list[Table]:
    """One for each part of the report that is there, as `cards` takes them. KeyError, TypeError where it is none."""
    parts = {"fer": _images, "videos": _videos, "pictures": _pictures}
    return [parts[name](report[name]) for name in parts if name in report]


def _images(part: Mapping[str, Any]) -> Table:
    return {
        "title": "The crop gap: the data set's crops against ours",
        "note": f"{part['images']} held-out images, shown enlarged to the detector that is used live, which found a "
        f"face in {part['found']:.1%}; cut out anew from what it found. {EXPLAINED}",
        "command": f"{COMMAND} --parts fer",
        "columns": ["crop", *SCORES.values(), *APART.values()],
        "rows": list(_rows(part, (*SCORES, *APART))),
    }


def _videos(part: Mapping[str, Any]) -> Table:
    return {
        "title": "The crop on real video",
        "note": f"{part['faces']} faces in {part['frames']} frames of real videos without labels: how far other crops "
        "of the same face change what is said of ours.",
        "command": f"{COMMAND} --parts videos",
        "columns": ["crop", "faces", *APART.values()],
        "rows": list(_rows(part, ("n", *APART))),
    }


def _pictures(part: Mapping[str, Any]) -> Table:
    return {
        "title": "Bad pictures",
        "note": f"The same held-out images made worse, and the share that the quality check lets through. {EXPLAINED}",
        "command": f"{COMMAND} --parts pictures",
        "columns": ["picture", *SCORES.values(), *APART.values(), "let through"],
        "rows": list(_rows(part, (*SCORES, *APART, "passed"))),
    }


def _rows(part: Mapping[str, Any], keys: tuple[str, ...]) -> Iterator[list[str]]:
    for name, figures in part.items():
        if isinstance(figures, Mapping):
            yield [name, *(_shown(figures.get(key)) for key in keys)]


def _shown(value: float | int | None) -> str:
    if value is None:
        return "—"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
