"""The interviewers' pages around the call: list, new room, one room."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages as notices
from django.contrib.auth.decorators import login_required
from django.contrib.auth.mixins import LoginRequiredMixin
from django.contrib.auth.models import User
from django.core.paginator import Paginator
from django.db.models import Prefetch, Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from assessment import idempotency, words
from assessment.errors import RequestError
from rooms import access, hand_in, lifecycle, links, messages, room_words
from rooms.consent_texts import owner_name
from rooms.forms import MIN_ROWS, NewRoomForm, QuestionRows
from rooms.models import Participant, Room

PAGE_SIZE = 25


def visible_room(request: HttpRequest, code: str) -> Room:
    """The room named `code` if the user may see it (owner, panel, HR admins). Raises Http404."""
    try:
        return access.get_visible(request.user, code)
    except RequestError as error:
        raise Http404 from error


def room_for(request: HttpRequest, code: str) -> Room:
    """The room named `code` if the user may take a seat in it (owner and panel). Raises Http404 for everybody else,
    HR admins too: they see rooms, they do not join."""
    room = visible_room(request, code)
    if not access.sits_in(request.user, room):
        raise Http404
    return room


# -- List -------------------------------------------------------------------------------------


def _row(room: Room, user: Any) -> dict[str, Any]:
    panel = room.listed_panel  # type: ignore[attr-defined]
    people = [owner_name(room), *(member.get_full_name() or member.get_username() for member in panel)]
    return {
        "room": room,
        "status": room_words.status(room),
        "tone": room_words.tone(room),
        "people": words.listing(people),
        "may_enter": not room.ended and (room.owner_id == user.pk or user in panel),
    }


@login_required
@never_cache
@require_GET
def rooms(request: HttpRequest) -> HttpResponse:
    """Newest first; `?q=` looks for a candidate's name, a title or a code."""
    found = (
        Room.objects.visible_to(request.user)
        .select_related("candidate", "owner")
        .prefetch_related(Prefetch("panel", User.objects.order_by("pk"), to_attr="listed_panel"))
        .defer("policy", "questions")
    )
    q = request.GET.get("q", "").strip()[:200]
    if q:
        wanted = Q(candidate__name__icontains=q) | Q(title__icontains=q) | Q(code=q.lower())
        found = found.filter(wanted)
    page = Paginator(found, PAGE_SIZE).get_page(request.GET.get("page"))
    rows = [_row(room, request.user) for room in page.object_list]
    return render(request, "rooms/list.html", {"page": page, "rows": rows, "q": q})


# -- A new room -------------------------------------------------------------------------------


@method_decorator(never_cache, name="dispatch")
class NewRoomView(LoginRequiredMixin, View):
    """The form of a new room; sent twice, it makes one room."""

    def get(self, request: HttpRequest) -> HttpResponse:
        asked = request.GET.get("questions", "")
        count = min(int(asked), 50) if asked.isdecimal() and len(asked) < 4 else MIN_ROWS
        return self._page(request, NewRoomForm(_owner(request)), QuestionRows(count=max(count, 1)))

    def post(self, request: HttpRequest) -> HttpResponse:
        form = NewRoomForm(_owner(request), request.POST)
        written = [str(text) for text in request.POST.getlist("questions")]
        rows = QuestionRows(written)
        if form.is_valid() & rows.check():
            try:
                room = self._make(request, form, written)
            except RequestError as error:
                self._note(form, rows, error)
            else:
                return redirect("room", code=room.code)
        return self._page(request, form, rows, status=400)

    def _make(self, request: HttpRequest, form: NewRoomForm, written: list[str]) -> Room:
        wanted = hand_in.check({**form.cleaned_data, "questions": written}, _owner(request))
        key = idempotency.checked_key(request.POST.get("submission") or None)
        given = {name: values for name, values in request.POST.lists() if name != "csrfmiddlewaretoken"}
        return hand_in.create_once(wanted, _owner(request), key, idempotency.fingerprint("rooms page", given))

    def _note(self, form: NewRoomForm, rows: QuestionRows, error: RequestError) -> None:
        field, text = str(error.details.get("field", "")), words.refusal(error.code, error.message)
        if not rows.note(field, text):
            form.add_error(field if field in form.fields else None, text)

    def _page(
        self, request: HttpRequest, form: NewRoomForm, rows: QuestionRows, status: int = 200
    ) -> HttpResponse:
        context = {"form": form, "rows": rows, "submission": uuid.uuid4().hex}
        return render(request, "rooms/new.html", context, status=status)


def _owner(request: HttpRequest) -> User:
    user = request.user
    assert isinstance(user, User), "LoginRequiredMixin lets nobody else through"
    return user


# -- One room ---------------------------------------------------------------------------------


def _people(room: Room) -> list[dict[str, str]]:
    """The candidate's browsers in one line, then everybody who interviews, there or not."""
    places = list(Participant.objects.filter(room=room).order_by("pk"))
    for place in places:
        place.room = room
    taken = {place.user_id: room_words.person(place) for place in places if place.user_id}
    ours = [place for place in places if place.role == Participant.Role.CANDIDATE]
    here = next((place for place in ours if place.state == Participant.State.ADMITTED), None)
    last = here or (ours[-1] if ours else None)
    never = _("was not there") if room.ended else _("has not opened the link yet")
    candidate = room_words.person(last) if last else never
    people = [{"name": room.candidate.name, "role": _("candidate"), "state": candidate}]
    away = _("was not there") if room.ended else _("not there yet")
    for user, role in [(room.owner, _("interviewer")), *((one, _("panel")) for one in room.panel.all())]:
        name = user.get_full_name() or user.get_username()
        people.append({"name": name, "role": role, "state": taken.get(user.pk, away)})
    return people


@login_required
@never_cache
@require_GET
def room(request: HttpRequest, code: str) -> HttpResponse:
    """One room before, during and after the interview."""
    found = visible_room(request, code)
    sits = access.sits_in(request.user, found)
    state = room_words.link_state(found)
    context = {
        "room": found,
        "sits": sits,
        "status": room_words.status(found),
        "tone": room_words.tone(found),
        "link": links.link_of(found, request) if sits and state.open else "",
        "link_state": state,
        "policy": room_words.policy(found),
        "people": _people(found),
    }
    return render(request, "rooms/room.html", context)


@login_required
@require_POST
def room_link(request: HttpRequest, code: str) -> HttpResponse:
    """Withdraw the candidate's link, or make a new one (field `do`: ``withdraw`` or ``renew``)."""
    found = room_for(request, code)
    wanted = request.POST.get("do")
    if found.ended or wanted not in ("withdraw", "renew"):
        notices.error(request, _("Nothing was changed."))
    elif wanted == "withdraw":
        links.revoke(found)
        access.record("room.link_withdrawn", found, request.user)
        notices.success(request, _("The link is withdrawn. Who is in the call already stays in it."))
    else:
        links.renew(found)
        access.record("room.link_renewed", found, request.user)
        notices.success(request, _("This is a new link. The old one opens nothing any more."))
    return redirect("room", code=found.code)


@login_required
@require_POST
def room_end(request: HttpRequest, code: str) -> HttpResponse:
    """End the interview for everyone. HR admins may too: somebody must, if the interviewer cannot."""
    found = visible_room(request, code)
    if lifecycle.end(found, _owner(request)):
        messages.tell_end_now(found)
        notices.success(request, _("The interview has ended for everyone."))
    return redirect("room", code=found.code)


urlpatterns: list[URLPattern] = [
    path("rooms/", rooms, name="rooms"),
    path("rooms/new/", NewRoomView.as_view(), name="room_new"),
    path("rooms/<slug:code>/", room, name="room"),
    path("rooms/<slug:code>/link/", room_link, name="room_link"),
    path("rooms/<slug:code>/end/", room_end, name="room_end"),
]
