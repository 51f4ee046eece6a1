"""Headers that keep a page to what it is made of."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

POLICY = (
    "default-src 'self'; img-src 'self' data:; media-src 'self' blob:; object-src 'none'; base-uri 'self'; "
    + ("form-action 'self'; frame-ancestors 'none'")
)
WITH_INLINE_CODE = ("/api/docs", "/admin/")
"""Pages of libraries that bring scripts or styles within the page."""


class ContentSecurityPolicyMiddleware:
    """Even if hostile text got past the escaping, the browser would run nothing of it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self._get_response(request)
        if not request.path.startswith(WITH_INLINE_CODE):
            response.headers.setdefault("Content-Security-Policy", POLICY)
        return response
