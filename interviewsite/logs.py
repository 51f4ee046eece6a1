"""What log lines look like."""

import logging


def without_traceback(record: logging.LogRecord) -> bool:
    """A filter for what strangers can cause at will, such as a request for another site's name: its line says all."""
    record.exc_info = record.exc_text = None
    return True
