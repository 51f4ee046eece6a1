"""The summary as it is told to people: what its page and its PDF both show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from assessment import expression, words
from assessment.expression import ShareOfTime
from assessment.results.schema import StressDistribution
from rooms.summary import Document, alert_text
from rooms.summary_chart import Chart, draw


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
        chart=draw(document) if document["timeline"] else None,
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
    return capfirst(" ".join(part for part in parts if part))


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
    distribution = stress["distribution"]
    level = max(("low", "medium", "high"), key=lambda name: distribution[name])
    share = next(share.text for share in _shares(stress) if share.level == level)
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
    return words.NOT_MEASURED if value is None else f"{words.number(100 * value)}\u00a0%"


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
    longest = Figure(labels[2], words.number(pause, 1), "s")
    if pause is None:
        longest = Figure(
            labels[2], words.NOT_MEASURED, reason=_("No pause of half a second or more was heard.")
        )
    return (rate, Figure(labels[1], _percent(found["speech_share"])), longest)


def _about_words(words_per_minute: float | None) -> str:
    if words_per_minute is None:
        return ""
    return _("about %(count)s words a minute, estimated from syllables") % {
        "count": words.number(words_per_minute)
    }


def _question(one: Document) -> Question:
    shares = _shares(one["stress"])
    told = ", ".join(f"{share.label} {share.text}\u00a0%" for share in shares if share.text != "0")
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
