"""What the candidate's call page is given: texts in their language, where things are, what they agreed to."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from rooms import consent
from rooms.consent_texts import current, owner_name
from rooms.interviewer_page import shared_strings
from rooms.models import Consent, Participant
from rooms.recording import keeping

Strings = dict[str, str]
SWITCHES = (Consent.Scope.FACE, Consent.Scope.VOICE, Consent.Scope.RECORDING)


def candidate_context(place: Participant) -> dict[str, Any]:
    """For call_candidate.html. `place` is of the browser that asks."""
    room = place.room
    agreed = consent.granted(place)
    text = current(room, place.language)
    texts = {scope.scope: scope for scope in text.scopes}
    scopes = [{"text": texts[name], "on": getattr(agreed, name)} for name in SWITCHES if name in texts]
    return {
        "room": room,
        "owner": owner_name(room),
        "agreed": agreed,
        "analysed": agreed.face or agreed.voice,
        "scopes": scopes,
        "rights": text.rights,
        "admitted": place.state == Participant.State.ADMITTED,
        "data": candidate_data(place),
        "strings": candidate_strings(owner_name(room)),
    }


def candidate_data(place: Participant) -> dict[str, Any]:
    """For candidate.js. No token: the browser's cookie says who it is."""
    code = place.room.code
    agreed = consent.granted(place)
    return {
        "code": code,
        "socket": f"/ws/rooms/{code}/?as=candidate",
        "analysis": f"/ws/rooms/{code}/analysis/",
        "left": reverse("room_left", args=[code]),
        "admitted": place.state == Participant.State.ADMITTED,
        "consent": {scope.value: getattr(agreed, scope.value) for scope in Consent.Scope},
        "keeping": keeping.during(place),
    }


def rest_data(place: Participant) -> dict[str, Any]:
    """For rest.js: what lets the browser send the rest of its recording after the call, and what it says meanwhile."""
    return {
        "code": place.room.code,
        "keeping": keeping.afterwards(place),
        "strings": {
            "sending": _(
                "Sending the rest of your recording: %(percent)s %%. Stay on this page for a moment."
            ),
            "away": _(
                "The server does not answer. The rest of your recording is sent as soon as it does; stay on this page."
            ),
            "arrived": _("All of your recording has arrived."),
            "refused": _(
                "The rest of your recording came too late and was not taken. It is deleted from this browser."
            ),
        },
    }


def candidate_strings(owner: str) -> Strings:
    return {
        **shared_strings(),
        **_lobby_strings(owner),
        **_analysis_strings(),
        "leave_title": _("Leave the interview?"),
        "leave_text": _("The interview is not ended by it: you can come back with the same link and knock."),
        "leave_confirm": _("Leave"),
        "joined": _("%(name)s joined."),
        "left": _("%(name)s left."),
        "sending_rest": _("Sending the rest of the recording: %(percent)s %%"),
        "ended": _("The interview has ended."),
        "leaving": _("You have left. Camera and microphone are off."),
        "recording_failed": _("This browser cannot record. The call goes on without a recording."),
        "recording_behind": _(
            "Your line is slow, so the recording arrives late. Nothing is lost; stay on the page for a moment at "
            "the end."
        ),
        "recording_rest": _("What this browser still had of your recording is being sent now."),
        "recording_too_long": _(
            "The recording has become as long as this server takes, and has ended. The call goes on."
        ),
        "recording_full": _("The recording waits for your line to become faster. The call goes on."),
        "closed_full": _(
            "Four people are in the call already, which is the most. Tell the person who invited you."
        ),
        "closed_full_do": _("Try again"),
        "closed_4401": _("This browser is not known here any more. Open your link again."),
        "closed_4403": _("This link does not let you in now. Ask the person who invited you."),
        "closed_4404": _("There is no such interview any more. Ask the person who invited you."),
        "closed_4409": _("You opened the interview in another window or browser, so it goes on there."),
        "closed_4409_do": _("Use this window instead"),
        "closed_do": _("Try again"),
    }


def _lobby_strings(owner: str) -> Strings:
    values = {"owner": capfirst(owner)}  # each of these begins a sentence with it
    return {
        "page_waiting": _("Waiting to be let in"),
        "page_call": _("In the interview"),
        "waiting_connecting": _("Connecting…"),
        "waiting_told": _("%(owner)s was told that you are here. You are let in from there; just stay.")
        % values,
        "waiting_full": _(
            "Others wait at this door already. %(owner)s is told that you are here as soon as one of them is gone; "
            "just stay."
        )
        % values,
        "waiting_lost": _("The connection to the server was lost. Trying again; you need not do anything."),
        "tips_camera": _("Without a camera you can join all the same: the others hear you."),
        "tips_microphone": _("Without a microphone the others do not hear you; you can write in the chat."),
        "tips_both": _("You can join without both, listen, and write in the chat."),
    }


def _analysis_strings() -> Strings:
    return {
        "analysis_on": _("Analysis on"),
        "analysis_off": _("Analysis off"),
        "face_on": pgettext("analysis", "face ✓"),
        "voice_on": pgettext("analysis", "voice ✓"),
        "face_paused": pgettext("analysis", "face: paused"),
        "voice_paused": pgettext("analysis", "voice: paused"),
        "said_off": _("Analysis is off. What it had found is deleted."),
        "said_on": _("Analysis is on."),
        "recording_stopped": _("The recording has stopped."),
        "recording_again": _("The recording goes on."),
        "consent_waits": _("Nothing more is sent. The server is told as soon as the connection is back."),
    }
