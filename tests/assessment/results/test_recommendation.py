"""Final score and recommendation: bottom, middle, top, and what asks for a person."""

import pytest

from assessment.results.recommendation import final_score, mean_or_none, recommend
from assessment.results.schema import Content
from tests.assessment import documents


def answered(**changes: object) -> Content:
    return Content.model_validate(documents.answer(1, "Why?", documents.result(**changes)))


@pytest.mark.parametrize(
    ("project", "average", "expected"),
    [
        (None, 0.0, 0.0),
        (None, 55.5, 55.5),
        (None, 100.0, 100.0),
        (0.0, 0.0, 0.0),
        (0.0, 100.0, 30.0),
        (100.0, 0.0, 70.0),
        (80.0, 60.0, 74.0),
        (100.0, 100.0, 100.0),
        (90.0, None, None),
    ],
)
def test_final_score(project: float | None, average: float | None, expected: float | None) -> None:
    assert final_score(project, average) == expected


def test_a_mean_leaves_out_what_was_not_measured() -> None:
    assert mean_or_none([None, 10.0, 20.0]) == 15.0
    assert mean_or_none([None, None]) is None
    assert mean_or_none([]) is None


@pytest.mark.parametrize(
    ("total", "value"), [(69.9, "Tidak Lulus"), (70.0, "Lulus"), (0.0, "Tidak Lulus"), (100.0, "Lulus")]
)
def test_the_pass_mark(total: float, value: str) -> None:
    content = answered(penilaian=documents.penilaian(70.0) | {"total": total})
    advice = recommend([content], None)
    assert advice.value == value
    assert len(advice.reasons) == 1


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        (
            {
                "penilaian": documents.penilaian(90.0, grader="rules"),
                "warnings": [{"code": "graded_by_rules", "message": "x"}],
            },
            "graded_by_rules",
        ),
        ({"penilaian": documents.penilaian(None)}, "not_scored"),
        ({"warnings": [{"code": "grader_disagreement", "message": "x"}]}, "grader_disagreement"),
        ({"warnings": [{"code": "language_uncertain", "message": "x"}]}, "language_uncertain"),
        ({"transkripsi_confidence": 40.0}, "transcript_uncertain"),
        ({"penilaian": documents.penilaian(90.0) | {"logprobs_confidence": 30.0}}, "scores_uncertain"),
        ({"cheating_detection": documents.integrity("Medium Risk", 7.0)}, "integrity_review"),
        ({"cheating_detection": documents.integrity("High Risk", 1.0, 2)}, "integrity_review"),
    ],
)
def test_doubt_asks_for_a_person_whatever_the_score(changes: dict[str, object], code: str) -> None:
    advice = recommend([answered(**changes)], 100.0)
    assert advice.value == "Perlu Tinjauan"
    assert code in [reason.code for reason in advice.reasons]


def test_a_failed_answer_asks_for_a_person() -> None:
    failed = Content.model_validate(documents.failed_answer(2))
    advice = recommend([answered(), failed], None)
    assert advice.value == "Perlu Tinjauan"
    assert advice.final_score is not None
    assert advice.reasons[0].message.startswith("Answer 2")


def test_nothing_scored_has_no_final_score() -> None:
    advice = recommend([answered(penilaian=documents.penilaian(None))], 95.0)
    assert advice.final_score is None and advice.value == "Perlu Tinjauan"
