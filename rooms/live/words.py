"""What interviewers read about alerts, and what they might do. Kinds and codes are stable; see docs/protocol.md.

The panel's page and the summary translate by kind; messages over the sockets are in the site's language, as a socket
knows nothing of the language that its reader has chosen.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.utils import translation
from django.utils.translation import gettext_lazy as _

from rooms.models import Alert

ALERTS: dict[str, Any] = {
    "high_stress": _("Expression indicator at high for %(value)s s"),
    "low_confidence": _("Confidence index low for %(value)s s"),
    "no_face": _("No face for %(value)s s"),
    "second_face": _("More than one face for %(value)s s"),
    "second_voice": _("A second voice may be heard"),
    "fast_speech": _("Very fast speech: %(value)s syllables/s"),
    "slow_speech": _("Very slow speech: %(value)s syllables/s"),
    "long_pauses": _("Long pauses, up to %(value)s s"),
    "low_voice_confidence": _("Voice confidence low for %(value)s s"),
}
"""Titles. `%(value)s` is the alert's value, see `title`."""

ADVICE: dict[str, Any] = {
    "high_stress": _("Pause, rephrase the question, or offer water."),
    "low_confidence": _("Ask about something they know well."),
    "no_face": _("Ask whether the camera still works."),
    "second_face": _(
        "Ask kindly whether somebody else is in the room. A picture on the wall can look like one."
    ),
    "second_voice": _("Ask kindly whether somebody else is there. A radio or television can sound like one."),
    "fast_speech": _("Say that there is no hurry."),
    "slow_speech": _("Give them time, and ask whether the sound is good."),
    "long_pauses": _("Wait a little longer, or ask the question in other words."),
    "low_voice_confidence": _("Nod, and say that you would like to hear more."),
}

RECOMMENDATIONS: dict[str, Any] = {
    "offer_break": _("Pause, rephrase the question, or offer water."),
    "easier_question": _("Ask about something they know well, then come back."),
    "open_question": _("Answers are short: ask an open question, such as “How did you go about it?”"),
    "slow_down": _("Speak slowly yourself: it takes the hurry out of the answers."),
    "give_time": _("Leave the silence alone for a while: they are thinking."),
    "check_camera": _("Ask whether the camera still works."),
    "more_light": _("Ask for a light from the front: the picture is too dark."),
    "less_light": _("Ask for less light on the face: the picture is too bright."),
    "steady_camera": _("Ask them to wipe the lens or sit still: the picture is blurred."),
    "softer_sound": _("Ask them to move the microphone away a little: the sound is distorted."),
    "ask_who": _("Ask kindly whether somebody else is in the room."),
}

SEVERITIES: dict[str, Alert.Severity] = {
    "high_stress": Alert.Severity.ATTENTION,
    "low_confidence": Alert.Severity.INFO,
    "no_face": Alert.Severity.ATTENTION,
    "second_face": Alert.Severity.IMPORTANT,
    "second_voice": Alert.Severity.IMPORTANT,
    "fast_speech": Alert.Severity.INFO,
    "slow_speech": Alert.Severity.INFO,
    "long_pauses": Alert.Severity.INFO,
    "low_voice_confidence": Alert.Severity.INFO,
}

_WITH_DECIMAL = frozenset({"fast_speech", "slow_speech", "long_pauses"})


def title(kind: str, value: float | None) -> str:
    """The alert's title in the active language; "" for a kind that is not known."""
    if kind not in ALERTS:
        return ""
    shown = "—" if value is None else f"{value:.1f}" if kind in _WITH_DECIMAL else f"{value:.0f}"
    return str(ALERTS[kind]) % {"value": shown}


def said(kind: str, value: float | None) -> tuple[str, str]:
    """Title and advice in the site's language."""
    with translation.override(settings.LANGUAGE_CODE):
        return title(kind, value), str(ADVICE[kind])


def recommended(code: str) -> dict[str, str]:
    """The `recommendation` of a message, in the site's language."""
    with translation.override(settings.LANGUAGE_CODE):
        return {"code": code, "text": str(RECOMMENDATIONS[code])}
