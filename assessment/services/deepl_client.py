"""Translation between English and Indonesian by DeepL; a failure is a reason, never an exception."""

import http
import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import deepl
import requests
import urllib3
from deepl.http_client import HttpClient

from assessment.services.text import plain, sentences

Pair = Literal["en", "id"]
Reason = Literal[
    "no_key",
    "forbidden",
    "rate_limited",
    "quota_exceeded",
    "timeout",
    "unreachable",
    "malformed",
    "unsupported_pair",
    "server_error",
    "rejected",
]

CHUNK_CHARACTERS = 5_000
# DeepL takes 128 KiB and 50 texts a request; the rest of the 128 KiB is left for context and headers.
REQUEST_BYTES = 96 * 1024
REQUEST_TEXTS = 50
CONTEXT_CHARACTERS = 1_000  # not billed; assumption that more than a long question does not help
RESPONSE_BYTES = 4 * 1024 * 1024
ATTEMPTS = 3
TIMEOUTS_IN_TOTAL = 3  # a whole translation may take three times the timeout of one request
LONGEST_PAUSE_S = 20.0

_TARGETS = {("en", "id"): ("EN", "ID"), ("id", "en"): ("ID", "EN-US")}
_MESSAGES: dict[str, str] = {
    "no_key": "No DeepL key is set, so there is no translation.",
    "forbidden": "DeepL refused the key.",
    "rate_limited": "DeepL is taking no more requests at the moment.",
    "quota_exceeded": "The DeepL quota of this billing period is used up.",
    "timeout": "DeepL did not answer in time.",
    "unreachable": "DeepL could not be reached.",
    "malformed": "DeepL's reply could not be understood.",
    "unsupported_pair": "DeepL does not translate between these languages.",
    "server_error": "DeepL had an error of its own.",
    "rejected": "DeepL did not accept the request.",
}


@dataclass(frozen=True)
class Translation:
    """`texts` in the order given, or None with a `reason`; `characters` are those sent for translation."""

    texts: tuple[str, ...] | None
    engine: Literal["deepl"] | None
    reason: Reason | None
    message: str
    characters: int


@dataclass(frozen=True)
class DeepLSettings:
    """`server_url` empty: chosen by the kind of key. `timeout_s` is for one request."""

    api_key: str
    server_url: str = ""
    timeout_s: float = 30.0
    backoff_s: float = 1.0


def from_settings() -> DeepLSettings:
    from django.conf import settings

    return DeepLSettings(
        api_key=settings.DEEPL_API_KEY,
        server_url=settings.DEEPL_SERVER_URL,
        timeout_s=settings.SERVICE_TIMEOUT_S,
        backoff_s=settings.SERVICE_BACKOFF_S,
    )


def translate(texts: Sequence[str], source: str, target: str, settings: DeepLSettings) -> Translation:
    """Translate texts that belong together (a question and its answer) in the same request.

    `source` and `target` are `en` or `id`. Long texts go in chunks of 5 000 characters cut at sentence
    borders, and the first text is the context of all. Never raises for what DeepL or the network does, and
    ends within three times `settings.timeout_s`.
    """
    if not settings.api_key:
        return _failed("no_key")
    if (source, target) not in _TARGETS:
        return _failed("unsupported_pair", f"{source} to {target}")
    chunks = [list(_chunks(text)) for text in texts]
    flat = [chunk for parts in chunks for chunk in parts]
    characters = sum(map(len, flat))
    try:
        with _Connection(settings) as connection:
            done = iter(connection.translate_all(flat, *_TARGETS[source, target], context=_context(texts)))
    except _Failure as failure:
        return _failed(failure.reason, failure.detail, characters)
    joined = tuple(
        " ".join(next(done) for _ in parts) if parts else text
        for parts, text in zip(chunks, texts, strict=True)
    )
    return Translation(joined, "deepl", None, "", characters)


def _failed(reason: Reason, detail: str = "", characters: int = 0) -> Translation:
    message = _MESSAGES[reason] + (f" ({plain(detail, 200)})" if detail else "")
    return Translation(None, None, reason, message, characters)


def _context(texts: Sequence[str]) -> str | None:
    return texts[0][:CONTEXT_CHARACTERS] if len(texts) > 1 and texts[0].strip() else None


def _chunks(text: str) -> Iterator[str]:
    """The text as it is when short; else whole sentences, as many as fit. Nothing for blank text."""
    if len(text) <= CHUNK_CHARACTERS:
        if text.strip():
            yield text
        return
    chunk = ""
    for piece in _short_pieces(text):
        if chunk and len(chunk) + 1 + len(piece) > CHUNK_CHARACTERS:
            yield chunk
            chunk = piece
        else:
            chunk = f"{chunk} {piece}" if chunk else piece
    yield chunk


def _short_pieces(text: str) -> Iterator[str]:
    for sentence in sentences(text):
        yield from (sentence[i : i + CHUNK_CHARACTERS] for i in range(0, len(sentence), CHUNK_CHARACTERS))


def _batches(chunks: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for chunk in chunks:
        length = len(json.dumps(chunk)) + 2
        if batch and (size + length > REQUEST_BYTES or len(batch) == REQUEST_TEXTS):
            yield batch
            batch, size = [], 0
        batch.append(chunk)
        size += length
    if batch:
        yield batch


class _Failure(Exception):
    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(detail)
        self.reason: Reason = reason
        self.detail = detail


class _Connection:
    """One translation's connection to DeepL, with one deadline for all of its requests."""

    def __init__(self, settings: DeepLSettings) -> None:
        # urljoin drops the last part of a path that does not end in a slash.
        url = settings.server_url.rstrip("/") + "/" if settings.server_url else None
        self._translator = _Translator(settings.api_key, server_url=url, send_platform_info=False)
        self._translator.use(_BoundedHttp(settings))

    def __enter__(self) -> "_Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self._translator.close()

    def translate_all(
        self, chunks: Sequence[str], source: str, target: str, context: str | None
    ) -> list[str]:
        return [
            text for batch in _batches(chunks) for text in self._translate(batch, source, target, context)
        ]

    def _translate(self, batch: list[str], source: str, target: str, context: str | None) -> list[str]:
        try:
            results = self._translator.translate_text(
                batch, source_lang=source, target_lang=target, context=context
            )
        except deepl.DeepLException as error:
            raise _failure_of(error) from error
        except (TypeError, ValueError, AttributeError, KeyError) as error:
            # the library reads a reply's fields unchecked
            raise _Failure("malformed") from error
        texts = [result.text for result in results] if isinstance(results, list) else []
        if len(texts) != len(batch):
            raise _Failure("malformed", f"{len(batch)} texts sent, {len(texts)} came back")
        if not all(isinstance(text, str) and text.strip() for text in texts):
            raise _Failure("malformed", "an empty translation came back")
        return texts


def _failure_of(error: deepl.DeepLException) -> _Failure:
    if isinstance(error, deepl.ConnectionException):
        timed_out = isinstance(error.__cause__, requests.exceptions.Timeout)
        return _Failure("timeout" if timed_out else "unreachable")
    status = error.http_status_code or 0
    detail = str(error)
    known: dict[int, Reason] = {
        401: "forbidden",
        403: "forbidden",
        429: "rate_limited",
        456: "quota_exceeded",
    }
    if status in known:
        return _Failure(known[status])
    if status == 400 and "_lang" in detail:
        return _Failure("unsupported_pair", detail)
    # no text of the error itself: an unusable key stands in it
    return _Failure("server_error" if status >= 500 else "rejected", f"status {status}" if status else "")


class _Translator(deepl.DeepLClient):
    def use(self, client: HttpClient) -> None:
        self._client = client

    def _api_call(self, url: str, **options: Any) -> tuple[int, Any, Any]:
        """deepl 1.32 fails on a reply without `billed_characters`, which compatible servers leave out."""
        status, content, reply = super()._api_call(url, **options)
        found = reply.get("translations") if isinstance(reply, dict) else None
        for translation in found if isinstance(found, list) else ():
            if isinstance(translation, dict):
                translation.setdefault("billed_characters", 0)
        return status, content, reply


class _BoundedHttp(HttpClient):
    """The library's own retries wait up to a minute and know no deadline; these end by one."""

    def __init__(self, settings: DeepLSettings) -> None:
        super().__init__(send_platform_info=False)
        self._timeout_s = settings.timeout_s
        self._backoff_s = settings.backoff_s
        self._deadline_s = time.monotonic() + TIMEOUTS_IN_TOTAL * settings.timeout_s

    def request_with_backoff(
        self,
        method: str,
        url: str,
        data: Any,
        json: Any,
        headers: dict[str, str],
        stream: bool = False,
        **kwargs: Any,
    ) -> tuple[int, str]:
        request = self._prepare_request(method, url, data, json, headers, **kwargs)
        for attempt in range(1, ATTEMPTS + 1):
            pause_s = self._backoff_s * 2 ** (attempt - 1) * random.uniform(0.5, 1.5)
            try:
                status, content, retry_after_s = self._send(request)
            except deepl.ConnectionException as error:
                if not error.should_retry or not self._may_wait(pause_s, attempt):
                    raise
            else:
                pause_s = max(pause_s, retry_after_s)
                worth_it = status == http.HTTPStatus.TOO_MANY_REQUESTS or status >= 500
                if not worth_it or not self._may_wait(pause_s, attempt):
                    return status, content
            time.sleep(pause_s)
        raise AssertionError("the last attempt returns or raises")

    def _may_wait(self, pause_s: float, attempt: int) -> bool:
        left_s = self._deadline_s - time.monotonic()
        return attempt < ATTEMPTS and pause_s <= LONGEST_PAUSE_S and pause_s < left_s

    def _send(self, request: requests.PreparedRequest) -> tuple[int, str, float]:
        until_s = min(self._deadline_s, time.monotonic() + self._timeout_s)
        try:
            with self._session.send(
                request, stream=True, allow_redirects=False, timeout=_left(until_s)
            ) as response:
                body = _read(response.raw.read1, until_s)
                pause = response.headers.get("Retry-After", "")
                return (
                    response.status_code,
                    body.decode("utf-8", "replace"),
                    float(pause) if pause.isdigit() else 0.0,
                )
        except requests.exceptions.RequestException as error:
            retry = isinstance(error, (requests.exceptions.Timeout, requests.exceptions.ConnectionError))
            raise deepl.ConnectionException(str(error), should_retry=retry) from error


def _left(until_s: float) -> float:
    left_s = until_s - time.monotonic()
    if left_s <= 0:
        raise requests.exceptions.Timeout("no time left")
    return left_s


def _read(read1: Callable[..., bytes], until_s: float) -> bytes:
    """The body as it comes in, so that a reply in drops cannot outlast the deadline."""
    body = bytearray()
    try:
        while part := read1(65_536, decode_content=True):
            body += part
            _left(until_s)
            if len(body) > RESPONSE_BYTES:
                raise requests.exceptions.ConnectionError("the reply is too long")
    except urllib3.exceptions.TimeoutError as error:
        raise requests.exceptions.Timeout(str(error)) from error
    except urllib3.exceptions.HTTPError as error:
        raise requests.exceptions.ConnectionError(str(error)) from error
    return bytes(body)
