import math

import pytest

from assessment.services.llm import Token
from assessment.services.logprobs import score_confidence, score_spread


def token(text: str, probability: float = 1.0, **others: float) -> Token:
    alternatives = tuple((name.removeprefix("_"), math.log(p)) for name, p in others.items())
    return Token(text, math.log(probability), ((text, math.log(probability)), *alternatives))


def reply(*quality: Token) -> list[Token]:
    """Around the first score every token is very unlikely: only score tokens may count."""
    return [
        token('{"', 0.01),
        token('quality":', 0.02, **{'relevance":': 0.9}),
        token(" ", 0.5),
        *quality,
        token(',"coherence": ', 0.01),
        token("60"),
        token(', "relevance": ', 0.01),
        token("70"),
        token(', "analysis": "scored 12, really"}', 0.03),
    ]


VALUES = {"quality": 80.0, "coherence": 60.0, "relevance": 70.0}


def test_a_number_in_one_token_takes_that_tokens_probability():
    spread = score_spread(reply(token("80", 0.6, _70=0.3, _90=0.1)), "quality", 80)
    assert spread is not None
    assert spread.probability == pytest.approx(0.6)
    assert spread.expected == pytest.approx(0.6 * 80 + 0.3 * 70 + 0.1 * 90)
    assert spread.std == pytest.approx(math.sqrt(0.6 * 80**2 + 0.3 * 70**2 + 0.1 * 90**2 - 78.0**2))


def test_words_and_impossible_numbers_among_the_alternatives_do_not_count():
    spread = score_spread(reply(token("80", 0.6, high=0.2, _800=0.1)), "quality", 80)
    assert spread is not None
    assert (spread.expected, spread.std) == (pytest.approx(80), pytest.approx(0))


def test_a_certain_model_has_no_spread():
    sure = score_confidence(reply(token("80")), VALUES)
    assert sure is not None
    assert sure.probability == pytest.approx(1.0)
    assert sure.uncertainty == pytest.approx(0.0)


def test_a_number_in_several_tokens_multiplies_and_spreads_digit_by_digit():
    spread = score_spread(reply(token("8", 0.7, _7=0.3), token("0", 0.9, _5=0.1)), "quality", 80)
    assert spread is not None
    assert spread.probability == pytest.approx(0.63)
    # 7x stands for 70..79: middle 74.5, variance (10^2 - 1) / 12
    expected = 0.3 * 74.5 + 0.07 * 85 + 0.63 * 80
    squares = 0.3 * (74.5**2 + 99 / 12) + 0.07 * 85**2 + 0.63 * 80**2
    assert spread.expected == pytest.approx(expected)
    assert spread.std == pytest.approx(math.sqrt(squares - expected**2))


def test_a_hundred_in_three_tokens_may_have_ended_earlier():
    tokens = reply(token("1"), token("0"), token("0", 0.5, **{",": 0.5}))
    spread = score_spread(tokens, "quality", 100)
    assert spread is not None
    assert spread.probability == pytest.approx(0.5)
    assert (spread.expected, spread.std) == (pytest.approx(55), pytest.approx(45))


def test_a_ten_may_have_become_a_hundred():
    tokens = reply(token("1"), token("0"))
    tokens[5] = token(',"coherence": ', 0.6, _0=0.4)
    spread = score_spread(tokens, "quality", 10)
    assert spread is not None
    assert spread.probability == pytest.approx(0.6)
    assert spread.expected == pytest.approx(0.6 * 10 + 0.4 * 100)


def test_a_decimal_in_several_tokens_is_one_number():
    tokens = reply(token("80"), token("."), token("5", 0.5, _0=0.5))
    spread = score_spread(tokens, "quality", 80.5)
    assert spread is not None
    assert spread.probability == pytest.approx(0.5)
    assert spread.expected == pytest.approx(80.25)


def test_a_number_glued_to_its_neighbours_is_still_found():
    tokens = reply(token('":80,', 0.5, **{'":40,': 0.5}))
    tokens[1:3] = [token("quality")]
    tokens[3] = token('"coherence": ')
    spread = score_spread(tokens, "quality", 80)
    assert spread is not None
    assert (spread.probability, spread.expected) == (pytest.approx(0.5), pytest.approx(60))


def test_the_three_scores_are_joined_by_a_geometric_mean():
    sure = score_confidence(reply(token("80", 0.512, _70=0.488)), VALUES)
    assert sure is not None
    assert sure.probability == pytest.approx(0.8)
    one = score_spread(reply(token("80", 0.512, _70=0.488)), "quality", 80)
    assert one is not None
    assert sure.uncertainty == pytest.approx(one.std / 3)


def test_without_tokens_or_with_other_tokens_there_is_no_confidence():
    assert score_confidence([], VALUES) is None
    assert score_confidence(reply(token("75")), VALUES) is None
    assert score_confidence(reply(token("80"))[:-1], VALUES) is None


def test_an_impossible_log_probability_gives_no_confidence():
    assert score_confidence(reply(Token("80", -9999.0, ())), VALUES) is None
