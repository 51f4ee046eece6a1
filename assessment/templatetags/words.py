"""Words for codes, in lists."""

from collections.abc import Iterable

from django import template

from assessment import words
from assessment.models import Answer

register = template.Library()


@register.filter
def word_of_status(status: str) -> str:
    return str(words.STATUSES[status])


@register.filter
def tone_of_status(status: str) -> str:
    return words.status_tone(status)


@register.filter
def finished(answers: Iterable[Answer]) -> int:
    """How many answers came to an end, well or not."""
    return sum(answer.status in Answer.TERMINAL for answer in answers)
