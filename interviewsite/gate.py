"""The gate before uploads: who may send is settled first, then the body is taken in, file by file, to
disk."""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import BadRequest, RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import TemporaryFileUploadHandler
from django.http import HttpRequest, HttpResponseBase, JsonResponse, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from django.utils.deprecation import MiddlewareMixin

from assessment.access import caller
from assessment.errors import RequestError, UploadTooLarge, is_disk_full, storage_full
from interviewsite.errors import is_api_path, refusal
from rooms.recording.limits import MAX_CHUNK_BYTES

FORM_PATHS = frozenset(("/upload", "/assessments/new/"))
JSON_PATHS = frozenset(("/upload_json",))
PICTURE_PATHS = frozenset(("/analyze/image",))
MAX_PICTURE_BYTES = 10 * 1024 * 1024
CHUNK_PATH = re.compile(r"/rooms/[a-z-]+/recording/[0-9a-fA-F-]+/[0-9]+")
"""What a candidate's browser records; the view knows who may send it, and reads it after that."""
CHUNK_TYPES = frozenset(("video/webm", "video/mp4", "audio/webm", "audio/mp4"))
CHUNK_BYTES = 1 << 18


def upload_limit() -> int:
    """Bytes of all the files of a request together."""
    return settings.MAX_UPLOAD_MB * 1024 * 1024


def files_limit(path: str) -> int:
    """Bytes of all the files of a request to `path` together."""
    return MAX_PICTURE_BYTES if path in PICTURE_PATHS else upload_limit()


def body_limit(path: str) -> int | None:
    """Bytes that the body of a POST to `path` may have; None for calls without an upload."""
    fields_limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0
    if path in FORM_PATHS | PICTURE_PATHS:
        return files_limit(path) + fields_limit
    if CHUNK_PATH.fullmatch(path):
        return MAX_CHUNK_BYTES
    return fields_limit if path in JSON_PATHS else None


class DigestUploadHandler(TemporaryFileUploadHandler):
    """Writes each file to the upload folder as it arrives, and knows its SHA-256 at the last byte."""

    chunk_size = CHUNK_BYTES

    def __init__(self, request: HttpRequest | None = None) -> None:
        super().__init__(request)
        self._left_bytes = files_limit(request.path_info if request else "")
        self._half_done: UploadedFile | None = None

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        Path(settings.FILE_UPLOAD_TEMP_DIR).mkdir(parents=True, exist_ok=True)
        super().new_file(*args, **kwargs)
        self._half_done = self.file
        self._digest = hashlib.sha256()

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        self._left_bytes -= len(raw_data)
        if self._left_bytes < 0:
            raise UploadTooLarge
        self._digest.update(raw_data)
        super().receive_data_chunk(raw_data, start)

    def file_complete(self, file_size: int) -> UploadedFile:
        self.file.flush()
        self._half_done = None
        file = super().file_complete(file_size)
        assert file is not None, "Django's handler gives its temporary file back"
        file.sha256 = self._digest.hexdigest()  # type: ignore[attr-defined]
        return file

    def discard(self) -> None:
        """Remove what has been written of a file that will not be whole."""
        if self._half_done is not None:
            with suppress(
                OSError
            ):  # a full disk again, for what is still in the buffer; the file goes all the same
                self._half_done.close()
            self._half_done = None


class UploadGateMiddleware(MiddlewareMixin):
    """Refuses uploads of callers who are not signed in before their body is taken; then takes it, so that
    whatever can go wrong on the way is answered here and the view meets whole files only."""

    def process_request(self, request: HttpRequest) -> HttpResponseBase | None:
        limit_bytes = body_limit(request.path_info) if request.method == "POST" else None
        if limit_bytes is None:
            return None
        if CHUNK_PATH.fullmatch(request.path_info):
            return _check_chunk(request, limit_bytes)
        try:
            if is_api_path(request.path_info):
                if caller(request) is None:
                    raise RequestError("unauthenticated", "Sign in, or send an API token.", 401)
            elif not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path(), settings.LOGIN_URL)
            _check_length(request, limit_bytes)
            _take(request)
        except RequestError as error:
            return refusal(request, error)
        return None


def _too_large(path: str) -> RequestError:
    has_files = path in FORM_PATHS | PICTURE_PATHS
    limit_bytes = files_limit(path) if has_files else body_limit(path) or 0
    shown = f"{limit_bytes / (1024 * 1024):.0f} MB"
    return RequestError(
        "too_large", f"This is too large: the most is {shown}.", 413, {"limit_bytes": limit_bytes}
    )


def _check_length(request: HttpRequest, limit_bytes: int) -> None:
    declared = request.META.get("CONTENT_LENGTH") or "0"
    if not str(declared).isdecimal():
        raise RequestError("invalid_request", "Content-Length must be a number.")
    if int(declared) > limit_bytes:
        raise _too_large(request.path_info)


def _check_chunk(request: HttpRequest, limit_bytes: int) -> HttpResponseBase | None:
    """A form would be read by whoever looks for a field in it; a chunk is none."""
    try:
        if request.content_type not in CHUNK_TYPES:
            raise RequestError(
                "unknown_type", "A chunk is video/webm, video/mp4, audio/webm or audio/mp4.", 415
            )
        _check_length(request, limit_bytes)
    except RequestError as error:
        return JsonResponse(error.document(), status=error.status)
    return None


def _take(request: HttpRequest) -> None:
    """Have Django read the body: JSON as it is, a form into fields and files. Raises RequestError."""
    whole = False
    try:
        if request.path_info in JSON_PATHS:
            request.body  # noqa: B018 - reading it is what this is for
        request.POST  # noqa: B018
        whole = True
    except (UploadTooLarge, RequestDataTooBig) as error:
        raise _too_large(request.path_info) from error
    except (MultiPartParserError, BadRequest, UnicodeDecodeError) as error:
        raise RequestError("invalid_request", f"The form cannot be read: {error}.") from error
    except (TooManyFieldsSent, TooManyFilesSent) as error:
        raise RequestError("too_many", "The form has too many fields or files.") from error
    except UnreadablePostError as error:
        raise _broken(error) from error
    except OSError as error:
        if not is_disk_full(error):
            raise
        raise storage_full() from error
    finally:
        if not whole:
            _discard(request)


def _broken(error: UnreadablePostError) -> RequestError:
    if isinstance(error.__cause__, TimeoutError):
        return RequestError(
            "upload_stalled", "Nothing came for a while: the upload was given up. Send it again.", 408
        )
    return RequestError("upload_broken", "The upload broke off. Send it again.")


def _discard(request: HttpRequest) -> None:
    for handler in request.upload_handlers:
        if isinstance(handler, DigestUploadHandler):
            handler.discard()
