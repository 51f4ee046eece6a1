"""The summary as it is told to people: what its page and its PDF both show. Words and ready geometry."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from assessment import expression, words
from assessment.expression import SCALE, Row, ShareOfTime, Stretch
from assessment.results.schema import StressDistribution, StressPoint
from rooms.summary import Document, alert_text

HEIGHT = 40.0
MOST_BARS = 240
LEAST_MARK = 4.0
FACE_LOST_S, SEVERAL_S = 1.0, 1.0


@dataclass(frozen=True)
class Mark:
    """On a lane; `x` and `width` are SVG lengths on a scale of 0 to 1000."""

    x: str
    width: str
    time: str
    text: str = ""


@dataclass(frozen=True)
class Lane:
    kind: str
    label: str
    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class Figure:
    """A measure in words; `text` is "—" with the `reason` where it is missing."""

    label: str
    text: str
    unit: str = ""
    note: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Event:
    """One line of the interview in order of time: a question, an alert or a note."""

    t_s: float
    time: str
    kind: str
    label: str
    text: str


@dataclass(frozen=True)
class Question:
    number: int
    text: str
    time: str
    shares: str
    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class Chart:
    """`confidence` is an SVG path on a scale of 1000 × 40: 0 to 100 upwards."""

    duration: str
    rows: tuple[Row, ...]
    confidence: str
    lanes: tuple[Lane, ...]
    stretches: tuple[Stretch, ...]
    in_words: str


@dataclass(frozen=True)
class Story:
    name: str
    title: str
    code: str
    when: str
    people: str
    opening: str
    ended: bool
    off_reason: str
    chart: Chart | None
    shares: tuple[ShareOfTime, ...]
    figures: tuple[Figure, ...]
    questions: tuple[Question, ...]
    events: tuple[Event, ...]
    alerts: int
    notes: int
    session: str


def tell(document: Document) -> Story:
    """In the active language."""
    room = document["room"]
    off_reason = _off_reason(document)
    return Story(
        name=room["candidate"],
        title=room["title"],
        code=room["code"],
        when=words.moment(room["admitted_at"]),
        people=words.listing(room["interviewers"]),
        opening=_opening(document),
        ended=room["status"] == "ended",
        off_reason=off_reason,
        chart=_chart(document) if document["timeline"] else None,
        shares=_shares(document["stress"]),
        figures=_figures(document, off_reason),
        questions=tuple(_question(one) for one in document["questions"]),
        events=tuple(_events(document)),
        alerts=len(document["alerts"]),
        notes=len(document["notes"]),
        session=(document["assessment"] or {}).get("session_id", ""),
    )


# -- In words ---------------------------------------------------------------------------------


def _off_reason(document: Document) -> str:
    policy = document["policy"]
    if policy["emotion_inference"]:
        return "" if document["timeline"] else _("Analysis was off.")
    return words.caution(policy["reason"], "")[0]


def _opening(document: Document) -> str:
    """One paragraph: who, how long, what could be measured, what to look at."""
    room = document["room"]
    if room["admitted_at"] is None:
        return _("%(name)s was not let in, so there is nothing to tell.") % {"name": room["candidate"]}
    parts = [
        _("%(people)s talked with %(name)s for %(minutes)s.")
        % {
            "people": words.listing(room["interviewers"]),
            "name": room["candidate"],
            "minutes": _minutes(room["duration_s"]),
        },
        *_asked(document["questions"]),
        _measured(document),
        _noted(document),
    ]
    return " ".join(part for part in parts if part)


def _minutes(seconds: float) -> str:
    if seconds < 60:
        return ngettext("%(count)d second", "%(count)d seconds", round(seconds)) % {"count": round(seconds)}
    minutes = round(seconds / 60)
    return ngettext("%(count)d minute", "%(count)d minutes", minutes) % {"count": minutes}


def _asked(questions: Sequence[Document]) -> list[str]:
    count = len({one["number"] for one in questions})
    if not count:
        return []
    return [
        ngettext("%(count)d question was asked.", "%(count)d questions were asked.", count) % {"count": count}
    ]


def _measured(document: Document) -> str:
    stress = document["stress"]
    if stress is None:
        return _off_reason(document) or _(
            "Neither face nor voice could be read well enough for the indicator."
        )
    shares = stress["distribution"]
    level = max(("low", "medium", "high"), key=lambda name: shares[name])
    share = words.number(100 * shares[level])
    return _(
        "The expression indicator was read for %(measured)s and stood at %(level)s for %(share)s %% of that time."
    ) % {
        "measured": _minutes(stress["measured_s"]),
        "level": expression.LEVELS[level],
        "share": share,
    }


def _noted(document: Document) -> str:
    alerts, notes = len(document["alerts"]), len(document["notes"])
    if not alerts and not notes:
        return ""
    listed = []
    if alerts:
        listed.append(ngettext("%(count)d alert", "%(count)d alerts", alerts) % {"count": alerts})
    if notes:
        listed.append(ngettext("%(count)d note", "%(count)d notes", notes) % {"count": notes})
    return _("Below, each with its time: %(listed)s.") % {"listed": words.listing(listed)}


# -- Figures ----------------------------------------------------------------------------------


def _shares(stress: Document | None) -> tuple[ShareOfTime, ...]:
    if stress is None:
        return ()
    return expression.shares(StressDistribution(**stress["distribution"]))


def _percent(value: float | None) -> str:
    return words.NOT_MEASURED if value is None else f"{words.number(100 * value)} %"


def _figures(document: Document, off_reason: str) -> tuple[Figure, ...]:
    return (
        _index(_("Candidate confidence"), document["confidence"], off_reason),
        _index(_("Voice confidence"), document["voice_confidence"], off_reason),
        *_attention(document["attention"]),
        *_speech(document["speech"]),
    )


def _index(label: str, found: Document | None, off_reason: str) -> Figure:
    if found is None:
        return Figure(label, words.NOT_MEASURED, reason=off_reason or _("Too little could be read."))
    spread = _("from %(lowest)s to %(highest)s, over %(measured)s") % {
        "lowest": words.number(found["lowest"]),
        "highest": words.number(found["highest"]),
        "measured": _minutes(found["measured_s"]),
    }
    return Figure(label, words.number(found["mean"]), _("of 100"), spread)


def _attention(found: Document | None) -> tuple[Figure, ...]:
    labels = _("Face in view"), _("Looked towards the camera")
    if found is None:
        return tuple(
            Figure(label, words.NOT_MEASURED, reason=_("No pictures were analysed.")) for label in labels
        )
    sight = found["eye_contact_share"]
    return (
        Figure(labels[0], _percent(found["face_visible_share"]), _("of the time")),
        Figure(
            labels[1],
            _percent(sight),
            _("of the time with a face") if sight is not None else "",
            reason="" if sight is not None else _("The line of sight was not steady enough to start from."),
        ),
    )


def _speech(found: Document | None) -> tuple[Figure, ...]:
    labels = _("Speech rate"), _("Share of the time spent speaking"), _("Longest pause")
    if found is None:
        return tuple(
            Figure(label, words.NOT_MEASURED, reason=_("No sound was analysed.")) for label in labels
        )
    rate = Figure(
        labels[0],
        words.number(found["rate"], 1),
        _("syllables a second while speaking"),
        _about_words(found["words_per_minute"]),
        reason="" if found["rate"] is not None else _("Too little speech."),
    )
    pause = found["longest_pause_s"]
    return (
        rate,
        Figure(labels[1], _percent(found["speech_share"])),
        Figure(labels[2], words.number(pause, 1), "s"),
    )


def _about_words(words_per_minute: float | None) -> str:
    if words_per_minute is None:
        return ""
    return _("about %(count)s words a minute, estimated from syllables") % {
        "count": words.number(words_per_minute)
    }


def _question(one: Document) -> Question:
    shares = _shares(one["stress"])
    told = ", ".join(f"{share.label} {share.text} %" for share in shares if share.text != "0")
    figures = (
        _index(_("Candidate confidence"), one["confidence"], ""),
        *_speech(one["speech"])[:1],
    )
    return Question(
        one["number"],
        one["text"],
        words.interval(one["start_s"], one["end_s"]),
        told or words.NOT_MEASURED,
        tuple(figure for figure in figures if figure.text != words.NOT_MEASURED),
    )


# -- In order of time -------------------------------------------------------------------------


def _events(document: Document) -> list[Event]:
    found = [
        Event(
            one["start_s"],
            words.clock(one["start_s"]),
            "question",
            _("Question %(number)s") % one,
            one["text"],
        )
        for one in document["questions"]
    ]
    found += [
        Event(one["t"], words.clock(one["t"]), "alert", _("Alert"), alert_text(one["kind"], one["value"]))
        for one in document["alerts"]
    ]
    found += [
        Event(one["t"], words.clock(one["t"]), "note", one["author"] or _("Note"), one["text"])
        for one in document["notes"]
    ]
    return sorted(found, key=lambda event: event.t_s)


# -- The chart --------------------------------------------------------------------------------


def _chart(document: Document) -> Chart:
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
    questions = [
        _mark(one["start_s"], one["end_s"], end_s, one["text"])
        for index, one in enumerate(document["questions"])
        if index % 2 == 0
    ]
    others = [
        _mark(one["start_s"], one["end_s"], end_s, one["text"])
        for index, one in enumerate(document["questions"])
        if index % 2
    ]
    lanes = [
        Lane("question", _("Questions 1, 3, 5 …") if others else _("Questions"), tuple(questions)),
        Lane("question", _("Questions 2, 4, 6 …"), tuple(others)),
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


def _mark(start_s: float, until_s: float, end_s: float, text: str) -> Mark:
    x = min(start_s / end_s * SCALE, SCALE - LEAST_MARK)
    width = max(LEAST_MARK, (until_s - start_s) / end_s * SCALE - 1)
    time = words.clock(start_s) if until_s <= start_s else words.interval(start_s, until_s)
    return Mark(f"{x:.1f}", f"{min(width, SCALE - x):.1f}", time, text)


def _confidence_in_words(document: Document) -> str:
    found: Any = document["confidence"]
    if found is None:
        return ""
    return _("Candidate confidence: %(mean)s of 100 on average, from %(lowest)s to %(highest)s.") % {
        name: words.number(found[name]) for name in ("mean", "lowest", "highest")
    }
