"""What keeps candidates' links out of the log."""

from __future__ import annotations

import logging
import re

LOGGERS = ("django.request", "django.security.csrf", "django.channels.server", "django.server")
"""Those that write addresses of requests."""
_TOKEN = re.compile(r"(/join/)[^\s\"'?]+")


def without_token(value: object) -> object:
    return _TOKEN.sub(r"\1…", value) if isinstance(value, str) else value


class HideLinks(logging.Filter):
    """Lets every record through, with the token of a link left out of its address."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = without_token(record.msg)
        if isinstance(record.args, tuple):
            record.args = tuple(without_token(one) for one in record.args)
        return True


def hide_links() -> None:
    """Once, at start."""
    for name in LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(one, HideLinks) for one in logger.filters):
            logger.addFilter(HideLinks())
