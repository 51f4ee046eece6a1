"""What an interview gave, from its records: the document behind the summary page, its PDF and the API."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from statistics import fmean
from typing import Any

from django.utils.translation import gettext as _

from assessment.policy import Policy
from rooms.models import Alert, Note, QuestionMark, Reading, Room

LEVELS = ("low", "medium", "high")
MOST_POINTS = 3600
"""A longer interview's timeline is given in means of several seconds, so that the document stays under a megabyte."""

MOST_BETWEEN_S = 3.5
"""Readings further apart than this have a gap between them: frames come every 1 to 3 s (rooms/live/flow.py)."""

Document = dict[str, Any]
UNSURE = "unsure"


def document(room: Room) -> Document:
    """The summary as JSON. Numbers are null where nothing was measured; times are seconds from the first admission."""
    readings = list(Reading.objects.filter(room=room).order_by("t_s", "pk"))
    duration_s = _duration_s(room, readings)
    questions = _questions(room, duration_s)
    return {
        "success": True,
        "room": _room(room, duration_s),
        "policy": _policy(room),
        **_measures(readings),
        "questions": [
            {**one, **_measures(_between(readings, one["start_s"], one["end_s"]))} for one in questions
        ],
        "alerts": [alert_document(alert) for alert in room.alerts.all()],
        "notes": [note_document(note) for note in room.notes.select_related("author")],
        "timeline": _timeline(readings),
        "assessment": _assessment(room),
    }


def alert_document(alert: Alert) -> Document:
    return {
        "id": alert.pk,
        "t": round(alert.t_s, 1),
        "kind": alert.kind,
        "severity": alert.severity,
        "value": alert.value,
        "message": alert_text(alert.kind, alert.value),
    }


def alert_text(kind: str, value: float | None) -> str:
    """What the alert says, in the active language."""
    from rooms.live.words import title

    return title(kind, value)


def note_document(note: Note) -> Document:
    author = note.author.get_full_name() or note.author.get_username() if note.author else ""
    return {"id": note.pk, "t": round(note.t_s, 1), "text": note.text, "author": author}


def _duration_s(room: Room, readings: Sequence[Reading]) -> float:
    if room.admitted_at is None:
        return 0.0
    last_s = readings[-1].t_s if readings else 0.0
    return max(room.seconds_at(room.ended_at), last_s)


def _room(room: Room, duration_s: float) -> Document:
    people = [room.owner, *room.panel.all()]
    return {
        "roomId": room.room_id,
        "code": room.code,
        "title": room.title,
        "status": room.status,
        "candidate": room.candidate.name,
        "candidate_country": room.country or None,
        "language": room.language,
        "interviewers": [user.get_full_name() or user.get_username() for user in people],
        "created_at": room.created_at.isoformat(),
        "admitted_at": room.admitted_at.isoformat() if room.admitted_at else None,
        "ended_at": room.ended_at.isoformat() if room.ended_at else None,
        "duration_s": round(duration_s, 1) if room.admitted_at else None,
    }


def _policy(room: Room) -> Document:
    decided = Policy.from_snapshot(room.policy)
    return {"emotion_inference": decided.emotion_inference, "reason": decided.reason}


def _assessment(room: Room) -> Document | None:
    if room.assessment is None:
        return None
    session = room.assessment.session_id
    return {"session_id": session, "status": room.assessment.status, "results_url": f"/results/{session}"}


# -- Questions --------------------------------------------------------------------------------


def _questions(room: Room, end_s: float) -> list[Document]:
    """Each question mark until the next; a question that was asked twice stands there twice."""
    marks: list[QuestionMark] = list(room.marks.all())
    ends_s = [following.t_s for _mark, following in pairwise(marks)] + [end_s] * bool(marks)
    return [
        {
            "number": mark.number + 1,
            "text": room.questions[mark.number]
            if mark.number < len(room.questions)
            else _("Question %(number)s") % {"number": mark.number + 1},
            "start_s": round(mark.t_s, 1),
            "end_s": round(max(mark.t_s, until_s), 1),
        }
        for mark, until_s in zip(marks, ends_s, strict=True)
    ]


def _between(readings: Iterable[Reading], start_s: float, end_s: float) -> list[Reading]:
    return [reading for reading in readings if start_s <= reading.t_s < end_s]


# -- Measures ---------------------------------------------------------------------------------


def _measures(readings: Sequence[Reading]) -> Document:
    return {
        "stress": _stress(readings),
        "confidence": _index(readings, lambda reading: reading.confidence),
        "voice_confidence": _index(readings, lambda reading: reading.voice_confidence),
        "attention": _attention(readings),
        "speech": _speech(readings),
    }


def held_level(reading: Reading) -> str | None:
    """The level that the indicator stood at, `UNSURE` where it was too close; None where nothing was read."""
    if not reading.level:
        return None
    stress = reading.parts.get("stress") or {}
    unsure = stress.get("unsure", reading.parts.get("unsure", (reading.model_confidence or 0.0) < 0.5))
    return UNSURE if unsure else reading.level


def _stress(readings: Sequence[Reading]) -> Document | None:
    read = [reading for reading in readings if reading.level]
    if not read:
        return None
    held = [held_level(reading) for reading in read]
    return {
        "measured_s": _covered_s(read),
        "distribution": {level: round(held.count(level) / len(held), 4) for level in (*LEVELS, UNSURE)},
        "mean_probabilities": {
            level: round(fmean(getattr(reading, level) or 0.0 for reading in read), 4) for level in LEVELS
        },
        "model_confidence": round(fmean(reading.model_confidence or 0.0 for reading in read), 4),
    }


def _index(readings: Sequence[Reading], value: Callable[[Reading], float | None]) -> Document | None:
    measured = [reading for reading in readings if value(reading) is not None]
    if not measured:
        return None
    values = [value(reading) or 0.0 for reading in measured]
    return {
        "mean": round(fmean(values), 1),
        "lowest": round(min(values), 1),
        "highest": round(max(values), 1),
        "measured_s": _covered_s(measured),
    }


def _attention(readings: Sequence[Reading]) -> Document | None:
    """Shares of the seconds in which frames came, and in which the line of sight was known."""
    seen = [reading for reading in readings if (reading.parts.get("face") or {}).get("count") is not None]
    if not seen:
        return None
    faces = [reading.parts["face"] for reading in seen]
    sights = [face["eye_contact"] for face in faces if face.get("eye_contact") is not None]
    return {
        "measured_s": _covered_s(seen),
        "face_visible_share": round(fmean(bool(face.get("detected")) for face in faces), 4),
        "several_faces_s": _covered_s([reading for reading in seen if reading.parts["face"]["count"] > 1]),
        "eye_contact_share": round(fmean(map(bool, sights)), 4) if sights else None,
    }


def _covered_s(readings: Sequence[Reading]) -> int:
    """How long these readings stand for: each until the next, the last and those before a gap for a second."""
    gaps_s = [after.t_s - before.t_s for before, after in pairwise(readings)]
    return round(sum(gap_s if gap_s <= MOST_BETWEEN_S else 1.0 for gap_s in gaps_s) + bool(readings))


def _speech(readings: Sequence[Reading]) -> Document | None:
    """Means of the speech metrics, which come every few seconds."""
    metrics = [reading.speech for reading in readings if reading.speech]
    if not metrics:
        return None

    def mean(key: str) -> float | None:
        values = [one[key] for one in metrics if one.get(key) is not None]
        return round(fmean(values), 3) if values else None

    longest = [one["longest_pause_s"] for one in metrics if one.get("longest_pause_s") is not None]
    return {
        "rate": mean("rate"),
        "rate_unit": next((one["rate_unit"] for one in metrics if one.get("rate_unit")), None),
        "rate_method": next((one["rate_method"] for one in metrics if one.get("rate_method")), None),
        "words_per_minute": mean("words_per_minute"),
        "speech_share": mean("speech_share"),
        "longest_pause_s": max(longest) if longest else None,
        "windows": len(metrics),
    }


# -- Timeline ---------------------------------------------------------------------------------


def _timeline(readings: Sequence[Reading]) -> list[Document]:
    readings = [
        reading for reading in readings if reading.parts or reading.level
    ]  # not the speech metrics' rows
    step = -(-len(readings) // MOST_POINTS) or 1
    return [_point(readings[start : start + step]) for start in range(0, len(readings), step)]


def _point(readings: Sequence[Reading]) -> Document:
    def mean(name: str, digits: int) -> float | None:
        values = [value for reading in readings if (value := getattr(reading, name)) is not None]
        return round(fmean(values), digits) if values else None

    middle = readings[len(readings) // 2]
    sources = [
        source for source, there in (("face", middle.from_face), ("voice", middle.from_voice)) if there
    ]
    return {
        "t": round(readings[0].t_s, 1),
        **{level: mean(level, 4) for level in LEVELS},
        "level": held_level(middle),
        "confidence": mean("confidence", 1),
        "voice_confidence": mean("voice_confidence", 1),
        "sources": sources,
    }
