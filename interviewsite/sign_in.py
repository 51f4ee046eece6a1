"""How often passwords may be tried.

Failures are counted for a name from one address, for an address, and for a name, in the Redis (or Valkey) of the queue:
all processes and hosts count together, each count ends by itself, and a memory that forgets costs nothing. Names and
addresses are not in it, only keyed hashes of them.

Where it does not answer, people are let sign in uncounted, and the log says so: nobody who tries passwords can bring
that about, while an interviewer who cannot come in misses their interview.
"""

from __future__ import annotations

import logging
import math
import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_in
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.utils.cache import add_never_cache_headers
from django.utils.crypto import salted_hmac
from django.utils.translation import ngettext

from assessment import work_queue
from assessment.errors import error_document
from assessment.models import AuditEntry
from interviewsite.errors import wants_json

logger = logging.getLogger(__name__)

View = Callable[..., HttpResponseBase]
BOUNDS = ("name_and_address", "address", "name")
KNOWN_FOR_S = 30 * 24 * 3600
"""Who signed in from an address is not held there by what others try elsewhere. *Assumption*: people who interview come
back within a month."""
SAY_AGAIN_AFTER_S = 60.0

_TAKE = """
local known, wait_ms = redis.call('EXISTS', KEYS[4]) == 1, 0
for i = 1, 3 do
  local most, count = tonumber(ARGV[i]), tonumber(redis.call('GET', KEYS[i]) or '0')
  if most > 0 and count >= most and not (i == 3 and known) then
    wait_ms = math.max(wait_ms, redis.call('PTTL', KEYS[i]), 1)
  end
end
local answer = {wait_ms}
if wait_ms > 0 then return answer end
for i = 1, 3 do
  local count = redis.call('INCR', KEYS[i])
  if count == 1 then redis.call('EXPIRE', KEYS[i], ARGV[4]) end
  if count == tonumber(ARGV[i]) then answer[#answer + 1] = i end
end
return answer
"""
"""Counts a try before the password is looked at, so that many at once find out no more than one after the other; a try
that is refused counts nowhere, or one place could use up a name's tries for all."""

_GIVE_BACK = """
redis.call('DEL', KEYS[1])
for i = 2, 3 do
  if tonumber(redis.call('GET', KEYS[i]) or '0') > 0 then redis.call('DECR', KEYS[i]) end
end
redis.call('SET', KEYS[4], 1, 'EX', ARGV[1])
"""


@dataclass(frozen=True)
class Try:
    """A name and a password from `place`: the address, or the network that one customer has."""

    name: str
    place: str

    @property
    def keys(self) -> list[str]:
        """Of the three counts in the order of `BOUNDS`, and of the note that the name is known at this place."""
        parts = ((self.name, self.place), ("", self.place), (self.name, ""), (self.name, self.place, "known"))
        return [f"wawancara:sign-in:{_hash(*part)}" for part in parts]


@dataclass(frozen=True)
class Answer:
    """`wait_s`: how long to wait, 0 for who may try. `filled`: the bounds that this try was the last one of."""

    wait_s: int = 0
    filled: tuple[str, ...] = ()
    counted: bool = True


def _hash(*parts: str) -> str:
    return salted_hmac("interviewsite.sign_in", "\0".join(parts), algorithm="sha256").hexdigest()


def try_of(request: HttpRequest) -> Try | None:
    """What the form tries; None where the view will not compare any password."""
    name = _name(request)
    if request.method != "POST" or not (name and request.POST.get("password")) or "\0" in name:
        return None
    return Try(name.casefold(), place_of(request.META.get("REMOTE_ADDR", "")))


def _name(request: HttpRequest) -> str:
    """As Django's form takes it."""
    return unicodedata.normalize("NFKC", request.POST.get("username", "")).strip()


def place_of(address: str) -> str:
    """An IPv4 address; of IPv6 the /64, within which one customer has as many addresses as they like."""
    try:
        found = ip_address(address)
    except ValueError:  # a Unix socket
        return address
    if not isinstance(found, IPv6Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(IPv6Network((int(found), 64), strict=False))


# -- Counting ---------------------------------------------------------------------------------


def take(tried: Try) -> Answer:
    """Count a try, unless there were too many."""
    bounds = (settings.SIGN_IN_FAILURES, settings.SIGN_IN_FAILURES_ADDRESS, settings.SIGN_IN_FAILURES_NAME)
    found = _run(_TAKE, tried, *bounds, settings.SIGN_IN_WAIT_S)
    if found is None:
        return Answer(counted=False)
    wait_ms, *filled = found
    return Answer(math.ceil(wait_ms / 1000), tuple(BOUNDS[number - 1] for number in filled))


def give_back(tried: Try) -> None:
    """The password was right: what was counted for it was no failure."""
    _run(_GIVE_BACK, tried, KNOWN_FOR_S)


def _run(script: str, tried: Try, *arguments: int) -> Any:
    """None where there is nothing to count with."""
    try:
        with work_queue.connection() as client:
            return client.eval(script, len(tried.keys), *tried.keys, *arguments)
    except work_queue.QueueAway as error:
        _silence.say("Sign-ins are not counted: %s.", error)
        return None


class _Silence:
    """So that an outage does not fill the log."""

    def __init__(self) -> None:
        self.until_s = 0.0

    def say(self, message: str, *args: object) -> None:
        now_s = time.monotonic()
        if now_s >= self.until_s:
            self.until_s = now_s + SAY_AGAIN_AFTER_S
            logger.warning(message, *args)


_silence = _Silence()

# -- The pages --------------------------------------------------------------------------------


def counted(view: View) -> View:
    """For a page that signs people in by a form with ``username`` and ``password``."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **more: Any) -> HttpResponseBase:
        tried = try_of(request)
        if tried is None:
            return view(request, *args, **more)
        answer = take(tried)
        if answer.wait_s:
            return held(request, answer.wait_s)
        response = view(request, *args, **more)
        if answer.counted and getattr(request, "signed_in_now", False):
            give_back(tried)
        elif answer.filled:
            _record(request, answer.filled)
        return response

    return wrapped


@receiver(user_logged_in)
def _signed_in(request: HttpRequest | None, **_: Any) -> None:
    """A page that sends on who is signed in already tells nothing of the password."""
    if request is not None:
        request.signed_in_now = True  # type: ignore[attr-defined]


def held(request: HttpRequest, wait_s: int) -> HttpResponse:
    """The same for every name and password, which were not looked at."""
    minutes = math.ceil(wait_s / 60)
    when = ngettext("Try again in a minute.", "Try again in %(minutes)s minutes.", minutes)
    when %= {"minutes": minutes}
    if wants_json(request):
        document = error_document("too_many_tries", when, {"retry_after_s": wait_s})
        response: HttpResponse = JsonResponse(document, status=429)
    else:
        response = render(request, "sign_in_held.html", {"when": when}, status=429)
    response["Retry-After"] = str(wait_s)
    add_never_cache_headers(response)
    return response


def _record(request: HttpRequest, filled: tuple[str, ...]) -> None:
    """Once for each time that somebody is held: whose name it is, where it is one's; no address."""
    logger.warning("Too many sign-ins failed (%s): no more for a while.", ", ".join(filled))
    users = get_user_model()._default_manager.filter(username=_name(request))
    user = users.only("pk").first() if filled != ("address",) else None
    AuditEntry.write("sign_in.held", f"user:{user.pk}" if user else "sign-in", bounds=list(filled))
