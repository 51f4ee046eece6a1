"""The ASGI server process of `serve`: uvicorn on a socket that `serve` holds, so that a restart loses no
caller.

Usage: python -m interviewsite.serving.web SOCKET_DESCRIPTOR
"""

from __future__ import annotations

import os
import socket
import sys

GRACE_S = 3


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "interviewsite.settings")
    import uvicorn
    from django.conf import settings

    config = uvicorn.Config(
        "interviewsite.asgi:application",
        lifespan="off",
        log_config=None,
        log_level="warning",
        server_header=False,
        proxy_headers=bool(settings.PUBLIC_URL),
        timeout_graceful_shutdown=GRACE_S,
    )
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(sys.argv[1]))])


if __name__ == "__main__":
    main()
