"""The stress stage's output in the results document."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from assessment.policy import decide
from assessment.results import stress_result
from assessment.results.schema import EXPRESSION_PROXY, Content, ResultsDocument, Stress
from tests.assessment import documents

ALLOWED, FORBIDDEN = decide("ID", "ID"), decide("DE", "ID")


def output(**changes: Any) -> dict[str, Any]:
    """As the stage stores it."""
    stored = documents.stress()
    for part in ("face", "voice"):
        del stored[part]["share_used"]
    interval = {"start_s": 40.0, "end_s": 50.0, "value": 0.681234, "sources": ["face", "voice"]}
    return stored | {"high": [interval], "warnings": []} | changes


def content(*results: dict[str, Any] | None) -> list[Content]:
    answers = [
        documents.answer(n, "Why?", one) if one else documents.failed_answer(n)
        for n, one in enumerate(results, start=1)
    ]
    return [Content.model_validate(answer) for answer in answers]


def test_what_the_stage_stored_comes_out_whole() -> None:
    found = stress_result.build(output(), ALLOWED)
    assert found is not None
    assert Stress.model_validate(found.model_dump(mode="json")) == found
    assert found.note == EXPRESSION_PROXY and "not a measure of what somebody feels" in found.note
    assert [point.t_s for point in found.timeline] == [float(t) for t in (*range(20), *range(24, 62))]
    assert sum(vars(found.distribution).values()) == pytest.approx(1, abs=1e-3)
    assert found.face is not None and found.face.share_used == pytest.approx(116 / 124, abs=1e-4)


def test_evidence_carries_its_sources_and_the_mean_probability() -> None:
    (found,) = stress_result.evidence(output(), ALLOWED)
    assert (found.kind, found.start_s, found.end_s) == ("high_stress", 40.0, 50.0)
    assert (found.reason, found.value) == ("face and voice", 0.6812)


def test_policy_hides_what_was_stored_before_it_changed() -> None:
    assert stress_result.build(output(), FORBIDDEN) is None
    assert stress_result.evidence(output(), FORBIDDEN) == []


def test_nothing_read_is_null_and_not_zero() -> None:
    nothing = output(timeline=[], distribution=None, model_confidence=None, high=[])
    assert stress_result.build(nothing, ALLOWED) is None
    assert stress_result.build(None, ALLOWED) is None


def test_a_modality_of_which_nothing_was_good_enough_has_counts_and_no_means() -> None:
    dark = {"probabilities": None, "emotions": None, "looked_at": 12, "used": 0, "quality": {"too_dark": 12}}
    none = {"probabilities": None, "emotions": None, "looked_at": 0, "used": 0, "quality": {}}
    found = stress_result.build(output(face=dark, voice=none), ALLOWED)
    assert found is not None and found.face is not None and found.voice is not None
    assert (found.face.probabilities, found.face.share_used) == (None, 0.0)
    assert found.voice.share_used is None


def test_the_aggregate_is_the_mean_over_the_answers_that_have_it() -> None:
    all_low = documents.stress()
    all_low["distribution"] = {"low": 1.0, "medium": 0.0, "high": 0.0, "unsure": 0.0}
    all_high = documents.stress()
    all_high["distribution"] = {"low": 0.0, "medium": 0.0, "high": 1.0, "unsure": 0.0}
    answers = content(
        documents.result(stress=all_low), documents.result(), None, documents.result(stress=all_high)
    )
    found = stress_result.aggregate(answers)
    assert found is not None
    assert found.answers == 2
    assert vars(found.distribution) == {"low": 0.5, "medium": 0.0, "high": 0.5, "unsure": 0.0}
    assert stress_result.aggregate(content(documents.result(), None)) is None


def test_documents_from_before_the_models_still_open() -> None:
    old = documents.document()
    del old["aggregate_stress"]
    for item in old["content"]:
        assert item["result"]["stress"] is None
    again = ResultsDocument.model_validate(old)
    assert again.aggregate_stress is None
    for item in old["content"]:
        del item["result"]["stress"]
    assert ResultsDocument.model_validate(old) == again


@pytest.mark.parametrize("bad", [{"low": 1.2}, {"level": "unsure"}, {"sources": ["heart"]}])
def test_the_schema_refuses_what_cannot_be(bad: dict[str, Any]) -> None:
    odd = documents.stress()
    odd["timeline"][0] |= bad
    with pytest.raises(ValidationError):
        Stress.model_validate(odd)
