"""The ASGI application."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "interviewsite.settings")

import django

django.setup(set_prefix=False)

from channels.routing import ProtocolTypeRouter  # noqa: E402

from interviewsite.body import StreamingHandler  # noqa: E402

application = ProtocolTypeRouter({"http": StreamingHandler()})
