"""Chat completions from the hosted service or any OpenAI-compatible server, in bounded time.

The transport is `huggingface_hub.InferenceClient`. `HF_TOKEN` goes to the hosted service alone: a server
named by `LLM_BASE_URL` gets `LLM_API_KEY` or no key at all.
"""

import json
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any

import httpx2
from huggingface_hub import InferenceClient
from huggingface_hub.errors import OfflineModeIsEnabled
from huggingface_hub.utils import get_session
from pydantic import BaseModel, Field, ValidationError

from assessment.services.errors import LlmUnavailable

Message = dict[str, str]

TEMPERATURE = 0.1
ATTEMPTS = 3
TIMEOUTS_IN_TOTAL = 3  # a grade with its retries and repair may take three times one request's timeout
LONGEST_PAUSE_S = 20.0
TOP_LOGPROBS = 5  # the most that text-generation-inference gives
REPLY_BYTES = 2 * 1024 * 1024
_TRANSIENT = frozenset({408, 409, 425, 429})
_REASONS = {
    401: "unauthorized",
    402: "quota_exceeded",
    403: "unauthorized",
    408: "timeout",
    429: "rate_limited",
}


@dataclass(frozen=True)
class LlmSettings:
    """With `base_url`, that server and `api_key`; else the hosted service and `hf_token`.

    `timeout_s` is for one request, `backoff_s` the first pause before a retry.
    """

    model: str
    base_url: str = ""
    api_key: str = ""
    hf_token: str = ""
    timeout_s: float = 30.0
    backoff_s: float = 1.0


@dataclass(frozen=True)
class Token:
    """A token of the reply with its natural log-probability, and the most probable ones in its place."""

    text: str
    logprob: float
    alternatives: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Completion:
    """`tokens` is empty where the provider gives no log-probabilities."""

    text: str
    tokens: tuple[Token, ...]


@dataclass(frozen=True)
class _Dialect:
    """What of our request the server takes; known only after it has refused."""

    json_schema: bool = True
    logprobs: bool = True

    def simpler(self, refusal: str, *, wants_schema: bool) -> "_Dialect | None":
        if self.logprobs and "logprob" in refusal.casefold():
            return replace(self, logprobs=False)
        if self.json_schema and wants_schema:
            return replace(self, json_schema=False)
        return None


class _Status(Exception):
    def __init__(self, status: int, body: str, pause_s: float) -> None:
        super().__init__(f"status {status}")
        self.status = status
        self.body = body
        self.pause_s = pause_s


class _NoReply(Exception):
    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class LlmClient:
    """One server and model. Keeps what it has learnt of the server's dialect; may be shared by threads."""

    def __init__(self, settings: LlmSettings) -> None:
        self.settings = settings
        self._dialect = _Dialect()

    def deadline(self) -> float:
        """A monotonic time until which the requests of one task may go on."""
        return time.monotonic() + TIMEOUTS_IN_TOTAL * self.settings.timeout_s

    def complete(
        self,
        messages: Sequence[Message],
        *,
        schema: Mapping[str, Any] | None,
        max_tokens: int,
        until_s: float,
    ) -> Completion:
        """The model's reply, with log-probabilities where the server gives them.

        429, 5xx, timeouts and broken connections are tried again with growing pauses (three requests at
        most, all before `until_s`). A server that refuses the JSON schema (400, 422) is asked once more
        with the schema in the prompt. Raises `LlmUnavailable`.
        """
        dialect = self._dialect
        while True:
            try:
                completion = self._with_retries(messages, schema, max_tokens, until_s, dialect)
            except _Status as refused:
                simpler = dialect.simpler(refused.body, wants_schema=schema is not None)
                if refused.status not in {400, 422} or simpler is None:
                    raise _unavailable(refused) from refused
                dialect = simpler
            except _NoReply as failed:
                raise LlmUnavailable(failed.reason, _NO_REPLY[failed.reason]) from failed
            else:
                self._dialect = dialect
                return completion

    def _with_retries(
        self,
        messages: Sequence[Message],
        schema: Mapping[str, Any] | None,
        max_tokens: int,
        until_s: float,
        dialect: _Dialect,
    ) -> Completion:
        options = _options(messages, schema, max_tokens, dialect)
        for attempt in range(1, ATTEMPTS + 1):
            pause_s = self.settings.backoff_s * 2 ** (attempt - 1) * random.uniform(0.5, 1.5)
            try:
                return self._send(options, until_s)
            except _Status as error:
                pause_s = max(pause_s, error.pause_s)
                if error.status < 500 and error.status not in _TRANSIENT:
                    raise
                failure: Exception = error
            except _NoReply as error:
                if error.reason not in {"timeout", "unreachable"}:
                    raise
                failure = error
            left_s = until_s - time.monotonic()
            if attempt == ATTEMPTS or pause_s > min(LONGEST_PAUSE_S, left_s):
                break
            time.sleep(pause_s)
        raise failure

    def _send(self, options: dict[str, Any], until_s: float) -> Completion:
        until_s = min(until_s, time.monotonic() + self.settings.timeout_s)
        try:
            output = _Transport(self.settings, until_s).chat_completion(model=self.settings.model, **options)
            return _read(dict(output))
        except (httpx2.TimeoutException, TimeoutError) as error:
            raise _NoReply("timeout") from error
        except (httpx2.HTTPError, OfflineModeIsEnabled) as error:
            raise _NoReply("unreachable") from error
        except httpx2.InvalidURL as error:
            raise _NoReply("misconfigured") from error
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            # the library reads a reply's fields unchecked
            raise _NoReply("malformed") from error


def from_settings() -> LlmClient | None:
    """The client that the site's settings name, one a process: it remembers what its server understands. None when
    there is neither a server nor a token."""
    from django.conf import settings

    if not settings.LLM_BASE_URL and not settings.HF_TOKEN:
        return None
    return _shared(
        LlmSettings(
            model=settings.LLM_MODEL,
            base_url=settings.LLM_BASE_URL,
            api_key=settings.LLM_API_KEY,
            hf_token="" if settings.LLM_BASE_URL else settings.HF_TOKEN,
            timeout_s=settings.SERVICE_TIMEOUT_S,
            backoff_s=settings.SERVICE_BACKOFF_S,
        )
    )


@cache
def _shared(settings: LlmSettings) -> LlmClient:
    return LlmClient(settings)


_NO_REPLY = {
    "timeout": "The language model did not answer in time.",
    "unreachable": "The language model's server could not be reached.",
    "misconfigured": "The language model's address or token cannot be used.",
    "malformed": "The language model's server sent something that is not a completion.",
}
_STATUS_MESSAGES = {
    "unauthorized": "The language model's server refused the key.",
    "quota_exceeded": "The quota at the language model's server is used up.",
    "rate_limited": "The language model's server is taking no more requests at the moment.",
    "timeout": "The language model did not answer in time.",
    "server_error": "The language model's server had an error of its own.",
    "rejected": "The language model's server did not accept the request.",
}


def _unavailable(error: _Status) -> LlmUnavailable:
    reason = _REASONS.get(error.status, "server_error" if error.status >= 500 else "rejected")
    return LlmUnavailable(reason, f"{_STATUS_MESSAGES[reason]} (status {error.status})")


def _options(
    messages: Sequence[Message], schema: Mapping[str, Any] | None, max_tokens: int, dialect: _Dialect
) -> dict[str, Any]:
    options: dict[str, Any] = {
        "max_tokens": max_tokens,
        "temperature": TEMPERATURE,
        "messages": list(messages),
    }
    if dialect.logprobs:
        options |= {"logprobs": True, "top_logprobs": TOP_LOGPROBS}
    if schema is not None and dialect.json_schema:
        options["response_format"] = _response_format(schema)
    elif schema is not None:
        *before, last = messages
        asked = f"{last['content']}\n\nReply with one JSON object of this schema and nothing else:\n"
        options["messages"] = [*before, {**last, "content": asked + json.dumps(schema)}]
    return options


def _response_format(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "reply", "strict": True, "schema": dict(schema)}}


class _Transport(InferenceClient):
    """InferenceClient with a deadline, without redirects, and without a key that is not the server's own."""

    def __init__(self, settings: LlmSettings, until_s: float) -> None:
        # An empty token would make the library look for HF_TOKEN by itself; the header is removed below.
        self._keyless = bool(settings.base_url) and not settings.api_key
        if settings.base_url and not settings.base_url.startswith(("http://", "https://")):
            raise _NoReply("misconfigured")
        if settings.base_url:
            super().__init__(base_url=settings.base_url, api_key=settings.api_key or "none")
        elif settings.hf_token.startswith("hf_"):
            super().__init__(api_key=settings.hf_token)
        else:
            raise _NoReply("misconfigured")
        self._until_s = until_s

    def _inner_post(self, request_parameters: Any, *, stream: bool = False) -> Any:
        headers = dict(request_parameters.headers)
        if self._keyless:
            headers.pop("authorization", None)
        with get_session().stream(
            "POST",
            request_parameters.url,
            json=_as_openai(request_parameters.json),
            headers=headers,
            timeout=_left(self._until_s),
            follow_redirects=False,
        ) as response:
            body = self._body(response)
            if response.status_code != 200:
                pause_s = _retry_after_s(response.headers.get("Retry-After", ""))
                raise _Status(response.status_code, body.decode("utf-8", "replace")[:2000], pause_s)
            return body

    def _body(self, response: httpx2.Response) -> bytes:
        """Read as it comes in, so that a reply in drops cannot outlast the deadline."""
        body = bytearray()
        for part in response.iter_bytes():
            body += part
            _left(self._until_s)
            if len(body) > REPLY_BYTES:
                raise ValueError("the reply is too long")
        return bytes(body)


def _as_openai(payload: Mapping[str, Any]) -> dict[str, Any]:
    """For a URL the library rewrites the schema to an older dialect that OpenAI-compatible servers ignore."""
    wanted = payload.get("response_format")
    if isinstance(wanted, Mapping) and wanted.get("type") == "json_object" and "value" in wanted:
        return {**payload, "response_format": _response_format(wanted["value"])}
    return dict(payload)


def _left(until_s: float) -> float:
    left_s = until_s - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    return left_s


def _retry_after_s(value: str) -> float:
    """Seconds of a Retry-After header in either form (RFC 9110, 10.2.3); 0 when there is none to read."""
    if value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return 0.0


class _ReadMessage(BaseModel):
    content: str | None = None


class _ReadChoice(BaseModel):
    message: _ReadMessage
    logprobs: Any = None


class _ReadReply(BaseModel):
    choices: list[_ReadChoice] = Field(min_length=1)


class _ReadAlternative(BaseModel):
    token: str
    logprob: float = Field(allow_inf_nan=False)


class _ReadToken(_ReadAlternative):
    top_logprobs: list[_ReadAlternative] | None = None


class _ReadLogprobs(BaseModel):
    content: list[_ReadToken]


def _read(reply: Mapping[str, Any]) -> Completion:
    choice = _ReadReply.model_validate(reply).choices[0]
    return Completion(choice.message.content or "", _tokens(choice.logprobs))


def _tokens(logprobs: Any) -> tuple[Token, ...]:
    """Nothing for providers that send none, or in another shape: then there is no confidence to give."""
    try:
        content = _ReadLogprobs.model_validate(logprobs).content
    except ValidationError:
        return ()
    return tuple(
        Token(
            token.token,
            token.logprob,
            tuple((other.token, other.logprob) for other in token.top_logprobs or ()),
        )
        for token in content
    )
