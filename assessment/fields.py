"""Checks of single values that people hand in. Each takes the field's name or path and gives the clean
value."""

from __future__ import annotations

import math
import re
import unicodedata
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from assessment.countries import ISO_ALPHA2
from assessment.errors import IntakeError
from assessment.models import Assessment

MAX_NAME_LENGTH = 200
MAX_QUESTION_LENGTH = 2000
MAX_EMAIL_LENGTH = 254
LARGEST_POSITION = 2**31 - 1
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)")
_LAYOUT = "\n\r\t"


def invalid(field: str, message: str, code: str = "invalid_field", **details: Any) -> IntakeError:
    return IntakeError(code, message, details={"field": field, **details})


def text(value: str, field: str, *, longest: int, required: bool = True, layout: bool = False) -> str:
    """`value` without blanks around it. `layout` allows line breaks and tabs."""
    clean = value.strip()
    if required and not clean:
        raise invalid(field, f"{field} is empty.")
    if len(clean) > longest:
        raise invalid(field, f"{field} has {len(clean)} characters; the most is {longest}.")
    for character in clean:
        if unicodedata.category(character) in ("Cc", "Cs") and not (layout and character in _LAYOUT):
            raise invalid(field, f"{field} has a control character in it (U+{ord(character):04X}).")
    return clean


def name(value: str, field: str = "candidate_name") -> str:
    return text(value, field, longest=MAX_NAME_LENGTH)


def question(value: str, field: str) -> str:
    return text(value, field, longest=MAX_QUESTION_LENGTH, layout=True)


def language(value: str | None, field: str = "language") -> str:
    """ "en", "id" or "auto"; "auto" where nothing is said."""
    wanted = (value or "").strip().lower() or Assessment.Language.AUTO.value
    if wanted not in Assessment.Language.values:
        shown = ", ".join(Assessment.Language.values)
        raise invalid(field, f"{field} is not a language that is read here; it must be one of: {shown}.")
    return wanted


def score(value: float | str | None, field: str = "project_score") -> float | None:
    """0 to 100, or None where nothing is said."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    message = f"{field} must be a number from 0 to 100."
    if isinstance(value, str) and not _NUMBER.fullmatch(value.strip()):
        raise invalid(field, message)
    try:
        number = float(value)
    except (ValueError, OverflowError) as error:
        raise invalid(field, message) from error
    if not math.isfinite(number) or not 0 <= number <= 100:
        raise invalid(field, message)
    return number


def country(value: str | None, field: str = "candidate_country") -> str:
    """An ISO 3166-1 alpha-2 code in capitals, or "" where nothing is said."""
    code = (value or "").strip().upper()
    if code and code not in ISO_ALPHA2:
        hint = " The United Kingdom is GB." if code == "UK" else ""
        raise invalid(field, f"{field} must be a two-letter country code of ISO 3166, such as ID.{hint}")
    return code


def email(value: str | None, field: str = "candidate_email") -> str:
    address = text(value or "", field, longest=MAX_EMAIL_LENGTH, required=False)
    if address:
        try:
            validate_email(address)
        except ValidationError as error:
            raise invalid(field, f"{field} is not an e-mail address.") from error
    return address


def reference(value: str | None, field: str = "consent_reference") -> str:
    return text(value or "", field, longest=MAX_NAME_LENGTH, required=False)
