"""Headers that keep a page to what it is made of, and the devices to the pages of a call."""

import re
from collections.abc import Callable

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponseBase

POLICY = (
    "default-src 'self'; connect-src 'self'{sockets}; worker-src 'self'; img-src 'self' data:; "
    "media-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
WITH_INLINE_CODE = ("/api/docs", "/admin/")
"""Pages of libraries that bring scripts or styles within the page."""

CALL_PAGES = re.compile(r"/rooms/[a-z-]{12}/call/|/call/[a-z-]{12}/")
DEVICES = ("camera", "microphone", "display-capture", "autoplay", "picture-in-picture")
IN_A_CALL = ", ".join([f"{name}=(self)" for name in DEVICES] + ["geolocation=()"])
ELSEWHERE = ", ".join(f"{name}=()" for name in (*DEVICES, "geolocation"))


def content_policy(request: HttpRequest) -> str:
    """With the WebSockets of this host named: older Safaris do not count them to 'self'."""
    try:
        host = request.get_host()
    except DisallowedHost:
        return POLICY.format(sockets="")
    scheme = "wss" if request.is_secure() else "ws"
    return POLICY.format(sockets=f" {scheme}://{host}")


class ContentSecurityPolicyMiddleware:
    """Even if hostile text got past the escaping, the browser would run nothing of it; and no page but that of a call
    can ask for a camera or a microphone."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self._get_response(request)
        if not request.path.startswith(WITH_INLINE_CODE):
            response.headers.setdefault("Content-Security-Policy", content_policy(request))
        in_a_call = CALL_PAGES.fullmatch(request.path) is not None
        response.headers.setdefault("Permissions-Policy", IN_A_CALL if in_a_call else ELSEWHERE)
        return response
