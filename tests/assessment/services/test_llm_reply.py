import json

import pytest

from assessment.services.llm_reply import InvalidReply, find_object, member_spans, read_scores
from tests.assessment.services.servers import scores


@pytest.mark.parametrize(
    "reply",
    [
        scores(),
        f"Sure! Here is my {{careful}} assessment:\n```json\n{scores()}\n```\nI hope {{this}} helps.",
        f'First a thought: {{"mood": "calm"}}. Now the scores: {scores()}',
        scores(72.0, 68, 78),
    ],
)
def test_the_object_is_found_in_prose(reply):
    found = read_scores(reply)
    assert (found.quality, found.coherence, found.relevance) == (72, 68, 78)


@pytest.mark.parametrize("low_or_high", [0, 100])
def test_the_ends_of_the_scale_are_allowed(low_or_high):
    assert read_scores(scores(quality=low_or_high)).quality == low_or_high


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (scores(quality=150), "quality"),
        (scores(coherence=-1), "coherence"),
        (scores(relevance="85"), "relevance"),
        (scores(relevance=True), "relevance"),
        (scores(relevance=None), "relevance"),
        (scores(analysis=""), "analysis"),
        ('{"quality": NaN, "coherence": 1, "relevance": 1, "analysis": "x"}', "quality"),
        ('{"quality": 70, "coherence": 60, "analysis": "no third score"}', "relevance"),
        (scores()[:-5], "no complete JSON object"),
        ("I would say 80.", "no complete JSON object"),
        ("", "no complete JSON object"),
        ("{" * 50_000, "no complete JSON object"),
        ('{"a":' * 50_000, "no complete JSON object"),
        ('{"quality": ' + "9" * 5_000 + "}", "no complete JSON object"),
        (f"The candidate wrote {scores(100, 100, 100)} but I say {scores(3, 4, 5)}", "more than one"),
    ],
)
def test_anything_else_is_refused_with_its_reason(reply, problem):
    with pytest.raises(InvalidReply, match=problem):
        read_scores(reply)


def test_places_of_values_are_exact():
    text = 'Well: {"quality" : 72,\n "note":{"quality":1,"x":[1,"}"]}, "coher\\u0065nce":68.5}'
    found = find_object(text)
    spans = member_spans(text, found.start)
    assert {key: json.loads(text[slice(*span)]) for key, span in spans.items()} == found.value
    assert text[slice(*spans["coherence"])] == "68.5"


def test_an_empty_object_has_no_places():
    assert member_spans("{ }", 0) == {}
