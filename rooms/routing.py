"""The addresses of the sockets."""

from __future__ import annotations

from typing import Any

from django.urls import re_path

from rooms.consumers import signalling
from rooms.sockets import NO_ROOM, turn_away


async def analysis(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The candidate's media; what takes it is loaded at the first such socket."""
    from rooms.analysis_consumer import AnalysisConsumer

    await AnalysisConsumer.as_asgi()(scope, receive, send)


async def nothing_here(_scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Any other address."""
    await turn_away(receive, send, NO_ROOM)


def _at(pattern: str, application: Any) -> Any:
    """`re_path` is typed for views alone."""
    return re_path(pattern, application)


websocket_urlpatterns = [
    _at(r"^ws/rooms/(?P<code>[^/]+)/$", signalling),
    _at(r"^ws/rooms/(?P<code>[^/]+)/analysis/$", analysis),
    _at(r"", nothing_here),
]
