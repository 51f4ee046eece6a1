"""What a form or a program asks a new room to be, checked; refusals name the field."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from pydantic import ValidationError

from assessment import fields, idempotency
from assessment.errors import IntakeError
from rooms import access
from rooms.lifecycle import NewRoom, create_room
from rooms.models import Room
from rooms.schemas import RoomIn

MAX_TITLE_LENGTH = 200
MAX_PANEL = 2
"""A call holds four people (DESIGN: a mesh of four): the candidate, the owner, and these."""
PLANNED_AT_MOST = timedelta(days=366)
"""Assumption: what lies further ahead is a slip in the year."""
PLANNED_AT_LEAST = timedelta(days=1)
"""Assumption: somebody may make the room after the planned time, but not on another day."""
MAX_PROBLEMS = 20


def title(value: str, field: str = "title") -> str:
    return fields.text(value, field, longest=MAX_TITLE_LENGTH)


def questions(values: Sequence[str], field: str = "questions") -> tuple[str, ...]:
    """Empty ones are left out; none at all is fine. A refusal names the place, as in ``questions[2]``."""
    checked = tuple(
        fields.question(value, f"{field}[{index}]") for index, value in enumerate(values) if value.strip()
    )
    if len(checked) > settings.MAX_ANSWERS:
        message = f"{field}: there are {len(checked)}; the most is {settings.MAX_ANSWERS}."
        raise fields.invalid(field, message, "count_out_of_range", count=len(checked))
    return checked


def planned(value: datetime | None, field: str = "planned_at") -> datetime | None:
    """A time with its zone, not on an earlier day and not further ahead than a year."""
    if value is None:
        return None
    if timezone.is_naive(value):
        raise fields.invalid(field, f"{field} needs a time zone, as in 2026-12-01T09:00:00+07:00.")
    now = timezone.now()
    if value < now - PLANNED_AT_LEAST:
        raise fields.invalid(field, f"{field} lies in the past.")
    if value > now + PLANNED_AT_MOST:
        raise fields.invalid(field, f"{field} lies more than a year ahead.")
    return value


def panel(members: Sequence[User], owner: User, field: str = "panel") -> tuple[User, ...]:
    """Each once and without the owner, who is there anyhow."""
    others = {member.pk: member for member in members if member.pk != owner.pk}
    if len(others) > MAX_PANEL:
        message = f"{field}: there are {len(others)}; a call has room for {MAX_PANEL} besides you."
        raise fields.invalid(field, message, "count_out_of_range", count=len(others))
    return tuple(others.values())


def check(given: dict[str, Any], owner: User) -> NewRoom:
    """The cleaned values of the form, by the names of the API's fields. Raises IntakeError naming the field."""
    return NewRoom(
        title=title(given["title"]),
        candidate_name=fields.name(given["candidate_name"]),
        candidate_email=fields.email(given.get("candidate_email")),
        country=fields.country(given.get("candidate_country")),
        language=fields.language(given.get("language")),
        questions=questions(given.get("questions") or ()),
        recording=bool(given.get("recording")),
        planned_at=planned(given.get("planned_at")),
        panel=panel(given.get("panel") or (), owner),
    )


# -- Once ---------------------------------------------------------------------------------------


def create_once(wanted: NewRoom, owner: User, key: str | None, digest: str) -> Room:
    """The room; asked for twice with the same key it is made once. Only its code is kept with the key: the link
    opens the room, so it is made anew. Raises RequestError, see `idempotency.run_once`, and 'not_found' for a room
    that was made and is erased."""

    def make(settle: idempotency.Settle) -> idempotency.Response:
        with transaction.atomic():
            answer = {"code": create_room(wanted, owner).code}
            settle(answer)
        return answer

    return access.get_visible(owner, str(idempotency.run_once(owner, key, digest, make)["code"]))


# -- From programs ----------------------------------------------------------------------------


def from_json(document: Any, owner: User) -> NewRoom:
    """The body of `POST /api/rooms/create`. Raises IntakeError naming the field."""
    if not isinstance(document, dict):
        raise fields.invalid("$", "The body must be a JSON object with title and candidate_name.")
    try:
        given = RoomIn.model_validate(document)
    except ValidationError as error:
        raise _wrong_shape(error) from error
    values = given.model_dump()
    return check(
        {**values, "planned_at": _moment(given.planned_at), "panel": _users(given.panel or ())}, owner
    )


def _wrong_shape(error: ValidationError) -> IntakeError:
    problems = [_problem(one) for one in error.errors(include_url=False)]
    first = problems[0]
    message = f"{first['field']}: {first['message']}."
    return IntakeError(
        "invalid_field", message, details={"field": first["field"], "errors": problems[:MAX_PROBLEMS]}
    )


def _problem(problem: Any) -> dict[str, str]:
    where = ""
    for step in problem["loc"]:
        where += f"[{step}]" if isinstance(step, int) else f".{step}"
    message = {"missing": "is missing", "extra_forbidden": "is no field of this call"}.get(
        problem["type"], problem["msg"].replace("Input should", "should")
    )
    return {"field": where.removeprefix(".") or "$", "message": message}


def _moment(value: str | None, field: str = "planned_at") -> datetime | None:
    if not (value or "").strip():
        return None
    try:
        moment = parse_datetime((value or "").strip())
    except ValueError:
        moment = None
    if moment is None:
        raise fields.invalid(field, f"{field} must be a time as ISO 8601, as in 2026-12-01T09:00:00+07:00.")
    return moment


def _users(names: Sequence[str], field: str = "panel") -> list[User]:
    """Active users by their names; the first that is none is named."""
    found = {user.get_username(): user for user in User.objects.filter(username__in=names, is_active=True)}
    for index, name in enumerate(names):
        if name not in found:
            raise fields.invalid(
                f"{field}[{index}]", f"{field}[{index}]: there is no active user of this name."
            )
    return [found[name] for name in names]
