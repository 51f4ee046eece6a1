"""The document of `evaluate_models` as lines for a person at a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Block = Mapping[str, Any]

TITLES = {
    "accuracy": "accuracy",
    "macro_f1": "macro-F1",
    "uar": "UAR (mean recall)",
    "emotion_accuracy": "accuracy, 7 emotions",
    "ece": "calibration error",
    "brier": "Brier score",
    "log_loss": "log loss",
}


def lines(document: Mapping[str, Block]) -> Iterator[str]:
    """A block of lines for each model."""
    for name, block in document.items():
        yield from _model(name, block)
        yield ""


def _model(name: str, block: Block) -> Iterator[str]:
    what = {"face": "images", "voice": "clips", "fusion": "pairs"}[name]
    yield f"{name}: {block['n']} {what}, {block['data']['description']}"
    for note in block["data"]["notes"]:
        yield f"  Note: {note}"
    yield from _scores(block)
    yield f"  ({block['interval_method']})"
    yield from _calibration(block)
    yield from _confusion(block)
    for group, figures in block["groups"].items():
        yield from _group(group, figures)
    if name == "fusion":
        yield from _pairs(block["pairs"])
        yield from _pairs(block["pairs_by_level"])
    for reason, count in block["data"]["skipped"]["counts"].items():
        names = block["data"]["skipped"]["names"][reason]
        yield f"  skipped, {reason}: {count} ({', '.join(names[:5])}{' …' if count > 5 else ''})"


def _scores(block: Block) -> Iterator[str]:
    for key, title in TITLES.items():
        if block[key] is not None:
            low, high = block["intervals"][key]
            yield f"  {title:<22}{block[key]:.3f}  ({low:.3f} to {high:.3f})"


def _calibration(block: Block) -> Iterator[str]:
    chance = block["ece_of_true_probabilities"]
    yield (
        f"  by chance alone, true probabilities would show a calibration error of {chance['mean']:.3f}, "
        f"up to {chance['95th_percentile']:.3f}"
    )
    unsure = block["unsure"]
    right = "—" if unsure["accuracy"] is None else f"{unsure['accuracy']:.3f}"
    yield f"  answered from {unsure['below']:.2f} on: {unsure['coverage']:.1%}, accuracy of those {right}"


def _confusion(block: Block) -> Iterator[str]:
    labels = block["labels"]
    yield (
        "  " + "true \\ said".ljust(14) + "".join(f"{label:>9}" for label in labels) + "   recall  precision"
    )
    for label, row in zip(labels, block["confusion"], strict=True):
        level = block["by_level"][label]
        shares = "".join(
            "        —" if level[key] is None else f"{level[key]:9.3f}" for key in ("recall", "precision")
        )
        yield f"  {label:<14}" + "".join(f"{count:>9}" for count in row) + shares


def _group(name: str, figures: Block) -> Iterator[str]:
    for group, scores in figures["of"].items():
        yield (
            f"  {name} {group}: {scores['n']}, accuracy {scores['accuracy']:.3f}, UAR {scores['uar']:.3f}, "
            f"calibration error {scores['ece']:.3f}"
        )
    low, high = figures["gap_intervals"]["uar"]
    first, last = figures["between"]
    yield f"  gap, {first} over {last}: UAR {figures['gap']['uar']:.3f} ({low:.3f} to {high:.3f})"


def _pairs(pairs: Block) -> Iterator[str]:
    yield f"  {pairs['explanation']}"
    for key, title in (
        ("fusion", "fusion"),
        ("mean_of_logits", "mean of logits"),
        ("face_alone", "face alone"),
        ("voice_alone", "voice alone"),
    ):
        scores = pairs[key]
        yield f"    {title:<16}accuracy {scores['accuracy']:.3f}, UAR {scores['uar']:.3f}, ECE {scores['ece']:.3f}"
    for key, title in (
        ("gain_over_better_alone", f"over {pairs['better_alone']} alone"),
        ("gain_over_mean_of_logits", "over the mean"),
    ):
        low, high = pairs[key]["uar_interval"]
        yield f"    gain {title}: UAR {pairs[key]['uar']:+.3f} ({low:+.3f} to {high:+.3f})"
