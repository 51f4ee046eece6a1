"""What an interview gave, over the HTTP API."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import get_language_from_request
from django.views.decorators.gzip import gzip_page
from ninja import Router
from ninja.decorators import decorate_view

from assessment.schemas import ErrorResponse
from rooms import access, summary
from rooms.models import Room
from rooms.summary_schema import AlertsOut, SummaryOut

router = Router(tags=["rooms"])
REFUSED = {401: ErrorResponse, 404: ErrorResponse}


def _room(request: HttpRequest, code: str, action: str, *, by_panel: bool = False) -> Room:
    """`by_panel`: the page of the call asks, too, after each line that broke; that they watch is recorded already."""
    user = request.user
    assert isinstance(user, User), "the API's authentication lets nobody else through"
    room = access.get_visible(user, code)
    if not (by_panel and access.watches(user, room)):
        access.record(action, room, user)
    return room


@router.get(
    "/api/rooms/{code}/summary",
    response={200: SummaryOut, **REFUSED},
    summary="What the interview gave so far: measures, questions, alerts, notes, timeline",
)
@decorate_view(gzip_page)  # half a megabyte for two hours; the panel asks for it while the call goes on
def room_summary(request: HttpRequest, code: str) -> HttpResponse:
    document = summary.document(_room(request, code, "room.read_summary", by_panel=True))
    return JsonResponse(document, json_dumps_params={"ensure_ascii": False})


@router.get(
    "/api/rooms/{code}/alerts",
    response={200: AlertsOut, **REFUSED},
    summary="The alerts of an interview",
)
def room_alerts(request: HttpRequest, code: str) -> dict[str, Any]:
    room = _room(request, code, "room.read_alerts")
    return {"success": True, "alerts": [summary.alert_document(alert) for alert in room.alerts.all()]}


@router.get(
    "/api/rooms/{code}/report.pdf",
    response={200: None, **REFUSED},
    openapi_extra={"responses": {200: {"description": "The report", "content": {"application/pdf": {}}}}},
    summary="The summary for people",
)
def room_report(request: HttpRequest, code: str) -> HttpResponse:
    from rooms.report import render_pdf

    room = _room(request, code, "room.read_report")
    pdf = render_pdf(summary.document(room), language=get_language_from_request(request))
    response = HttpResponse(pdf, content_type="application/pdf")
    response["Content-Disposition"] = f'inline; filename="interview-{room.code}.pdf"'
    return response
