"""What the call pages' scripts are given: texts in the reader's language, and where things are."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from rooms import links
from rooms.models import Room

Strings = dict[str, str]


def shared_strings() -> Strings:
    """For controls.js, chat.js, tiles.js and toasts.js, which both sides of a call use."""
    return {**_control_strings(), **_device_strings(), **_chat_strings(), **_tile_strings()}


def _control_strings() -> Strings:
    return {
        "mute": _("Mute"),
        "unmute": _("Unmute"),
        "camera_off": _("Camera off"),
        "camera_on": _("Camera on"),
        "share": pgettext("screen", "Share"),
        "share_stop": _("Stop sharing"),
        "share_failed": _("The screen could not be shared. Try again, or choose another window."),
        "recording_on": pgettext("call", "Recording"),
        "recording_not": _("Not recorded"),
        "recording_none": _("No recording"),
        "try_again": _("Try again"),
        "cancel": _("Cancel"),
        "close": pgettext("dialog", "Done"),
        "lost": _(
            "Connection to the server lost; trying again. As long as you hear each other, the call goes on."
        ),
    }


def _device_strings() -> Strings:
    """Guidance for what `devices.js` calls a problem: `<kind>_<code>`."""
    return {
        "device_number": _("Device %(number)s"),
        "device_none": _("None found"),
        "microphone_gone": _("The microphone is gone. Plug it in again, or choose another one under More."),
        "camera_gone": _("The camera is gone. Plug it in again, or choose another one under More."),
        "microphone_asked": _(
            "The browser asks whether this page may use the microphone. Look for its question at the address; if it is "
            "gone, try again."
        ),
        "camera_asked": _(
            "The browser asks whether this page may use the camera. Look for its question at the address; if it is "
            "gone, try again."
        ),
        "microphone_denied": _(
            "The browser does not let this page use the microphone. Press the lock beside the address, allow the "
            "microphone, and try again."
        ),
        "camera_denied": _(
            "The browser does not let this page use the camera. Press the lock beside the address, allow the "
            "camera, and try again."
        ),
        "microphone_denied_by_system": _(
            "Your computer or phone does not let the browser use the microphone. Allow it in the system's privacy "
            "settings, and try again."
        ),
        "camera_denied_by_system": _(
            "Your computer or phone does not let the browser use the camera. Allow it in the system's privacy "
            "settings, and try again."
        ),
        "microphone_busy": _("Another program uses the microphone. Close it there, and try again."),
        "camera_busy": _("Another program uses the camera. Close it there, and try again."),
        "microphone_absent": _("No microphone was found. Plug one in, and try again."),
        "camera_absent": _("No camera was found. Plug one in, and try again, or go on without a picture."),
        "microphone_insecure": _(
            "The microphone works only on a secure page (https). Tell the administrator."
        ),
        "camera_insecure": _("The camera works only on a secure page (https). Tell the administrator."),
        "microphone_unknown": _("The microphone could not be opened. Try again, or choose another one."),
        "camera_unknown": _("The camera could not be opened. Try again, or choose another one."),
    }


def _chat_strings() -> Strings:
    return {
        "chat_you": pgettext("chat", "You"),
        "chat_unread": _("%(count)s not read"),
        "chat_unsent": _("Not sent."),
        "chat_send_again": _("Send again"),
    }


def _tile_strings() -> Strings:
    return {
        "you": pgettext("tile", "You"),
        "screen_of": _("Screen of %(name)s"),
        "muted": _("Muted"),
        "connecting": _("Connecting to %(name)s…"),
        "interrupted": _("Interrupted: waiting for %(name)s"),
        "reconnecting": _("Connecting to %(name)s anew…"),
        "away": _("%(name)s lost the connection. They can come back with the same link."),
        "tap_to_hear": _("Tap to hear"),
        "quality_good": pgettext("line", "good line"),
        "quality_fair": pgettext("line", "fair line"),
        "quality_poor": pgettext("line", "poor line"),
        "relayed": pgettext("line", "relayed"),
        "direct": pgettext("line", "direct"),
        "loss": _("%(percent)s %% lost"),
        "round_trip": _("%(ms)s ms there and back"),
        "not_measured": _("not measured yet"),
        "nobody_else": _("Nobody else is in the call."),
        "line_slow": _("Your line is slow: the others hear you, and your picture comes back by itself."),
        "line_fine": _("Your picture is sent again."),
    }


def interviewer_strings() -> Strings:
    return {
        **shared_strings(),
        "waits": _("%(name)s waits"),
        "waits_title": _("%(name)s waits"),
        "waits_again": _(
            "Another browser opened the same link. If you let it in, the browser that is in the call now is put out."
        ),
        "let_in": _("Let %(name)s in"),
        "not_now": _("Not now"),
        "refused": _("%(name)s was told that it is not possible now. The link still works."),
        "no_longer_waits": _("Nobody waits any more."),
        "copied": _("Link copied."),
        "copy_failed": _("The link is marked: copy it with the keyboard or the menu."),
        "end_title": _("End the interview with %(name)s for everyone?"),
        "end_text": _("The call closes for all, and the summary is prepared. This cannot be undone."),
        "end_confirm": _("End for everyone"),
        "end_failed": _("The server could not be reached, so the interview has not ended. Try again."),
        "leave_title": _("Leave the interview with %(name)s?"),
        "leave_text": _("The others stay in the call. You can come back as long as it has not ended."),
        "leave_confirm": _("Leave"),
        "ended_by_other": _("The interview has ended. The summary opens…"),
        "joined": _("%(name)s joined."),
        "left": _("%(name)s left."),
        "full": _(
            "Four people are in the call already, which is the most. Ask one of the panel to leave first."
        ),
        "full_do": _("To the room"),
        **_closed_strings(),
    }


def _closed_strings() -> Strings:
    """Page of a socket that does not come back: `closed_<code>`, its button `closed_<code>_do`."""
    return {
        "closed_4401": _("You are signed out here. Sign in again; the call page then opens by itself."),
        "closed_4401_do": _("Sign in"),
        "closed_4403": _(
            "You have no seat in this interview any more. Ask its owner to add you to the panel."
        ),
        "closed_4403_do": _("To the rooms"),
        "closed_4404": _("There is no such interview any more. It may have been erased."),
        "closed_4404_do": _("To the rooms"),
        "closed_4409": _("You joined from another window or device, so the call goes on there."),
        "closed_4409_do": _("Bring it back here"),
        "closed_4410": _("The interview has ended."),
        "closed_4410_do": _("Open the summary"),
        "closed": _("The server closed the connection. Load the page again to come back."),
        "closed_do": _("Load again"),
    }


def candidate_link(room: Room, request: HttpRequest) -> str | None:
    """The candidate's link where it still opens the room."""
    if room.link_revoked_at is not None or room.link_expires_at <= timezone.now():
        return None
    return links.link_of(room, request)


def page_data(room: Room, user: User) -> dict[str, Any]:
    """For interviewer.js."""
    code = room.code
    return {
        "code": code,
        "socket": f"/ws/rooms/{code}/?as=interviewer",
        "name": user.get_full_name() or user.get_username(),
        "candidate": room.candidate.name,
        "urls": {
            "room": reverse("room", args=[code]),
            "rooms": reverse("rooms"),
            "summary": reverse("room_summary", args=[code]),
            "end": reverse("room_end", args=[code]),
            "login": f"{reverse('login')}?next={reverse('room_call', args=[code])}",
        },
    }
