"""Who is on the other end of a WebSocket, and access to the database from there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from importlib import import_module
from typing import Any, ParamSpec, TypeVar
from urllib.parse import parse_qs, urlsplit

from channels.db import DatabaseSyncToAsync
from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.auth.models import User
from django.db import Error as DatabaseError
from django.db import OperationalError
from django.http import HttpRequest
from django.http.request import split_domain_port, validate_host
from django.utils.http import is_same_domain
from django.utils.translation import get_language_from_request

from assessment.access import token_owner
from assessment.errors import RequestError
from rooms import access, lifecycle, links
from rooms.models import Participant, Room

logger = logging.getLogger(__name__)

NOT_UNDERSTOOD, ANONYMOUS, NOT_ALLOWED, NO_ROOM = 4400, 4401, 4403, 4404
TOO_SLOW, REPLACED, ENDED, TOO_MANY, TRY_LATER = 4408, 4409, 4410, 4429, 4503

P = ParamSpec("P")
R = TypeVar("R")
IN_DATABASE_TIMEOUT_S = 5.0
"""Shorter than browsers wait for an answer before they take the line for dead (8 s, signalling.js)."""

_THREADS = ThreadPoolExecutor(8, thread_name_prefix="rooms-database")
"""Of their own: a database that is locked for seconds must stop neither pages nor the inference of others."""


async def in_database(work: Callable[P, R], *args: P.args, **more: P.kwargs) -> R:
    """Run `work`, which uses the database, in a thread.

    Raises DatabaseError also where it takes too long; it may come to its end later all the same."""
    try:
        async with asyncio.timeout(IN_DATABASE_TIMEOUT_S):
            return await DatabaseSyncToAsync(work, thread_sensitive=False, executor=_THREADS)(*args, **more)
    except TimeoutError as error:
        raise OperationalError("The database took too long.") from error


class Refused(Exception):
    """The socket is to be closed with `close_code`."""

    def __init__(self, close_code: int) -> None:
        super().__init__(str(close_code))
        self.close_code = close_code


async def turn_away(receive: Any, send: Any, code: int) -> None:
    """Accept the socket and close it with `code`: a browser cannot read why a handshake was refused."""
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.close", "code": code})


@dataclass(frozen=True)
class Visitor:
    """Somebody who may be in `room`. `user`: None for the candidate. `language`: what they are told is in.
    `signed_in`: who this session or token belongs to right now; uses the database."""

    room: Room
    place: Participant
    role: str
    user: User | None = None
    language: str = "en"
    signed_in: Callable[[], User | None] | None = None


async def identify(scope: dict[str, Any]) -> Visitor:
    """Who opened this socket. `scope` has the room's code in its ``url_route``.

    Raises Refused: 4400 (a strange ``as``), 4401 (nobody known here), 4403 (a foreign page, or an HR admin who has no
    seat), 4404 (no such room for this user), 4503 (the database is away)."""
    caller = _Caller.of(scope)
    if not caller.comes_from_here():
        raise Refused(NOT_ALLOWED)
    try:
        return await in_database(caller.visitor)
    except DatabaseError as error:
        logger.warning("A socket was put off: %s", type(error).__name__)
        raise Refused(TRY_LATER) from error


@dataclass(frozen=True)
class _Caller:
    code: str
    wanted_role: str
    headers: dict[str, str]
    cookies: dict[str, str]

    @classmethod
    def of(cls, scope: dict[str, Any]) -> _Caller:
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        wanted = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("as", [""])[-1]
        code = scope["url_route"]["kwargs"]["code"]
        return cls(code, wanted, headers, _cookies(headers.get("cookie", "")))

    # -- Where from -----------------------------------------------------------------------------

    def comes_from_here(self) -> bool:
        """Whether a page of this site opened the socket. Browsers always send ``Origin`` with a WebSocket (RFC 6455,
        section 10.2), so without one it is a program, which nobody's page can drive; should a browser ever leave it
        out, its ``Sec-Fetch-`` headers tell."""
        origin = self.headers.get("origin")
        if origin is None:
            return self.bearer is not None or not any(name.startswith("sec-fetch-") for name in self.headers)
        return self._is_ours(origin)

    def _is_ours(self, origin: str) -> bool:
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        if parts.scheme not in ("http", "https") or not parts.netloc:
            return False
        return parts.netloc.lower() == self._host() or any(
            _matches(origin, trusted) for trusted in (settings.PUBLIC_URL, *settings.CSRF_TRUSTED_ORIGINS)
        )

    def _host(self) -> str | None:
        """The Host header, if it is one of this site's names."""
        host = self.headers.get("host", "").lower()
        allowed = settings.ALLOWED_HOSTS
        if settings.DEBUG and not allowed:
            allowed = [".localhost", "127.0.0.1", "[::1]"]
        domain, _port = split_domain_port(host)
        return host if domain and validate_host(domain, allowed) else None

    # -- Who ------------------------------------------------------------------------------------

    @property
    def bearer(self) -> str | None:
        scheme, _space, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" and token.strip() else None

    def visitor(self) -> Visitor:
        """In a database thread. Raises Refused."""
        if self.wanted_role not in ("", "candidate", "interviewer"):
            raise Refused(NOT_UNDERSTOOD)
        if self.wanted_role == "candidate":
            return self._as_candidate() or _refuse(ANONYMOUS)
        user = self._user()
        seated = self._as_interviewer(user)
        if seated is not None:
            return seated
        if self.wanted_role == "" and self.bearer is None:
            candidate = self._as_candidate()
            if candidate is not None:
                return candidate
        return _refuse(self._why_not(user))

    def _user(self) -> User | None:
        return token_owner(self.bearer) if self.bearer is not None else session_user(self.cookies)

    def _as_interviewer(self, user: User | None) -> Visitor | None:
        room = self._visible(user)
        if user is None or room is None or not access.sits_in(user, room):
            return None
        place = lifecycle.seat(room, user)
        role = Participant.Role.INTERVIEWER.value
        return Visitor(room, place, role, user, self._language(), self._user)

    def _language(self) -> str:
        """As pages find it: by cookie, or as the browser prefers."""
        request = HttpRequest()
        request.COOKIES = self.cookies
        request.META["HTTP_ACCEPT_LANGUAGE"] = self.headers.get("accept-language", "")
        return get_language_from_request(request)

    def _as_candidate(self) -> Visitor | None:
        key = self.cookies.get(f"{links.COOKIE_PREFIX}{self.code}")
        if not key:
            return None
        room = Room.objects.select_related("candidate", "owner").filter(code=self.code).first()
        place = links.candidate_with(room, key) if room is not None else None
        if room is None or place is None:
            return None
        return Visitor(room, place, Participant.Role.CANDIDATE.value, language=place.language)

    def _why_not(self, user: User | None) -> int:
        if user is None:
            return ANONYMOUS
        return NO_ROOM if self._visible(user) is None else NOT_ALLOWED

    def _visible(self, user: User | None) -> Room | None:
        if user is None:
            return None
        try:
            return access.get_visible(user, self.code)
        except RequestError:
            return None


def _refuse(code: int) -> Visitor:
    raise Refused(code)


def _matches(origin: str, trusted: str) -> bool:
    """Whether `origin` is `trusted`, which may have a ``*.`` before its host as in ``CSRF_TRUSTED_ORIGINS``."""
    if not trusted:
        return False
    ours, theirs = urlsplit(trusted), urlsplit(origin.lower())
    same_host = is_same_domain(theirs.netloc, ours.netloc.lower().lstrip("*"))
    return ours.scheme == theirs.scheme and same_host


def _cookies(header: str) -> dict[str, str]:
    """Those that can be read."""
    found: dict[str, str] = {}
    for part in header.split(";"):
        try:
            found.update({name: morsel.value for name, morsel in SimpleCookie(part.strip()).items()})
        except CookieError:
            continue
    return found


def session_user(cookies: dict[str, str]) -> User | None:
    """The active user who is signed in with these cookies. Uses the database."""
    key = cookies.get(settings.SESSION_COOKIE_NAME)
    if not key:
        return None
    request = HttpRequest()  # the check of the session's hash needs one
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(key)
    user = get_user(request)
    return user if isinstance(user, User) and user.is_active else None
