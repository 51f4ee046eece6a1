"""Words of the interviewer's panel that its scripts fill in while the interview runs."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from rooms.live import words

Strings = dict[str, Any]
"""Texts by name; gaps as `%(name)s`. Groups of texts are dictionaries of their own."""


def strings() -> Strings:
    """All words of the panel's scripts in the language of the request, for `json_script`."""
    return _plain(
        {
            "levels": _levels(),
            "states": _states(),
            "policy": _policy(),
            "face": _face(),
            "voice": _voice(),
            "speech": _speech(),
            "missing": _missing(),
            "trend": _trend(),
            "questions": _questions(),
            "notes": _notes(),
            "alerts": _alerts(),
            "recommendations": {code: str(text) for code, text in words.RECOMMENDATIONS.items()},
            **_panel(),
        }
    )


def _plain(texts: Any) -> Any:
    """With "%" for "%%": the scripts only fill gaps, and know no other rule of Python's formatting."""
    if isinstance(texts, dict):
        return {name: _plain(text) for name, text in texts.items()}
    return texts.replace("%%", "%") if isinstance(texts, str) else texts


def _levels() -> Strings:
    return {
        "low": pgettext("expression indicator", "low"),
        "medium": pgettext("expression indicator", "medium"),
        "high": pgettext("expression indicator", "high"),
        "unsure": pgettext("expression indicator", "not sure"),
    }


def _states() -> Strings:
    return {
        "on": _("Analysis on"),
        "off": _("Analysis off"),
        "paused": _("Paused: no picture or sound comes at the moment"),
        "delayed": _("Delayed: the server is busy"),
        "stale": _("No new reading for %(seconds)s s"),
        "away": _("The connection to the server is interrupted; it comes back by itself"),
        "waiting": _("Nothing is analysed before the candidate is in"),
    }


def _policy() -> Strings:
    """By the reason that `assessment.policy` gives. That somebody did not agree is never said here."""
    return {
        "policy_prohibits": _(
            "The law of the candidate's or the employer's country does not allow inferring emotions in recruitment."
        ),
        "country_unknown": _("The candidate's country is not known, and without it they stay off."),
        "": _("The policy for this room does not allow them."),
    }


def _face() -> Strings:
    """`quality` by `mlcore.stress.quality.FaceQuality`."""
    return {
        "off": _("not analysed"),
        "waiting": _("no picture yet"),
        "looks": _("looks towards the screen"),
        "looks_away": _("looks elsewhere"),
        "seen": _("in the picture"),
        "several": _("%(count)s faces in the picture"),
        "quality": {
            "no_face": _("no face in the picture"),
            "too_dark": _("too dark"),
            "too_bright": _("too bright"),
            "blurred": _("blurred"),
            "turned_away": _("turned away too far to read"),
            "too_small": _("too far from the camera"),
        },
    }


def _voice() -> Strings:
    """`quality` by `mlcore.stress.quality.VoiceQuality`."""
    return {
        "off": _("not analysed"),
        "waiting": _("no sound yet"),
        "speaking": _("speaking"),
        "silent": _("not speaking"),
        "quality": {
            "silent": _("too quiet"),
            "clipped": _("too loud, the sound is distorted"),
            "too_short": _("listening"),
            "not_speaking": _("not speaking"),
        },
    }


def _speech() -> Strings:
    return {
        "units": {"syllables/s": _("syllables/s"), "words/min": _("words/min")},
        "methods": {
            "syllable nuclei": _("syllables counted from loudness"),
            "recognition": _("counted from recognised words"),
        },
        "words_per_minute": _("about %(count)s words/min"),
        "pauses": _("in %(seconds)s s"),
        "seconds": _("%(seconds)s s"),
        "method": _("Over the last %(seconds)s s; rate: %(method)s."),
    }


def _missing() -> Strings:
    """Why there is no number; read where the dash has the focus."""
    return {
        "label": _("Not measured: %(reason)s"),
        "off": _("The analysis is off."),
        "not_yet": _("There is no reading yet."),
        "unreadable": _("Neither face nor voice can be read at the moment."),
        "no_voice": _("No speech was heard long enough."),
        "part": _("This part could not be measured of late."),
        "no_pause": _("There was no pause."),
    }


def _trend() -> Strings:
    return {
        "empty": _("No readings yet."),
        "few": _("Too few readings for a sentence yet."),
        "mostly": _("Last %(span)s: mostly %(level)s (%(percent)s %% of the %(read)s that could be read)."),
        "mostly_all": _("So far: mostly %(level)s (%(percent)s %% of the %(read)s that could be read)."),
        "high": _("High for %(time)s."),
        "unsure": _("Not sure for %(time)s."),
        "confidence": _("Confidence from %(least)s to %(most)s, now %(now)s."),
        "label": _("Trend of expression indicator and confidence."),
        "now": _("now"),
        "level_at": _("Indicator: %(level)s"),
        "confidence_at": _("Confidence: %(value)s of 100"),
        "question": _("Q%(number)s"),
    }


def _questions() -> Strings:
    return {
        "place": _("Q%(number)s of %(count)s"),
        "none_yet": _("No question has begun yet."),
        "begin": _("Start question 1"),
        "next": pgettext("question", "Next"),
        "next_whole": _("Next question"),
        "last": _("Last question"),
        "go": _("Start question %(number)s: %(text)s"),
        "since": _("since %(time)s"),
    }


def _notes() -> Strings:
    return {
        "not_sent": _("The note could not be saved. It is in the field again; add it once more."),
        "too_long": _("A note has 2000 characters at most."),
    }


def _alerts() -> Strings:
    """By kind, as messages over the sockets know nothing of the reader's language."""
    return {
        "hide": _("Hide this alert"),
        "titles": {kind: str(title) for kind, title in words.ALERTS.items()},
        "advice": {kind: str(advice) for kind, advice in words.ADVICE.items()},
        # 0 or 1, as `words.title` shows the alert's value.
        "decimals": {kind: int("1.5" in words.title(kind, 1.5)) for kind in words.ALERTS},
        "severity": {
            "info": pgettext("severity", "Hint"),
            "attention": pgettext("severity", "Worth a look"),
            "important": pgettext("severity", "Look now"),
        },
    }


def _panel() -> Strings:
    return {
        "sure": _("%(percent)s %% sure"),
        "closest": _("closest: %(level)s, %(percent)s %%"),
        "of_100": _("of 100"),
        "percent": "%(percent)s %",
        "announce": _("Expression indicator: %(level)s"),
        "fold": _("Fold the panel away"),
        "unfold": _("Show the panel. Expression indicator: %(level)s"),
        "unread": _("New alerts: %(count)s"),
        "latency": _("%(seconds)s s behind"),
        "dropped": _("frames left out: %(count)s"),
        "reset_done": _("The smoothing was cleared."),
        "reset_by": _("%(name)s cleared the smoothing."),
    }
