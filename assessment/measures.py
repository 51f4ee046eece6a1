"""The measures of an answer as rows of a table: unit, comparison, and why a value is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from assessment import words
from assessment.results.schema import AnswerResult

SPEECH_CAUSES = ("no_audio", "no_speech")
FACE_CAUSES = ("no_video", "face_not_visible")
POLICY_CAUSES = ("policy_prohibits", "country_unknown", "not_agreed")
EXPRESSION_CAUSES = (*POLICY_CAUSES, "stress_not_measured")
SHORT: dict[str, Any] = {
    "no_audio": gettext_lazy("The recording has no sound."),
    "no_speech": gettext_lazy("No speech was heard."),
    "no_video": gettext_lazy("The recording has no picture."),
    "face_not_visible": gettext_lazy("Too little of a face was in view."),
    "policy_prohibits": gettext_lazy("Off: the law forbids inferring emotion here."),
    "country_unknown": gettext_lazy("Off: the candidate's country is not known."),
    "not_agreed": gettext_lazy("Off: the candidate did not agree to it."),
    "stress_not_measured": gettext_lazy("Neither face nor voice could be read well enough."),
}


@dataclass(frozen=True)
class Row:
    """`reason` says why the value is "—"; it is empty for a measured one."""

    label: str
    text: str
    unit: str
    note: str
    reason: str


@dataclass(frozen=True)
class Group:
    title: str
    rows: tuple[Row, ...]


def _cause(codes: Mapping[str, str], causes: tuple[str, ...], otherwise: str) -> str:
    for code in causes:
        if code in codes:
            return str(SHORT[code])
    return otherwise


def why_no_score(codes: Mapping[str, str]) -> str:
    return _cause(codes, SPEECH_CAUSES, _("This answer could not be scored."))


def why_no_non_verbal(codes: Mapping[str, str]) -> str:
    return _cause(
        codes, (*POLICY_CAUSES, *SPEECH_CAUSES, *FACE_CAUSES), _("There was too little to measure.")
    )


def why_no_expression(codes: Mapping[str, str]) -> str:
    return _cause(codes, EXPRESSION_CAUSES, _("Not measured in this recording."))


def _row(label: str, value: float | None, places: int, unit: str, reason: str, note: str = "") -> Row:
    missing = value is None
    return Row(label, words.number(value, places), "" if missing else unit, note, reason if missing else "")


def _percent(share: float | None) -> float | None:
    return None if share is None else share * 100


def _speech(result: AnswerResult, codes: Mapping[str, str]) -> Group:
    speech = result.non_verbal_analysis.speech_analysis
    why = _cause(codes, SPEECH_CAUSES, _("Not measured in this recording."))
    seconds = _("s")
    return Group(
        _("Speech"),
        (
            _row(_("Length of the recording"), speech.total_duration_seconds, 1, seconds, why),
            _row(_("Time spoken"), speech.speaking_time_seconds, 1, seconds, why),
            _row(_("Time silent"), speech.silence_time_seconds, 1, seconds, why),
            _row(_("Share of time spoken"), _percent(speech.speaking_ratio), 0, "%", why),
            _row(_("Pauses"), speech.number_of_pauses, 0, "", why, _("gaps of 0.5 s or more between words")),
            _row(
                _("Speech rate"),
                speech.speech_rate_wpm,
                0,
                _("words per minute"),
                why,
                _("of the time spoken"),
            ),
        ),
    )


def _eyes(result: AnswerResult, codes: Mapping[str, str]) -> Group:
    eyes = result.non_verbal_analysis.eye_movement_analysis
    why = _cause(codes, FACE_CAUSES, _("Not measured in this recording."))
    return Group(
        _("Eyes"),
        (
            _row(
                _("Eye contact"),
                eyes.eye_contact_percentage,
                0,
                "%",
                why,
                _("of the frames with a face; own baseline"),
            ),
            _row(_("Blinks"), eyes.total_blinks, 0, "", why),
            _row(_("Blink rate"), eyes.blink_rate_per_minute, 1, _("per minute"), why),
            _row(
                _("Spread of gaze"),
                eyes.gaze_stability,
                1,
                "°",
                why,
                _("standard deviation; smaller is steadier"),
            ),
        ),
    )


def _face(result: AnswerResult, codes: Mapping[str, str]) -> Group:
    face = result.non_verbal_analysis.facial_expression_analysis
    why = _cause(codes, FACE_CAUSES, _("Not measured in this recording."))
    zero_to_one = _("on a scale of 0 to 1")
    zero_to_two = _("on a scale of 0 to 2")
    lowered_to_raised = _("from -1, lowered, to 1, raised")
    calibrated = {True: _("yes"), False: _("no"), None: words.NOT_MEASURED}[face.calibration_applied]
    return Group(
        _("Face and head"),
        (
            _row(_("Face in view"), face.face_detected_percentage, 0, "%", why, _("of the frames looked at")),
            _row(_("Frames looked at"), face.total_frames_analyzed, 0, "", why),
            _row(_("Smile"), face.average_smile_intensity, 2, "", why, zero_to_one),
            _row(_("Variation of the smile"), face.smile_variation, 2, "", why, zero_to_one),
            _row(_("Range of the brows"), face.eyebrow_movement_range, 2, "", why, zero_to_two),
            _row(_("Smile at the start"), face.baseline_smile_intensity, 2, "", why, zero_to_one),
            _row(_("Brows at the start"), face.baseline_eyebrow_position, 2, "", why, lowered_to_raised),
            _row(_("Head movement"), face.head_movement_deg_per_s, 1, _("° per second"), why),
            Row(
                _("Compared with the person's own start"),
                calibrated,
                "",
                "",
                why if face.calibration_applied is None else "",
            ),
        ),
    )


def _indicators(result: AnswerResult, codes: Mapping[str, str]) -> Group:
    visual = result.cheating_detection.visual
    why_face = _cause(codes, FACE_CAUSES, _("Not measured in this recording."))
    why_voice = _cause(codes, SPEECH_CAUSES, _("Not measured in this recording."))
    spread = result.non_verbal_confidence
    note = _("between %(low)s and %(high)s; the norms are assumptions") % {
        "low": words.number(spread.low if spread else None),
        "high": words.number(spread.high if spread else None),
    }
    return Group(
        _("Indicators"),
        (
            _row(
                _("Time to look at"),
                visual.cheating_score,
                1,
                "%",
                why_face,
                _("looked away, no face or several faces"),
            ),
            _row(_("Voices"), result.cheating_detection.audio.num_speakers, 0, "", why_voice),
            _row(
                _("Non-verbal indicator"),
                result.non_verbal_confidence_score,
                0,
                _("of 100"),
                why_no_non_verbal(codes),
                note if spread else "",
            ),
        ),
    )


def groups(result: AnswerResult, codes: Mapping[str, str]) -> tuple[Group, ...]:
    """Every measure of the answer; `codes` are its warnings by code."""
    return (_speech(result, codes), _eyes(result, codes), _face(result, codes), _indicators(result, codes))
