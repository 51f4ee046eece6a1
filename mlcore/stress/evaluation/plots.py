"""Pictures for the model cards and the training log: PNG, readable without colour, a few ten kilobytes each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from mlcore.stress.evaluation.figures import CoveragePoint
from mlcore.stress.evaluation.measures import Bin

GROUND, TEXT, QUIET, SOFT, LINE = "#ffffff", "#1b1d1e", "#5b6265", "#a4abae", "#e3e4e1"
ACCENT, AMBER, RED = "#0b5fa5", "#e69f00", "#d55e00"
"""The site's tokens."""
STYLES = ((ACCENT, "-"), (RED, "--"), (AMBER, "-."), (QUIET, ":"))
DOTS_AN_INCH = 100


def history(
    path: Path, panels: Mapping[str, Mapping[str, Sequence[float]]], *, chosen: int | None = None
) -> None:
    """One panel for each measure, one line for each name in it, a value for each epoch (nan where there is none).

    `chosen` is the place of the epoch that was kept, counted from 0.
    """
    figure, axes = _figure(len(panels))
    for axis, (measure, lines) in zip(axes, panels.items(), strict=True):
        for number, (name, values) in enumerate(lines.items()):
            colour, style = STYLES[number % len(STYLES)]
            axis.plot(np.arange(1, len(values) + 1), values, style, color=colour, label=name)
        if chosen is not None:
            axis.axvline(chosen + 1, color=QUIET, linewidth=0.8, label=f"kept: epoch {chosen + 1}")
        _label(axis, measure, "epoch", "")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        _legend(axis)
    _save(figure, path)


def reliability(path: Path, bins: Sequence[Bin], ece: float, title: str = "Calibration") -> None:
    """Accuracy over confidence in bins of equally many inputs, with 95 % Wilson intervals, beside the ideal line."""
    figure, (axis,) = _figure(1)
    confidence, accuracy = (
        np.array([one.confidence for one in bins]),
        np.array([one.accuracy for one in bins]),
    )
    reach = np.array([[one.accuracy - one.low, one.high - one.accuracy] for one in bins]).clip(min=0).T
    lowest = min(0.3, float(confidence.min()), float(min(one.low for one in bins)))
    axis.plot([lowest, 1], [lowest, 1], "--", color=QUIET, linewidth=1, label="as sure as right")
    axis.errorbar(
        confidence, accuracy, reach, fmt="o-", color=ACCENT, ecolor=SOFT, elinewidth=1.5, markersize=4,
        label=f"bins of about {round(np.mean([one.n for one in bins]))}",
    )  # fmt: skip
    _label(axis, f"{title}: expected calibration error {ece:.3f}", "confidence", "accuracy")
    _percent(axis, lowest)
    _legend(axis)
    _save(figure, path)


def risk_coverage(
    path: Path, curves: Mapping[str, Sequence[CoveragePoint]], unsure_coverage: float | None = None
) -> None:
    """Share of wrong answers over the share answered, most confident first; `unsure_coverage` marks the share answered
    where the rest is called unsure."""
    figure, (axis,) = _figure(1)
    for number, (name, points) in enumerate(curves.items()):
        colour, style = STYLES[number % len(STYLES)]
        axis.plot(
            [one.coverage for one in points], [one.risk for one in points], style, color=colour, label=name
        )
    if unsure_coverage is not None:
        axis.axvline(unsure_coverage, color=QUIET, linewidth=0.8, label=f"answered: {unsure_coverage:.1%}")
    _label(axis, "Answering only when sure", "share answered", "share of wrong answers")
    axis.set_ylim(bottom=0)
    _percent(axis, 0.0)
    _legend(axis)
    _save(figure, path)


def confusion(
    path: Path, table: Sequence[Sequence[int]], labels: Sequence[str], title: str = "Confusion"
) -> None:
    """Rows are the true classes; shade and percentage are shares of the row, with the count below."""
    cells = np.array(table)
    shares = cells / np.maximum(cells.sum(axis=1, keepdims=True), 1)
    figure, (axis,) = _figure(1, width=1.6 + 0.9 * len(labels), height=1.2 + 0.75 * len(labels))
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, column in np.ndindex(cells.shape):
        colour = GROUND if shares[row, column] > 0.6 else TEXT
        text = f"{shares[row, column]:.0%}\n{cells[row, column]}"
        axis.text(column, row, text, ha="center", va="center", color=colour, fontsize=9)
    axis.set_xticks(range(len(labels)), labels)
    axis.set_yticks(range(len(labels)), labels)
    _label(axis, title, "said", "true")
    axis.grid(visible=False)
    _save(figure, path)


def _figure(panels: int, width: float = 5.4, height: float = 3.6) -> tuple[Figure, list[Axes]]:
    """No pyplot: its figures are global and would outlive the call."""
    figure = Figure(
        figsize=(width * panels, height), dpi=DOTS_AN_INCH, facecolor=GROUND, layout="constrained"
    )
    return figure, list(figure.subplots(1, panels, squeeze=False)[0])


def _label(axis: Axes, title: str, x: str, y: str) -> None:
    axis.set_title(title, loc="left", fontsize=11, color=TEXT)
    axis.set_xlabel(x, color=QUIET)
    axis.set_ylabel(y, color=QUIET)
    axis.tick_params(colors=QUIET, labelsize=9)
    axis.grid(color=LINE, linewidth=0.8)
    axis.set_axisbelow(True)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def _percent(axis: Axes, lowest_x: float) -> None:
    axis.set_xlim(lowest_x, 1.01)
    axis.xaxis.set_major_formatter(PercentFormatter(1.0, 0))
    axis.yaxis.set_major_formatter(PercentFormatter(1.0))


def _legend(axis: Axes) -> None:
    axis.legend(frameon=False, fontsize=9, labelcolor=TEXT)


def _save(figure: Figure, path: Path) -> None:
    """Without the program's version in it, so that the same numbers give the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="png", facecolor=GROUND, metadata={"Software": None})
