"""How sure a model was of its numbers: from the log-probabilities of the score tokens, and of no others."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from assessment.services.llm import Token
from assessment.services.llm_reply import SCORE_KEYS, InvalidReply, find_object, member_spans

HIGHEST = 100.0
_NUMERIC = frozenset("0123456789.")


@dataclass(frozen=True)
class ScoreSpread:
    """`probability` of the number as written (0-1); mean and deviation in points over the alternatives."""

    probability: float
    expected: float
    std: float


@dataclass(frozen=True)
class ScoreConfidence:
    """`probability`: geometric mean over the scores. `uncertainty`: standard deviation of their mean in
    points, taking the scores' errors as fully correlated (assumption: the careful one)."""

    probability: float
    uncertainty: float


@dataclass(frozen=True)
class _Outcome:
    value: float
    variance: float
    probability: float


def score_confidence(tokens: Sequence[Token], values: Mapping[str, float]) -> ScoreConfidence | None:
    """Confidence in the scores `values` that were read from the reply made of `tokens`.

    None without log-probabilities, or where the tokens do not spell the reply that was read.
    """
    spreads = [spread for key in SCORE_KEYS if (spread := score_spread(tokens, key, values[key])) is not None]
    if len(spreads) < len(SCORE_KEYS):
        return None
    mean_log = sum(math.log(max(spread.probability, 1e-12)) for spread in spreads) / len(spreads)
    return ScoreConfidence(math.exp(mean_log), sum(spread.std for spread in spreads) / len(spreads))


def score_spread(tokens: Sequence[Token], key: str, value: float) -> ScoreSpread | None:
    """Probability and spread of one score.

    A number in one token is compared with the whole numbers among that token's alternatives. A number in
    several tokens is followed digit by digit: at each place an alternative digit stands for the middle of
    the numbers that begin so and are as long (a variance of their width is added), an alternative that is
    no digit ends the number. Numbers above 100 do not count.
    """
    joined = "".join(token.text for token in tokens)
    try:
        found = find_object(joined)
    except InvalidReply:
        return None
    if found.value.get(key) != value:
        return None
    start, behind = member_spans(joined, found.start)[key]
    outcomes = [item for item in _outcomes(tokens, joined, start, behind) if 0 <= item.value <= HIGHEST]
    mass = sum(item.probability for item in outcomes)
    if mass <= 0:
        return None
    expected = sum(item.probability * item.value for item in outcomes) / mass
    squares = sum(item.probability * (item.value**2 + item.variance) for item in outcomes) / mass
    return ScoreSpread(outcomes[-1].probability, expected, math.sqrt(max(0.0, squares - expected**2)))


def _outcomes(tokens: Sequence[Token], joined: str, start: int, behind: int) -> Iterator[_Outcome]:
    """The alternatives to the number at joined[start:behind], and last the number itself."""
    written = joined[start:behind]
    places = list(_places(tokens, start, behind))
    digits = len(written.partition(".")[0])
    reached = 1.0
    prefix = ""
    for token, lead, own in places:
        for number, ended, probability in _alternatives(token, lead, own, begun=bool(prefix)):
            if (prefix + number).count(".") <= 1:
                complete = ended or len(places) == 1
                value, variance = _value(prefix + number, digits, ended=complete)
                yield _Outcome(value, variance, reached * probability)
        reached *= math.exp(min(0.0, token.logprob))
        prefix += own
    longer = [item for item in _longer(tokens, behind) if (written + item[0]).count(".") <= 1]
    for number, probability in longer:
        yield _Outcome(float(written + number), 0.0, reached * probability)
    ends = max(0.0, 1.0 - sum(probability for _, probability in longer))
    yield _Outcome(float(written), 0.0, reached * ends)


def _alternatives(token: Token, lead: str, own: str, *, begun: bool) -> Iterator[tuple[str, bool, float]]:
    """(digits, whether the number ends there, probability) of what else could stand in a token's place."""
    for text, logprob in token.alternatives:
        number, rest = _number_in(text, lead)
        if text != token.text and number != own and (number or begun):
            yield number, not number or bool(rest), math.exp(min(0.0, logprob))


def _longer(tokens: Sequence[Token], behind: int) -> Iterator[tuple[str, float]]:
    """Digits that could have stood right behind the number ("10" could have become "100")."""
    offset = 0
    for token in tokens:
        if offset == behind:
            for text, logprob in token.alternatives:
                if text[:1] in _NUMERIC and text != token.text:
                    yield _number_in(text, "")[0], math.exp(min(0.0, logprob))
            return
        offset += len(token.text)


def _places(tokens: Sequence[Token], start: int, behind: int) -> Iterator[tuple[Token, str, str]]:
    """The tokens that spell text[start:behind]: each with what it says before the number, and of it."""
    offset = 0
    for token in tokens:
        end = offset + len(token.text)
        if offset < behind and end > start:
            first, last = max(start, offset) - offset, min(behind, end) - offset
            yield token, token.text[:first], token.text[first:last]
        offset = end


def _number_in(text: str, lead: str) -> tuple[str, str]:
    """The number that an alternative token begins, after what the chosen token says before it; the rest."""
    body = text.removeprefix(lead).lstrip(" ")
    length = next((i for i, character in enumerate(body) if character not in _NUMERIC), len(body))
    number = body[:length]
    return (number, body[length:]) if number.count(".") <= 1 and number != "." else ("", body)


def _value(written: str, digits: int, *, ended: bool) -> tuple[float, float]:
    """Value and variance of a number of which `written` is known and `digits` stand before the point."""
    missing = 0 if ended or "." in written else max(0, digits - len(written))
    width = 10**missing
    return float(written) * width + (width - 1) / 2, (width**2 - 1) / 12
