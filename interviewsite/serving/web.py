"""The ASGI server process of `serve`: uvicorn on a socket that `serve` holds, so that a restart loses no
caller.

Usage: python -m interviewsite.serving.web SOCKET_DESCRIPTOR GATE_DESCRIPTOR

The gate is a pipe: the site is loaded at once, but nobody is answered before its other end is closed, which says that
the database is ready.
"""

from __future__ import annotations

import gc
import os
import socket
import sys
from typing import Any

GRACE_S = 3
# The longest message of docs/protocol.md: 512 KiB of media in base64, and the words around it.
MAX_MESSAGE_BYTES = 1024 * 1024
PING_EVERY_S = 20.0  # keeps proxies from closing quiet sockets (nginx: after 60 s)


def close_connections(**_: Any) -> None:
    """Of the thread that answered a request, which ends with it: a connection that was kept (``CONN_MAX_AGE``) would be
    used by nobody, and PostgreSQL soon take no more. Those of the sockets' threads, which live on, are kept."""
    from django.db import connections

    connections.close_all()


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "interviewsite.settings")
    import uvicorn
    from django.conf import settings
    from django.core.signals import request_finished
    from django.urls import get_resolver

    config = uvicorn.Config(
        "interviewsite.asgi:application",
        lifespan="off",
        log_config=None,
        log_level="warning",
        server_header=False,
        proxy_headers=bool(settings.PUBLIC_URL),
        forwarded_allow_ips=settings.TRUSTED_PROXIES,
        timeout_graceful_shutdown=GRACE_S,
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_ping_interval=PING_EVERY_S,
        ws_ping_timeout=PING_EVERY_S,
        ws_per_message_deflate=False,  # JPEG and sound do not shrink, and each socket would hold two windows
        # Without it a request that follows an upload on its connection inherits the upload's context (CPython issue
        # 140947), and Django hands its work to a thread that has ended.
        reset_contextvars=True,
    )
    config.load()
    request_finished.connect(close_connections)
    get_resolver().url_patterns  # noqa: B018 - loads every page, which the first caller would wait for otherwise
    gc.collect()
    gc.freeze()  # what is loaded stays: going over all of it holds up every room for a tenth of a second each time
    os.read(int(sys.argv[2]), 1)
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(sys.argv[1]))])


if __name__ == "__main__":
    main()
