from __future__ import annotations

from math import exp

import pytest

from mlcore.behaviour import interpret, non_verbal_confidence, performance_status, summarise
from mlcore.behaviour.nonverbal import NORMS, NonVerbalConfidence

MEANS = {name: norm.mean for name, norm in NORMS.items()}


def confidence(**measures: float | None) -> NonVerbalConfidence:
    return non_verbal_confidence(**(dict.fromkeys(NORMS) | measures))  # type: ignore[arg-type]


def shifted(deviations: float) -> dict[str, float]:
    return {name: norm.mean + deviations * norm.deviation for name, norm in NORMS.items()}


def test_top_everything_usual_gives_the_mean_reliability():
    found = confidence(**MEANS)
    weights = {"blink": 0.18, "contact": 0.16, "ratio": 0.24, "rate": 0.26}
    reliability = (0.18 * 0.88 + 0.16 * 0.84 + 0.24 * 0.90 + 0.26 * 0.92) / sum(weights.values())
    assert found.score == pytest.approx(100 * reliability)
    assert found.high == pytest.approx(100)
    assert found.low == pytest.approx(100 * (2 * reliability - 1))


def test_middle_one_deviation_off_everywhere():
    assert confidence(**shifted(1)).score == pytest.approx(exp(-0.5) * confidence(**MEANS).score)
    assert confidence(**shifted(-1)).score == pytest.approx(confidence(**shifted(1)).score)


def test_bottom_far_from_everything_usual_is_near_zero():
    found = confidence(**shifted(5))
    assert found.score == pytest.approx(0, abs=0.01)
    assert found.low == 0
    assert found.high == pytest.approx(11, abs=1)


def test_no_floor_lifts_a_single_bad_measure():
    assert confidence(speech_rate_wpm=5.0).score == pytest.approx(0, abs=0.01)


def test_the_weights_are_shared_among_the_measures_present():
    found = confidence(speech_rate_wpm=175.0, blink_rate_per_minute=17.0)
    parts = {part.name: part for part in found.parts}
    assert set(parts) == {"speech_rate_wpm", "blink_rate_per_minute"}
    assert parts["speech_rate_wpm"].z == pytest.approx(1)
    assert parts["speech_rate_wpm"].score == pytest.approx(92 * exp(-0.5))
    assert parts["speech_rate_wpm"].weight == pytest.approx(0.26 / 0.44)
    assert sum(part.weight for part in found.parts) == pytest.approx(1)
    assert found.score == pytest.approx(sum(part.score * part.weight for part in found.parts))


def test_nothing_measured_is_no_score():
    assert confidence() == NonVerbalConfidence(None, None, None, ())


def test_a_true_zero_is_measured():
    (part,) = confidence(eye_contact_percentage=0.0).parts
    assert part.z == pytest.approx(-3.25)


@pytest.mark.parametrize(
    ("score", "status"),
    [
        (100.0, "EXCELLENT"),
        (80.0, "EXCELLENT"),
        (79.9, "GOOD"),
        (65.0, "GOOD"),
        (50.0, "FAIR"),
        (49.9, "NEEDS REVIEW"),
        (0.0, "NEEDS REVIEW"),
        (None, None),
    ],
)
def test_the_status_is_the_score_s_band(score, status):
    assert performance_status(score) == status


def test_the_earlier_document_s_example_reads_as_before():
    text = summarise(
        speaking_ratio=0.57,
        number_of_pauses=13,
        duration_s=42.8,
        speech_rate_wpm=150,
        average_smile_intensity=0.0,
        eyebrow_movement_range=0.013,
        eye_contact_percentage=98.73,
        blink_rate_per_minute=37.67,
    )
    assert text == (
        "speaking ratio 0.57 (fairly active), pauses 13.0 (fluent), speech rate 150.0 wpm (ideal), "
        "smile intensity = 0.00 (neutral), eyebrow movement = 0.013 (controlled), "
        "eye contact = 98.73% (very good), blink rate = 37.67 (high)"
    )


def test_missing_measures_are_left_out_of_the_summary():
    assert summarise() == ""
    assert summarise(speech_rate_wpm=90.0, number_of_pauses=4) == "speech rate 90.0 wpm (slow)"


def test_an_unknown_measure_has_no_word():
    with pytest.raises(KeyError):
        interpret("height", 1.8)
