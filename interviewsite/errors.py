"""Errors that arise outside of the API's own functions, in the API's shape where the API was meant."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.utils.deprecation import MiddlewareMixin

from assessment.errors import RequestError, error_document

API_PREFIXES = ("/api/", "/status/", "/results/", "/analyze/")
API_PATHS = frozenset(("/upload", "/upload_json", "/health", "/status", "/results", "/api"))


def is_api_path(path: str) -> bool:
    return path in API_PATHS or path.startswith(API_PREFIXES)


def wants_json(request: HttpRequest) -> bool:
    """API calls, and scripts of our own pages that say so."""
    if is_api_path(request.path_info):
        return True
    return request.get_preferred_type(["text/html", "application/json"]) == "application/json"


def refusal(request: HttpRequest, error: RequestError) -> HttpResponse:
    """`error` as JSON, or as a page for a form that a person sent."""
    if wants_json(request):
        response: HttpResponse = JsonResponse(error.document(), status=error.status)
    else:
        response = render(request, "refused.html", {"message": error.message}, status=error.status)
    if error.status == HTTPStatus.UNAUTHORIZED:
        response["WWW-Authenticate"] = "Bearer"
    return response


def internal_error() -> dict[str, Any]:
    return error_document(
        "internal_error", "Something went wrong on our side; it was logged. Try again later."
    )


MESSAGES = {
    400: error_document("invalid_request", "The request cannot be read."),
    403: error_document("forbidden", "You may not do this."),
    404: error_document("not_found", "There is nothing at this address."),
    405: error_document("method_not_allowed", "This address does not take this method."),
    500: internal_error(),
}


class ApiErrorsMiddleware(MiddlewareMixin):
    """Puts error pages that Django itself made (no such address, wrong method, a defect) into the API's
    shape."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        is_json = response.get("Content-Type", "").startswith("application/json")
        if response.status_code < 400 or is_json or not wants_json(request):
            return response
        phrase = HTTPStatus(response.status_code).phrase
        document = MESSAGES.get(response.status_code) or error_document(
            phrase.lower().replace(" ", "_"), phrase
        )
        replaced = JsonResponse(document, status=response.status_code)
        replaced["Content-Length"] = str(len(replaced.content))
        for name in ("Allow", "WWW-Authenticate", "Retry-After"):
            if name in response:
                replaced[name] = response[name]
        return replaced
