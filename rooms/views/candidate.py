"""The candidate's pages around the call: the consent page behind the link, and the page after leaving."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from assessment.errors import RequestError
from rooms import access, call_page, consent, lifecycle, links
from rooms.consent_texts import ConsentText, current, owner_name
from rooms.models import Consent, Participant, Room

Scope, State = Consent.Scope, Participant.State
REFERRER_POLICY = "strict-origin"
"""No address with a token ever leaves this page. Not "no-referrer": with it, browsers send `Origin: null` with the form
(Fetch, "append a request Origin header"), which cannot be told from a foreign page's."""


def candidate_place(request: HttpRequest, code: str) -> Participant | None:
    """The place in the room named `code` that this browser has by its cookie, whatever state place and room are in
    (with `room`, its `candidate` and `owner`); None for a browser without one, and where there is no such room."""
    if not access.CODE.fullmatch(code):
        return None
    room = Room.objects.select_related("candidate", "owner").filter(code=code).first()
    if room is None:
        return None
    return _place_in(request, room)


def _place_in(request: HttpRequest, room: Room) -> Participant | None:
    place = links.candidate_with(room, request.COOKIES.get(links.cookie_name(room)))
    if place is not None:
        place.room = room
    return place


def refused(request: HttpRequest, error: RequestError) -> HttpResponse:
    """A page that says why a link or a call does not open; see `links.refusal`."""
    response = render(request, "rooms/refused.html", {"refusal": error}, status=error.status)
    # Django would log the address of every answer from 400 on, and this one holds the link's token.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


# -- Consent ----------------------------------------------------------------------------------


def _answers(request: HttpRequest, text: ConsentText) -> dict[Consent.Scope, bool]:
    """What was chosen on the page, for each scope that it asked about."""
    asked = {Scope(scope.scope) for scope in text.scopes}
    if request.POST.get("choice") == "call_only":
        return {scope: scope == Scope.CALL for scope in asked}
    return {scope: request.POST.get(scope.value) == "yes" for scope in asked}


def _text_read(request: HttpRequest, room: Room) -> ConsentText | None:
    """The text that stood on the page that this form was sent from, whatever language was chosen in another tab since;
    None where it reads otherwise now."""
    sent = request.POST.get("text")
    if sent is None:
        return current(room, get_language() or "en")
    texts = (current(room, language) for language in ("en", "id"))
    return next((text for text in texts if text.digest == sent), None)


def _switches(text: ConsentText, on: dict[Consent.Scope, bool], error: str) -> list[dict[str, Any]]:
    return [
        {
            "text": scope,
            "on": on.get(Scope(scope.scope), False),
            "error": error if scope.scope == Scope.CALL else "",
        }
        for scope in text.scopes
    ]


@method_decorator(never_cache, name="dispatch")
class JoinView(View):
    """What the candidate agrees to, before any device is touched. Only the answer (POST) binds the browser: link
    previews and scanners ask with GET."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        try:
            response = super().dispatch(request, *args, **kwargs)
        except RequestError as error:
            response = _after_the_end(request, kwargs["token"], error) or refused(request, error)
        response["Referrer-Policy"] = REFERRER_POLICY
        response["X-Robots-Tag"] = "noindex"
        return response

    def get(self, request: HttpRequest, token: str) -> HttpResponse:
        room = links.room_of(token)
        place = _place_in(request, room)
        if request.GET.get("decline"):
            context = {"room": room, "owner": owner_name(room), "token": token, "new_here": place is None}
            context["rest"] = {"code": room.code}  # what this browser has of a recording is deleted
            return render(request, "rooms/declined.html", context)
        back = place is not None and _may_go_back(place)
        return self._page(request, room, token, on=_agreed(place), back=back)

    def post(self, request: HttpRequest, token: str) -> HttpResponse:
        room = links.room_of(token)
        read = _text_read(request, room)
        if read is None:
            error = _(
                "What you agree to has changed since you opened this page. Read it again, and choose anew."
            )
            return self._page(request, room, token, on={}, error=error)
        answers = _answers(request, read)
        if not answers[Scope.CALL]:
            error = _(
                "There is no call without this. Switch it on, or choose “I don't want this call” below."
            )
            return self._page(request, room, token, on=answers, error=error)
        key = request.COOKIES.get(links.cookie_name(room))
        _place, key = lifecycle.enter(room, answers, read.language, key)
        response = HttpResponseRedirect(reverse("candidate_call", args=[room.code]))
        links.set_cookie(response, room, key)
        return response

    def _page(
        self,
        request: HttpRequest,
        room: Room,
        token: str,
        *,
        on: dict[Consent.Scope, bool],
        error: str = "",
        back: bool = False,
    ) -> HttpResponse:
        text = current(room, get_language() or "en")
        context = {
            "room": room,
            "owner": owner_name(room),
            "token": token,
            "text": text,
            "switches": _switches(text, on, error),
            "nothing_on": not any(on.values()),
            "error": error,
            "back": back,
            "own_room": request.user.is_authenticated and access.sits_in(request.user, room),
        }
        return render(request, "rooms/join.html", context, status=400 if error else 200)


def _after_the_end(request: HttpRequest, token: str, error: RequestError) -> HttpResponse | None:
    """Who was in the interview and opens its link again is told how it ended, by the page that also sends what their
    browser may still have of the recording. None for everybody else."""
    if error.code != "room_ended":
        return None
    place = _place_in(request, links.named_by(token)[0])
    return HttpResponseRedirect(reverse("room_left", args=[place.room.code])) if place else None


def _may_go_back(place: Participant) -> bool:
    """Whether this browser needs no new answer: one that lost its place or was not let in knocks by answering again."""
    return place.state not in (State.PUT_OUT, State.REFUSED) and consent.granted(place).call


def _agreed(place: Participant | None) -> dict[Consent.Scope, bool]:
    """What this browser said before; nothing is switched on for one that is here for the first time."""
    if place is None:
        return {}
    granted = consent.granted(place)
    return {scope: getattr(granted, scope.value) for scope in Scope}


# -- Afterwards -------------------------------------------------------------------------------


def _why(place: Participant) -> str:
    """Why this browser is not in the call: as the records say, whatever the address says."""
    if place.room.ended:
        return "ended"
    return {State.PUT_OUT: "put_out", State.REFUSED: "refused"}.get(State(place.state), "left")


def _way_back(place: Participant, why: str) -> str:
    """Where the candidate can come back: to the call, or, where this browser lost its place, to the consent page as
    long as the link that it came by is open. "" where there is none."""
    if why == "left":
        return reverse("candidate_call", args=[place.room.code])
    if why == "ended" or place.link_serial != place.room.link_serial:
        return ""
    token = links.token_of(place.room)
    try:
        links.room_of(token)
    except RequestError:
        return ""
    return reverse("join", args=[token])


@never_cache
@require_GET
def room_left(request: HttpRequest, code: str) -> HttpResponse:
    """After leaving, after the end, and for who was put out or not let in."""
    place = candidate_place(request, code)
    if place is None:
        return refused(request, links.refusal("link_unknown"))
    why = _why(place)
    text = current(place.room, get_language() or "en")
    granted = consent.granted(place)
    context = {
        "room": place.room,
        "owner": owner_name(place.room),
        "why": why,
        "back": _way_back(place, why),
        "text": text,
        "agreed": [scope for scope in text.scopes if getattr(granted, scope.scope)],
        "analysed": granted.face or granted.voice,
        "rest": call_page.rest_data(place),
    }
    return render(request, "rooms/left.html", context)


urlpatterns: list[URLPattern] = [
    path("join/<str:token>", JoinView.as_view(), name="join"),
    path("call/<slug:code>/left/", room_left, name="room_left"),
]
