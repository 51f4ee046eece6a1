"""What the pages of a room say about it, in the language that is active."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from assessment.policy import Policy
from rooms import links
from rooms.models import Participant, Room

TONES = {Room.Status.LOBBY: "attention", Room.Status.LIVE: "good"}
STATUSES: dict[str, Any] = {
    Room.Status.SCHEDULED: gettext_lazy("planned"),
    Room.Status.LOBBY: gettext_lazy("candidate at the door"),
    Room.Status.LIVE: gettext_lazy("live"),
    Room.Status.ENDED: gettext_lazy("ended"),
}


def status(room: Room) -> str:
    return str(STATUSES[room.status])


def tone(room: Room) -> str:
    """The class of the status's tag; the word always stands beside the colour."""
    return TONES.get(Room.Status(room.status), "quiet")


@dataclass(frozen=True)
class PolicyWords:
    """What is analysed if the candidate agrees, what is not, and why not."""

    analysed: str
    not_analysed: str
    why_not: str


def policy(room: Room) -> PolicyWords:
    decided = Policy.from_snapshot(room.policy)
    always = _("where the candidate looks, how many faces and voices there are, how fast they speak")
    if decided.emotion_inference:
        return PolicyWords(
            _(
                "%(always)s; and the expression indicator and the candidate-confidence index, which are guesses."
            )
            % {"always": _upper(always)},
            "",
            "",
        )
    reasons = {
        "policy_prohibits": _(
            "The law of the candidate's or the employer's country forbids inferring emotions in recruitment. This "
            "cannot be switched on."
        ),
        "country_unknown": _(
            "The country that the candidate applies from is not known, so the site takes the careful way. It is "
            "decided when a room is made: make a new one with the country if you need this."
        ),
    }
    return PolicyWords(
        f"{_upper(always)}.",
        _("The expression indicator and the candidate-confidence index."),
        reasons.get(decided.reason, ""),
    )


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


@dataclass(frozen=True)
class LinkState:
    """`open`: whether it lets the candidate in now; otherwise `problem` says why not."""

    open: bool
    problem: str = ""


def link_state(room: Room) -> LinkState:
    if room.ended:
        return LinkState(False, _("The interview has ended, so the link opens nothing any more."))
    if room.link_revoked_at is not None:
        return LinkState(False, _("The link was withdrawn. Whoever opens it is asked to write to you."))
    if room.link_expires_at <= timezone.now():
        return LinkState(False, _("The link has expired. Make a new one and send it."))
    if links.used_up(room):
        return LinkState(
            False,
            _(
                "The link was opened in too many browsers, so it lets no further one in. Make a new one and send it."
            ),
        )
    return LinkState(True)


def person(place: Participant) -> str:
    """Where somebody is now: in words."""
    if place.room.ended:
        return (
            _("was there")
            if place.admitted_at or place.role == place.Role.INTERVIEWER
            else _("was not there")
        )
    lately = place.seen_at is not None and place.seen_at > timezone.now() - timedelta(seconds=60)
    if place.state == place.State.ADMITTED:
        return _("in the call") if lately else _("not in the call now")
    return str(_STATES[place.State(place.state)])


_STATES: dict[Participant.State, Any] = {
    Participant.State.INVITED: gettext_lazy("has opened the link"),
    Participant.State.WAITING: gettext_lazy("waits to be let in"),
    Participant.State.LEFT: pgettext_lazy("person", "left"),
    Participant.State.PUT_OUT: gettext_lazy("another browser took this place"),
    Participant.State.REFUSED: gettext_lazy("was not let in"),
}
