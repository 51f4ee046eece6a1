"""The ASGI application."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "interviewsite.settings")

import django

django.setup(set_prefix=False)

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402

from interviewsite.body import StreamingHandler  # noqa: E402
from rooms.routing import websocket_urlpatterns  # noqa: E402

application = ProtocolTypeRouter(
    {
        "http": StreamingHandler(),
        "websocket": URLRouter(websocket_urlpatterns),
    }  # rooms.sockets: who, and from where
)
