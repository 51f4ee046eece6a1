"""Model cards (Mitchell et al. 2019): words from `cards_prose`, figures only from a document of `evaluate_models`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlcore.errors import AnalysisError
from mlcore.stress.evaluation import cards_prose, plots
from mlcore.stress.evaluation.cards_prose import PROSE, Prose
from mlcore.stress.evaluation.figures import CoveragePoint
from mlcore.stress.evaluation.measures import Bin
from mlcore.stress.evaluation.table import TITLES

Block = Mapping[str, Any]
Row = Sequence[object]

UNITS = {"face": "images", "voice": "clips", "fusion": "pairs"}
PICTURES = {
    "calibration": "Share of right answers over confidence",
    "coverage": "Share of wrong answers over the share that is answered",
    "confusion": "True levels and what was said",
}
COVERAGES = (0.5, 0.7, 0.8, 0.9, 1.0)
"""Of the curve, given in figures."""
MADE_BY = (
    "Written by `python manage.py write_model_cards`: change `mlcore/stress/evaluation/cards_prose.py` or measure "
    "anew."
)


def write(folder: Path, pictures: Path, name: str, block: Block, meta: Block) -> Path:
    """``<folder>/<name>.md`` and its pictures in `pictures`; `name` face, voice or fusion.

    `block` is that model's part of the document, `meta` what the weights' header says. AnalysisError
    ``evaluation_unreadable`` where figures are missing.
    """
    try:
        _draw(pictures, name, block)
        text = "\n".join(_card(name, block, meta, Path(os.path.relpath(pictures, folder)))) + "\n"
    except (KeyError, TypeError, ValueError) as error:
        raise AnalysisError(
            "evaluation_unreadable",
            f"The evaluation of the {name} model lacks figures ({error!r}); "
            "make it by: python manage.py evaluate_models … --json",
        ) from error
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.md"
    path.write_text(text, encoding="utf-8")
    return path


def _draw(pictures: Path, name: str, block: Block) -> None:
    bins = [Bin(**one) for one in block["reliability"]]
    points = [CoveragePoint(**one) for one in block["risk_coverage"]]
    title = PROSE[name].title
    plots.reliability(_picture(pictures, name, "calibration"), bins, block["ece"], title)
    plots.risk_coverage(_picture(pictures, name, "coverage"), {title: points}, block["unsure"]["coverage"])
    plots.confusion(_picture(pictures, name, "confusion"), block["confusion"], block["labels"], title)


def _picture(pictures: Path, name: str, kind: str) -> Path:
    return pictures / f"{name}-stress-{kind}.png"


def _card(name: str, block: Block, meta: Block, pictures: Path) -> Iterator[str]:
    prose = PROSE[name]
    yield from (f"# {prose.title}", "", f"<!-- {MADE_BY} -->", "", prose.what, "", cards_prose.PROXY, "")
    yield from (cards_prose.LEVELS, "")
    yield from _section("Data, and what their licences allow", prose.data)
    yield from _section("Split", (prose.split,))
    yield from _figures(name, block)
    yield from _calibration(name, block, pictures)
    yield from _unsure(name, block, pictures)
    yield from _groups(block)
    yield from _pairs(block)
    for table in block.get("tables", ()):
        yield from _extra(table)
    yield from _uses(prose)
    yield from _training(meta)


def _section(title: str, paragraphs: Sequence[str]) -> Iterator[str]:
    yield f"## {title}"
    for paragraph in paragraphs:
        yield ""
        yield paragraph
    yield ""


def _list(title: str, items: Sequence[str]) -> Iterator[str]:
    yield from (f"## {title}", "")
    for item in items:
        yield f"- {item}"
    yield ""


def _figures(name: str, block: Block) -> Iterator[str]:
    data = block["data"]
    yield from ("## Figures", "", f"{block['n']} {UNITS[name]}: {data['description']}. By:", "")
    yield from ("```", data["command"], "```", "")
    for note in data["notes"]:
        yield from (f"**Note:** {note}.", "")
    rows = [
        (title, f"{block[key]:.3f}", _interval(block["intervals"][key]))
        for key, title in TITLES.items()
        if block[key] is not None
    ]
    yield from _table(("measure", "figure", "interval"), rows)
    yield from ("", f"Intervals: {block['interval_method']}.", "")
    yield from _confusion(block)
    yield from _skipped(data["skipped"])


def _confusion(block: Block) -> Iterator[str]:
    labels = block["labels"]
    rows = [
        (
            f"true {label}",
            *counts,
            *(_or_dash(block["by_level"][label][key]) for key in ("recall", "precision", "f1")),
        )
        for label, counts in zip(labels, block["confusion"], strict=True)
    ]
    yield from _table(("", *(f"said {label}" for label in labels), "recall", "precision", "F1"), rows)
    yield ""
    if emotions := block["emotions"]:
        rows = [
            (f"true {label}", *counts)
            for label, counts in zip(emotions["labels"], emotions["confusion"], strict=True)
        ]
        yield from _table(("", *emotions["labels"]), rows)
        yield ""


def _skipped(skipped: Block) -> Iterator[str]:
    if skipped["n"]:
        reasons = ", ".join(f"{reason}: {count}" for reason, count in skipped["counts"].items())
        yield from (f"Files left out: {skipped['n']} ({reasons}).", "")


def _calibration(name: str, block: Block, pictures: Path) -> Iterator[str]:
    chance, bins = block["ece_of_true_probabilities"], len(block["reliability"])
    yield from ("## Calibration", "")
    yield (
        f"Expected calibration error {block['ece']:.3f} ({_interval(block['intervals']['ece'])}), {bins} bins of "
        f"equally many {UNITS[name]}. Probabilities that are exactly true would show {chance['mean']:.3f} on average "
        f"by chance, and up to {chance['95th_percentile']:.3f} in 19 of 20 cases."
    )
    yield ""
    yield from _pictured(name, "calibration", pictures)


def _unsure(name: str, block: Block, pictures: Path) -> Iterator[str]:
    unsure = block["unsure"]
    yield from ("## When it is unsure", "")
    yield (
        f"Below a confidence of {unsure['below']:.2f} it says *unsure*: it answers {unsure['coverage']:.1%}, and is "
        f"right in {_percent(unsure['accuracy'])} of those, against {_percent(unsure['accuracy_of_unsure'])} of the "
        f"rest. Mean risk over all coverages (area under the curve): {block['risk_coverage_area']:.3f}."
    )
    yield ""
    wanted = [point for point in block["risk_coverage"] if round(point["coverage"], 2) in COVERAGES]
    rows = [(f"{one['coverage']:.0%}", f"{one['risk']:.1%}", f"{one['confidence']:.2f}") for one in wanted]
    yield from _table(("answered", "of these wrong", "from a confidence of"), rows)
    yield ""
    yield from _pictured(name, "coverage", pictures)
    yield from _pictured(name, "confusion", pictures)


def _pictured(name: str, kind: str, pictures: Path) -> Iterator[str]:
    yield from (f"![{PICTURES[kind]}]({_picture(pictures, name, kind).as_posix()})", "")


def _groups(block: Block) -> Iterator[str]:
    yield from ("## Groups", "")
    if not block["groups"]:
        yield from ("The data name no groups.", "")
    for group, figures in block["groups"].items():
        rows = [
            (one, scores["n"], *(f"{scores[key]:.3f}" for key in ("accuracy", "macro_f1", "uar", "ece")))
            for one, scores in figures["of"].items()
        ]
        yield from _table((group, "n", "accuracy", "macro-F1", "UAR", "ECE"), rows)
        first, last = figures["between"]
        low, high = figures["gap_intervals"]["uar"]
        yield from (
            "",
            f"Gap, {first} over {last}: UAR {figures['gap']['uar']:+.3f} ({low:+.3f} to {high:+.3f}).",
            "",
        )


def _pairs(block: Block) -> Iterator[str]:
    if "pairs" not in block:
        return
    yield from ("## What fusion gains", "")
    for pairs in (block["pairs"], block["pairs_by_level"]):
        yield from (
            f"{pairs['explanation']} ({pairs['n']} pairs of {pairs['voices']} clips and {pairs['faces']} faces)",
            "",
        )
        ways = {"fusion": "fusion", "mean_of_logits": "mean of the two calibrated logits"}
        ways |= {"face_alone": "face alone", "voice_alone": "voice alone"}
        rows = [
            (title, *(f"{pairs[way][key]:.3f}" for key in ("accuracy", "macro_f1", "uar", "ece", "log_loss")))
            for way, title in ways.items()
        ]
        yield from _table(("", "accuracy", "macro-F1", "UAR", "ECE", "log loss"), rows)
        yield ""
        opponents = {f"the {pairs['better_alone']} alone": "gain_over_better_alone"}
        for title, key in (opponents | {"the mean of the logits": "gain_over_mean_of_logits"}).items():
            low, high = pairs[key]["uar_interval"]
            yield f"- Gain over {title}: UAR {pairs[key]['uar']:+.3f} ({low:+.3f} to {high:+.3f})."
        yield ""


def _extra(table: Block) -> Iterator[str]:
    """A table that another measurement brings: title, note, command, columns, rows."""
    yield from (f"## {table['title']}", "", str(table.get("note", "")), "")
    if command := table.get("command"):
        yield from ("```", command, "```", "")
    yield from _table(table["columns"], table["rows"])
    yield ""


def _uses(prose: Prose) -> Iterator[str]:
    yield from _list("Known failures", prose.known_failures)
    yield from _list("Intended use", cards_prose.INTENDED)
    yield from _list("Forbidden use", cards_prose.FORBIDDEN)


def _training(meta: Block) -> Iterator[str]:
    """What the weights say of their own training."""
    yield from ("## Training", "", "By the header of the weights file:", "")
    for key, value in meta.items():
        yield f"- {key.replace('_', ' ')}: {_in_words(value)}"


def _in_words(value: object) -> str:
    if isinstance(value, Mapping):
        items = (f"{key} {_in_words(item)}" for key, item in value.items() if item not in ("", None))
        return "; ".join(item.replace("; ", ", ").replace("_", " ") for item in items)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_in_words, value)) + "]"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _table(columns: Row, rows: Sequence[Row]) -> Iterator[str]:
    yield "| " + " | ".join(map(str, columns)) + " |"
    yield "|" + "---|" * len(columns)
    for row in rows:
        yield "| " + " | ".join(map(str, row)) + " |"


def _interval(ends: Sequence[float]) -> str:
    return f"{ends[0]:.3f} to {ends[1]:.3f}"


def _or_dash(value: float | None) -> str:
    return "—" if value is None else f"{value:.3f}"


def _percent(value: float | None) -> str:
    return "—" if value is None else f"{value:.1%}"
