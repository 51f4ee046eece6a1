"""What may be analysed for whom (DESIGN section 6). Rooms ask it too."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from django.conf import settings

from assessment.countries import EMOTION_INFERENCE_PROHIBITED, PROHIBITED_SOURCE

Reason = Literal["", "policy_prohibits", "country_unknown", "not_agreed"]

MESSAGES: dict[Reason, str] = {
    "": "",
    "policy_prohibits": (
        "Stress, candidate confidence and the non-verbal confidence score are off: the law of the candidate's or the "
        "employer's country prohibits inferring emotions in recruitment. This cannot be switched on."
    ),
    "country_unknown": (
        "Stress, candidate confidence and the non-verbal confidence score are off, because the candidate's country is "
        "not known. Hand in the country to have the policy decide."
    ),
    "not_agreed": (
        "Stress, candidate confidence and the non-verbal confidence score are off, because the candidate did not agree "
        "to the analysis of both face and voice."
    ),
}


@dataclass(frozen=True)
class Policy:
    """`emotion_inference` covers stress, candidate confidence and the non-verbal confidence score. Transcripts,
    rubric scores, speech measures and integrity intervals are available everywhere."""

    emotion_inference: bool
    reason: Reason
    candidate_country: str
    employer_country: str
    source: str = PROHIBITED_SOURCE

    @property
    def message(self) -> str:
        return MESSAGES[self.reason]

    def without_agreement(self) -> Policy:
        """For a candidate who did not agree to it: what the law forbids stays the reason where it does."""
        return replace(self, emotion_inference=False, reason="not_agreed") if self.emotion_inference else self

    def snapshot(self) -> dict[str, Any]:
        """As stored with an assessment or room, so that a later change of the table is not retroactive."""
        return asdict(self)

    @classmethod
    def from_snapshot(cls, stored: dict[str, Any]) -> Policy:
        """The stored decision; without one (an older record) the careful answer."""
        if not stored:
            return decide("")
        return cls(**stored)


def emotion_inference_possible() -> bool:
    """Whether the employer's country leaves it open, so that the candidate's decides."""
    return decide(settings.EMPLOYER_COUNTRY).emotion_inference


def decide(candidate_country: str, employer_country: str | None = None) -> Policy:
    """Decide by both countries (ISO 3166 alpha-2, any case; "" for unknown). No setting widens the answer."""
    candidate = candidate_country.strip().upper()
    employer = (employer_country or settings.EMPLOYER_COUNTRY).strip().upper()
    reason: Reason = ""
    if {candidate, employer} & EMOTION_INFERENCE_PROHIBITED:
        reason = "policy_prohibits"
    elif not candidate:
        reason = "country_unknown"
    return Policy(not reason, reason, candidate, employer)
