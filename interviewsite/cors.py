"""`CORS_ALLOWED_ORIGINS`: which other front ends may call the API from a browser."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.cache import patch_vary_headers
from django.utils.deprecation import MiddlewareMixin

from interviewsite.errors import is_api_path

METHODS = "GET, POST, OPTIONS"
HEADERS = "Authorization, Content-Type, Idempotency-Key, X-CSRFToken"
EXPOSED = "Content-Disposition, WWW-Authenticate"
PREFLIGHT_KEPT_S = 3600


class CorsMiddleware(MiddlewareMixin):
    """Opens API paths to the listed origins. `*` opens them to all, but then without cookies: a listed origin
    alone may use a person's session."""

    def process_request(self, request: HttpRequest) -> HttpResponseBase | None:
        asks = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        if not asks or not is_api_path(request.path_info):
            return None
        response = HttpResponse(status=204)
        if _allowed(request) is not None:
            response["Access-Control-Allow-Methods"] = METHODS
            response["Access-Control-Allow-Headers"] = HEADERS
            response["Access-Control-Max-Age"] = str(PREFLIGHT_KEPT_S)
        return response

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if not is_api_path(request.path_info) or not settings.CORS_ALLOWED_ORIGINS:
            return response
        patch_vary_headers(response, ("Origin",))
        allowed = _allowed(request)
        if allowed is not None:
            response["Access-Control-Allow-Origin"] = allowed
            response["Access-Control-Expose-Headers"] = EXPOSED
            if allowed != "*":
                response["Access-Control-Allow-Credentials"] = "true"
        return response


def _allowed(request: HttpRequest) -> str | None:
    origin = request.headers.get("Origin")
    if not origin:
        return None
    if origin in settings.CORS_ALLOWED_ORIGINS:
        return origin
    return "*" if "*" in settings.CORS_ALLOWED_ORIGINS else None
