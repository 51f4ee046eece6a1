"""The JSON object in a model's reply: found by a JSON parser, checked by a schema, with its places."""

from dataclasses import dataclass
from json import JSONDecoder
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

SCORE_KEYS = ("quality", "coherence", "relevance")
_DECODER = JSONDecoder()
LONGEST_REPLY_CHARACTERS = 20_000  # 600 tokens are about 4 000; the search is quadratic at worst
_WHITESPACE = " \t\n\r"


class InvalidReply(Exception):
    """The reply holds no valid object; the text says what is wrong, for the model and for the log."""


Score = Annotated[float, Field(ge=0, le=100, strict=True, allow_inf_nan=False)]


class Scores(BaseModel):
    """What the model is asked for. A number in quotes, true, 150 or a missing key are refused."""

    quality: Score
    coherence: Score
    relevance: Score
    analysis: Annotated[str, Field(strict=True, min_length=1)]


@dataclass(frozen=True)
class FoundObject:
    """A JSON object at `start` of a text."""

    start: int
    value: dict[str, Any]


def read_scores(reply: str) -> Scores:
    """The scores in a reply, prose around them allowed. Raises InvalidReply."""
    try:
        return Scores.model_validate(find_object(reply).value)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()]
        raise InvalidReply("; ".join(problems)) from error


def find_object(reply: str) -> FoundObject:
    """The one object of a reply, or the one with all score keys where there are several.

    Two different ones with all keys are refused, since either may be a quotation of the candidate.
    """
    objects = _objects(reply[:LONGEST_REPLY_CHARACTERS])
    complete = [found for found in objects if all(key in found.value for key in SCORE_KEYS)]
    if any(found.value != complete[0].value for found in complete):
        raise InvalidReply("there is more than one JSON object with scores")
    if complete or objects:
        return (complete or objects)[0]
    raise InvalidReply("there is no complete JSON object")


def _objects(reply: str) -> list[FoundObject]:
    found = []
    position = reply.find("{")
    while position != -1:
        try:
            value, end = _DECODER.raw_decode(reply, position)
        except (ValueError, RecursionError):
            end = position + 1
        else:
            found.append(FoundObject(position, value))
        position = reply.find("{", end)
    return found


def member_spans(text: str, start: int) -> dict[str, tuple[int, int]]:
    """Where each member's value stands in `text`: key -> (first, behind last character).

    `start` is the place of the brace of a valid object (`FoundObject.start`).
    """
    spans: dict[str, tuple[int, int]] = {}
    position = _skip(text, start + 1)
    while text[position] != "}":
        key, position = _DECODER.raw_decode(text, position)
        first = _skip(text, _skip(text, position) + 1)
        _, behind = _DECODER.raw_decode(text, first)
        spans[key] = (first, behind)
        position = _skip(text, behind)
        if text[position] == ",":
            position = _skip(text, position + 1)
    return spans


def _skip(text: str, position: int) -> int:
    while text[position] in _WHITESPACE:
        position += 1
    return position
