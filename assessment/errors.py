"""What a request is refused with, and the one shape that all errors of the API have."""

from __future__ import annotations

import errno
import sqlite3
from typing import Any

from django.db import OperationalError

POSTGRES_DISK_FULL = "53100"


class RequestError(Exception):
    """A refusal with a stable `code`, a message a person can act on, and the HTTP status it has over the
    API."""

    def __init__(
        self, code: str, message: str, status: int = 400, details: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.details = details or {}

    def document(self) -> dict[str, Any]:
        return error_document(self.code, self.message, self.details)


class IntakeError(RequestError):
    """What was handed in cannot be taken; nothing of it was stored."""


class UploadTooLarge(Exception):
    """The files of a request are larger than allowed, or its body is."""


def is_disk_full(error: BaseException) -> bool:
    """Whether a file or the database could not grow."""
    if isinstance(error, OperationalError):
        cause = error.__cause__
        full = getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
        return full or getattr(cause, "sqlstate", None) == POSTGRES_DISK_FULL
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def storage_full() -> IntakeError:
    message = "The server's disk is full. Nothing was stored; tell the administrator."
    return IntakeError("storage_full", message, 507)


def error_document(code: str, message: str, details: dict[str, Any] | None = None) -> dict[str, Any]:
    """The body of every error response; see docs/api.md."""
    error = {"code": code, "message": message, "details": details or {}}
    return {"success": False, "message": message, "error": error}
