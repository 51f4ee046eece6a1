"""The summary's chart: levels, confidence and what happened, as ready geometry for page and PDF."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean
from typing import Any

from django.utils.translation import gettext as _

from assessment import expression, words
from assessment.expression import SCALE, Row, Stretch
from assessment.results.schema import StressPoint
from rooms.summary import Document, alert_text

HEIGHT = 40.0
MOST_BARS = 240
"""Of the confidence line, half as many as the chart has pixels on a laptop; an hour is drawn in means."""
LEAST_MARK = 4.0
"""Of `SCALE`, so that a moment can be seen."""
LEAST_LABEL = 36.0
"""Of `SCALE`: on a phone's width just a digit."""


@dataclass(frozen=True)
class Mark:
    """On a lane; `x` and `width` are SVG lengths on a scale of 0 to 1000, `left` and `share` the same in percent.
    `label` is empty where it has no room."""

    x: str
    width: str
    time: str
    text: str = ""
    label: str = ""

    @property
    def left(self) -> str:
        return f"{float(self.x) / SCALE * 100:.2f}%"

    @property
    def share(self) -> str:
        return f"{float(self.width) / SCALE * 100:.2f}%"


@dataclass(frozen=True)
class Lane:
    kind: str
    label: str
    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class Chart:
    """`confidence` is an SVG path on a scale of 1000 × 40: 0 to 100 upwards."""

    duration: str
    rows: tuple[Row, ...]
    confidence: str
    lanes: tuple[Lane, ...]
    stretches: tuple[Stretch, ...]
    in_words: str


def draw(document: Document) -> Chart:
    """Of a document with a timeline."""
    timeline = document["timeline"]
    end_s = max(document["room"]["duration_s"] or 0.0, timeline[-1]["t"] + 1.0)
    points = [_stress_point(one) for one in timeline if one["low"] is not None]
    return Chart(
        duration=words.clock(end_s),
        rows=expression.rows(points, end_s) if points else (),
        confidence=_path([(one["t"], one["confidence"]) for one in timeline], end_s),
        lanes=tuple(_lanes(document, end_s)),
        stretches=expression.stretches(points, end_s) if points else (),
        in_words=_confidence_in_words(document),
    )


def _stress_point(one: Document) -> StressPoint:
    level = one["level"] if one["level"] in ("low", "medium", "high") else None
    return StressPoint(
        t_s=one["t"],
        low=one["low"],
        medium=one["medium"],
        high=one["high"],
        level=level,
        sources=one["sources"],
    )


def _path(values: Iterable[tuple[float, float | None]], end_s: float) -> str:
    """A skyline of 0 to 100 with gaps where nothing was measured."""
    width_s = max(1.0, end_s / MOST_BARS)
    known = [(t_s, value) for t_s, value in values if value is not None]
    parts: list[str] = []
    last: int | None = None
    for number, group in groupby(known, key=lambda pair: int(pair[0] / width_s)):
        x, end = number * width_s / end_s * SCALE, min((number + 1) * width_s / end_s, 1.0) * SCALE
        y = HEIGHT * (1 - fmean(value for _t, value in group) / 100)
        if number != (last if last is None else last + 1):
            parts.append(f"{f'V{HEIGHT:g}Z' if parts else ''}M{x:.1f} {HEIGHT:g}")
        parts.append(f"V{y:.1f}H{end:.1f}")
        last = number
    return "".join(parts) + f"V{HEIGHT:g}Z" if parts else ""


def _lanes(document: Document, end_s: float) -> list[Lane]:
    lanes = [
        Lane(
            "question",
            _("Questions"),
            tuple(
                _mark(one["start_s"], one["end_s"], end_s, one["text"], str(one["number"]))
                for one in document["questions"]
            ),
        ),
        Lane(
            "alert",
            _("Alerts"),
            tuple(
                _mark(one["t"], one["t"], end_s, alert_text(one["kind"], one["value"]))
                for one in document["alerts"]
            ),
        ),
        Lane(
            "note",
            _("Notes"),
            tuple(_mark(one["t"], one["t"], end_s, one["text"]) for one in document["notes"]),
        ),
    ]
    return [lane for lane in lanes if lane.marks]


def _mark(start_s: float, until_s: float, end_s: float, text: str, label: str = "") -> Mark:
    x = min(start_s / end_s * SCALE, SCALE - LEAST_MARK)
    width = max(LEAST_MARK, (until_s - start_s) / end_s * SCALE - 1)
    time = words.clock(start_s) if until_s <= start_s else words.interval(start_s, until_s)
    width = min(width, SCALE - x)
    return Mark(f"{x:.1f}", f"{width:.1f}", time, text, label if width >= LEAST_LABEL else "")


def _confidence_in_words(document: Document) -> str:
    found: Any = document["confidence"]
    if found is None:
        return ""
    return _("Candidate confidence: %(mean)s of 100 on average, from %(lowest)s to %(highest)s.") % {
        name: words.number(found[name]) for name in ("mean", "lowest", "highest")
    }
