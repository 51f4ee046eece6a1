"""The expression indicator as it is told to people: chart, shares of the time, face and voice apart."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from assessment import words
from assessment.results.schema import (
    AggregateStress,
    AnswerResult,
    Evidence,
    Stress,
    StressDistribution,
    StressModality,
    StressPoint,
)

SCALE = 1000.0
HEIGHT = 40.0
MOST_BARS = 240
"""A longer timeline is drawn in means, so that the page of an hour stays small; half as many as the chart has pixels
on a laptop."""
NAMED_EMOTIONS = 3

LEVELS: dict[str | None, Any] = {
    "high": pgettext_lazy("expression indicator", "high"),
    "medium": pgettext_lazy("expression indicator", "medium"),
    "low": pgettext_lazy("expression indicator", "low"),
    None: pgettext_lazy("expression indicator", "not sure"),
}
COLOURS = {"high": "#d55e00", "medium": "#e69f00", "low": "#0072b2"}
EMOTIONS: dict[str, Any] = {
    "angry": pgettext_lazy("expression", "anger"),
    "disgust": pgettext_lazy("expression", "disgust"),
    "fear": pgettext_lazy("expression", "fear"),
    "happy": pgettext_lazy("expression", "happiness"),
    "sad": pgettext_lazy("expression", "sadness"),
    "surprise": pgettext_lazy("expression", "surprise"),
    "neutral": pgettext_lazy("expression", "neutral"),
}
QUALITIES: dict[str, Any] = {
    "no_face": gettext_lazy("no face"),
    "too_dark": gettext_lazy("too dark"),
    "too_bright": gettext_lazy("too bright"),
    "blurred": gettext_lazy("blurred"),
    "turned_away": gettext_lazy("turned away"),
    "too_small": gettext_lazy("too small"),
    "silent": gettext_lazy("too quiet"),
    "clipped": gettext_lazy("overdriven"),
    "too_short": gettext_lazy("too short"),
    "not_speaking": gettext_lazy("no speech"),
}
SOURCES: dict[str, Any] = {
    "face": gettext_lazy("by the face"),
    "voice": gettext_lazy("by the voice"),
    "face and voice": gettext_lazy("by face and voice"),
}


@dataclass(frozen=True)
class Row:
    """The timeline of one level. `likely` and `held` are SVG paths on a scale of 1000 × 40: the height tells how
    probable the level is; `held` is the part where the indicator stood at it."""

    level: str
    label: str
    colour: str
    likely: str
    held: str


@dataclass(frozen=True)
class ShareOfTime:
    """`x` and `width` are SVG lengths on a scale of 0 to 1000."""

    level: str
    label: str
    colour: str
    text: str
    x: str
    width: str


@dataclass(frozen=True)
class Stretch:
    time: str
    label: str
    note: str


@dataclass(frozen=True)
class Part:
    """Face or voice alone; without `levels` the `reason` says why."""

    label: str
    levels: tuple[str, ...]
    emotions: str
    used: str
    reason: str


@dataclass(frozen=True)
class Expression:
    """Without a timeline `reason` says why."""

    reason: str
    rows: tuple[Row, ...] = ()
    shares: tuple[ShareOfTime, ...] = ()
    sureness: str = ""
    stretches: tuple[Stretch, ...] = ()
    moments: tuple[Stretch, ...] = ()
    parts: tuple[Part, ...] = ()


NO_EXPRESSION = Expression("")


def describe(result: AnswerResult, duration_s: float | None, reason: str) -> Expression:
    """The answer's indicator; `reason` stands in its place where there is none."""
    stress = result.stress
    if stress is None or not stress.timeline:
        return Expression(reason)
    end_s = max(duration_s or 0.0, stress.timeline[-1].t_s + 1.0)
    return Expression(
        reason="",
        rows=rows(stress.timeline, end_s),
        shares=shares(stress.distribution),
        sureness=_sureness(stress),
        stretches=stretches(stress.timeline, end_s),
        moments=tuple(_moment(one) for one in result.evidence if one.kind == "high_stress"),
        parts=(_part(_("Face alone"), stress.face), _part(_("Voice alone"), stress.voice)),
    )


def of_all(aggregate: AggregateStress | None) -> tuple[ShareOfTime, ...]:
    """Shares of the time over all answers; none where no answer has the indicator."""
    return shares(aggregate.distribution) if aggregate else ()


def shares(found: StressDistribution) -> tuple[ShareOfTime, ...]:
    out: list[ShareOfTime] = []
    x = 0.0
    levels = ("low", "medium", "high", None)
    percents = whole_percents([getattr(found, level or "unsure") for level in levels])
    for level, percent in zip(levels, percents, strict=True):
        share = getattr(found, level or "unsure")
        text = "<1" if share and not percent else words.number(percent)
        colour = COLOURS.get(level or "", "#a4abae")
        out.append(
            ShareOfTime(
                level or "unsure", str(LEVELS[level]), colour, text, f"{x:.1f}", f"{share * SCALE:.1f}"
            )
        )
        x += share * SCALE
    return tuple(out)


def whole_percents(shares: Sequence[float]) -> list[int]:
    """Rounded so that they add up to what the whole is rounded to: the largest remainders are rounded up."""
    exact = [100 * share for share in shares]
    whole = [math.floor(percent) for percent in exact]
    short = round(sum(exact)) - sum(whole)
    by_remainder = sorted(range(len(exact)), key=lambda index: whole[index] - exact[index])
    for index in by_remainder[:short]:
        whole[index] += 1
    return whole


def _sureness(stress: Stress) -> str:
    return _("The level that was found likeliest had a probability of %(mean)s %% on average.") % {
        "mean": words.number(100 * stress.model_confidence)
    }


# -- The chart --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Bar:
    start_s: float
    end_s: float
    probabilities: Mapping[str, float]
    level: str | None


def rows(timeline: Sequence[StressPoint], end_s: float) -> tuple[Row, ...]:
    """One row a level, for a timeline of readings a second apart that ends at `end_s`."""
    bars = _bars(timeline, math.ceil(end_s / MOST_BARS))
    return tuple(
        Row(
            level,
            str(LEVELS[level]),
            colour,
            _path(level, bars, end_s),
            _path(level, [bar for bar in bars if bar.level == level], end_s),
        )
        for level, colour in COLOURS.items()
    )


def _bars(timeline: Sequence[StressPoint], width_s: int) -> list[_Bar]:
    """The timeline in bars of `width_s` seconds: mean probabilities, and the level that most seconds have."""
    bars = []
    for number, group in groupby(timeline, key=lambda point: int(point.t_s) // width_s):
        points = list(group)
        means = {level: fmean(getattr(point, level) for point in points) for level in COLOURS}
        ((level, _count),) = Counter(point.level for point in points).most_common(1)
        bars.append(_Bar(number * width_s, (number + 1) * width_s, means, level))
    return bars


def _path(level: str, bars: Sequence[_Bar], end_s: float) -> str:
    """A skyline over the bars, closed at the bottom wherever there is a gap."""
    parts: list[str] = []
    last_s = -1.0
    for bar in bars:
        x, end = bar.start_s / end_s * SCALE, min(bar.end_s / end_s, 1.0) * SCALE
        if bar.start_s != last_s:
            parts.append(f"{f'V{HEIGHT:g}Z' if parts else ''}M{x:.1f} {HEIGHT:g}")
        parts.append(f"V{HEIGHT * (1 - bar.probabilities[level]):.1f}H{end:.1f}")
        last_s = bar.end_s
    return "".join(parts) + f"V{HEIGHT:g}Z" if parts else ""


# -- In words ---------------------------------------------------------------------------------


def stretches(timeline: Sequence[StressPoint], end_s: float) -> tuple[Stretch, ...]:
    """The chart for those who do not see it: seconds on end at one level."""
    runs: list[list[StressPoint]] = []
    for point in timeline:
        if runs and point.level == runs[-1][-1].level and point.t_s - runs[-1][-1].t_s <= 1.0:
            runs[-1].append(point)
        else:
            runs.append([point])
    return tuple(_stretch(run, end_s) for run in runs)


def _stretch(run: Sequence[StressPoint], end_s: float) -> Stretch:
    level = run[0].level
    time = words.interval(run[0].t_s, min(run[-1].t_s + 1.0, end_s))
    note = _likely(fmean(getattr(point, level) for point in run)) if level else ""
    return Stretch(time, str(LEVELS[level]), note)


def _likely(probability: float | None) -> str:
    return _("%(percent)s %% likely") % {"percent": words.number(100 * (probability or 0.0))}


def _moment(evidence: Evidence) -> Stretch:
    by = str(SOURCES.get(evidence.reason, evidence.reason))
    note = by if evidence.value is None else f"{by}, {_likely(evidence.value)}"
    return Stretch(words.interval(evidence.start_s, evidence.end_s), str(words.EVIDENCE[evidence.kind]), note)


def _part(label: str, found: StressModality | None) -> Part:
    if found is None:
        return Part(label, (), "", "", _("There was none."))
    left_out = [
        f"{QUALITIES.get(name, name)} {count}"
        for name, count in found.quality.items()
        if name != "ok" and count
    ]
    used = _("%(used)s of %(all)s") % {"used": words.number(found.used), "all": words.number(found.looked_at)}
    if found.probabilities is None:
        return Part(label, (), "", used, _with_causes(_("None was good enough"), left_out))
    levels = tuple(
        f"{words.number(100 * getattr(found.probabilities, level))} %" for level in ("low", "medium", "high")
    )
    return Part(label, levels, _strongest(found.emotions or {}), _with_causes(used, left_out), "")


def _with_causes(text: str, causes: Sequence[str]) -> str:
    return f"{text} ({', '.join(causes)})" if causes else text


def _strongest(emotions: Mapping[Any, float]) -> str:
    ordered = sorted(emotions.items(), key=lambda pair: -pair[1])[:NAMED_EMOTIONS]
    return ", ".join(f"{EMOTIONS[name]} {words.number(100 * share)} %" for name, share in ordered)
