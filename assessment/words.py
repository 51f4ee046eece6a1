"""What people read for codes and numbers, in the language that is active."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.conf import settings
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.translation import get_language, gettext_lazy, ngettext, pgettext_lazy
from django.utils.translation import gettext as _

NOT_MEASURED = "—"

STAGES: dict[str, Any] = {
    "download": gettext_lazy("Download"),
    "decode": gettext_lazy("Open the recording"),
    "transcribe": gettext_lazy("Write down what is said"),
    "translate": gettext_lazy("Translate"),
    "watch": gettext_lazy("Look at faces"),
    "listen": gettext_lazy("Tell voices apart"),
    "stress": gettext_lazy("Read expression"),
    "grade": gettext_lazy("Score the answer"),
}

VERDICTS: dict[str | None, Any] = {
    "Safe": pgettext_lazy("integrity", "clear"),
    "Medium Risk": pgettext_lazy("integrity", "review"),
    "High Risk": pgettext_lazy("integrity", "review first"),
    None: gettext_lazy("not measured"),
}

EVIDENCE: dict[str, Any] = {
    "off_screen": gettext_lazy("Looked away"),
    "no_face": gettext_lazy("No face in view"),
    "multiple_faces": gettext_lazy("More than one face"),
    "second_voice": gettext_lazy("Another voice"),
    "long_pause": gettext_lazy("Long pause"),
    "high_stress": gettext_lazy("Expression indicator: high"),
}

DIRECTIONS: dict[str, Any] = {
    "head_left": gettext_lazy("head turned to the left"),
    "head_right": gettext_lazy("head turned to the right"),
    "head_up": gettext_lazy("head raised"),
    "head_down": gettext_lazy("head lowered"),
    "gaze_left": gettext_lazy("eyes to the left"),
    "gaze_right": gettext_lazy("eyes to the right"),
    "gaze_up": gettext_lazy("eyes up"),
    "gaze_down": gettext_lazy("eyes down"),
}

WARNINGS: dict[str, Any] = {
    "truncated": gettext_lazy("The recording breaks off before its end; what was there is assessed."),
    "no_audio": gettext_lazy(
        "The recording has no sound, so nothing that is said could be measured or scored."
    ),
    "no_speech": gettext_lazy("No speech was heard, so the answer has no scores."),
    "no_video": gettext_lazy("The recording has no picture, so nothing about faces could be measured."),
    "face_not_visible": gettext_lazy(
        "The face was out of view for much of the time; measures of the face are incomplete."
    ),
    "translation_unavailable": gettext_lazy("The translation could not be made."),
    "graded_by_rules": gettext_lazy(
        "The built-in rules scored this answer, not a language model. Read it yourself."
    ),
    "grader_disagreement": gettext_lazy(
        "The language model and the built-in rules disagree strongly about this answer."
    ),
    "language_uncertain": gettext_lazy("It was not clear whether English or Indonesian is spoken."),
    "country_unknown": gettext_lazy(
        "The candidate's country is not known, so nothing about emotion is inferred."
    ),
    "policy_prohibits": gettext_lazy(
        "The law of a country concerned forbids inferring emotion, so it is off."
    ),
    "not_agreed": gettext_lazy(
        "The candidate did not agree to the analysis of face and voice, so nothing about emotion is inferred."
    ),
    "stress_not_measured": gettext_lazy(
        "Neither face nor voice could be read well enough for the expression indicator."
    ),
}

ERRORS: dict[str, Any] = {
    "unreadable_media": gettext_lazy("The file could not be read as a video or sound recording."),
    "url_refused": gettext_lazy("The address of the recording is not one this site may fetch from."),
    "download_failed": gettext_lazy("The recording could not be downloaded."),
    "missing_url": gettext_lazy("The hand-in names no address for this recording."),
    "no_video": gettext_lazy("No recording was handed in for this question."),
}

GRADERS: dict[str | None, Any] = {
    "llm": gettext_lazy("language model"),
    "rules": gettext_lazy("built-in rules"),
    None: gettext_lazy("nobody"),
}

LANGUAGES: dict[str | None, Any] = {
    "English": gettext_lazy("English"),
    "Indonesian": gettext_lazy("Indonesian"),
    None: gettext_lazy("language unknown"),
}


STATUSES: dict[str, Any] = {
    "queued": gettext_lazy("waiting"),
    "downloading": gettext_lazy("downloading"),
    "processing": gettext_lazy("in work"),
    "completed": gettext_lazy("finished"),
    "error": gettext_lazy("not assessed"),
}

REFUSALS: dict[str, Any] = {
    "unreadable_media": gettext_lazy("This file cannot be read as a video or sound recording."),
    "too_large": gettext_lazy("This file is too large."),
    "storage_full": gettext_lazy("The server's disk is full; nothing was stored."),
    "count_mismatch": gettext_lazy("Every video needs one question."),
    "invalid_json": gettext_lazy("This is not JSON."),
    "invalid_shape": gettext_lazy("This JSON has another shape than a hand-in."),
    "duplicate_position": gettext_lazy("Two answers have the same number."),
    "idempotency_conflict": gettext_lazy(
        "This form was sent already. Load the page again for another hand-in."
    ),
    "in_progress": gettext_lazy("This form is being stored already. Look at the list in a moment."),
}


def stage(name: str) -> str:
    return str(STAGES.get(name, name))


def failure(code: str) -> str:
    """What a failed answer means, by its code."""
    return str(ERRORS.get(code, _("This answer could not be assessed.")))


def caution(code: str, message: str) -> tuple[str, str]:
    """A warning in the reader's language, and the exact message where that is another text (it is in English)."""
    if message and (get_language() or "en").startswith("en"):
        return message, ""
    return str(WARNINGS[code]), message


def finding(kind: str, reason: str, seconds: float) -> str:
    """What stands beside an interval: which way somebody looked, how long a pause was."""
    if kind == "off_screen":
        return str(DIRECTIONS.get(reason, reason))
    if kind == "long_pause":
        return _("%(seconds)s s") % {"seconds": number(seconds, 1)}
    return ""


def status_tone(status: str) -> str:
    return {"completed": "good", "error": "attention"}.get(status, "quiet")


def refusal(code: str, message: str) -> str:
    """Why a hand-in was refused: by its code in the reader's language, then the exact message."""
    return f"{REFUSALS[code]} {message}" if code in REFUSALS else message


def upload_limit_mb() -> str:
    return number(settings.MAX_UPLOAD_MB)


def eta(seconds: float | None) -> str:
    """The time left, rounded up so that it is rather early than late."""
    if seconds is None:
        return ""
    minutes = math.ceil(seconds / 60)
    if minutes <= 1:
        return _("less than a minute left")
    return ngettext("about %(count)d minute left", "about %(count)d minutes left", minutes) % {
        "count": minutes
    }


def clock(seconds: float) -> str:
    """Seconds from the start rounded, as m:ss, or h:mm:ss from one hour on."""
    whole = max(0, round(seconds))
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def interval(start_s: float, end_s: float) -> str:
    return f"{clock(start_s)}–{clock(end_s)}"


def number(value: float | None, places: int = 0) -> str:
    """In the digits of the active language; "—" when it was not measured."""
    return NOT_MEASURED if value is None else number_format(round(value, places), decimal_pos=places)


def moment(iso: str | None) -> str:
    """An ISO 8601 time as a date and time in the site's time zone."""
    if not iso:
        return NOT_MEASURED
    return date_format(timezone.localtime(datetime.fromisoformat(iso)), "j F Y H:i")


def listing(parts: Sequence[str]) -> str:
    """ "a, b and c" """
    if len(parts) < 2:
        return "".join(parts)
    return _("%(before)s and %(last)s") % {"before": ", ".join(parts[:-1]), "last": parts[-1]}


def tone(verdict: str | None) -> str:
    """The class of a tag for an integrity verdict; its word always stands beside the colour."""
    return {"Safe": "good", "Medium Risk": "attention", "High Risk": "first"}.get(verdict or "", "quiet")
