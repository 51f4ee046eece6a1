"""What may be inferred for whom."""

import pytest

from assessment import policy
from assessment.countries import EMOTION_INFERENCE_PROHIBITED, ISO_ALPHA2
from assessment.policy import Policy


def test_emotion_inference_is_allowed_where_both_countries_are_known_and_allow_it() -> None:
    decided = policy.decide("ID", "ID")
    assert decided.emotion_inference and decided.reason == ""


@pytest.mark.parametrize("country", ["DE", "fr", "NO", "IS", "LI", "HR", "RE"])
def test_it_is_off_in_the_eu_and_eea_whatever_the_employer(country: str) -> None:
    decided = policy.decide(country, "ID")
    assert not decided.emotion_inference and decided.reason == "policy_prohibits"


def test_it_is_off_for_an_employer_in_the_eu() -> None:
    assert policy.decide("ID", "DE").reason == "policy_prohibits"
    assert policy.decide("", "DE").reason == "policy_prohibits"


def test_it_is_off_where_the_country_is_unknown() -> None:
    decided = policy.decide("")
    assert not decided.emotion_inference and decided.reason == "country_unknown"
    assert "country" in decided.message


def test_the_employer_comes_from_the_settings(settings) -> None:
    settings.EMPLOYER_COUNTRY = "NL"
    assert policy.decide("ID").reason == "policy_prohibits"


def test_a_snapshot_is_not_changed_by_later_tables() -> None:
    stored = policy.decide("ID", "ID").snapshot()
    assert Policy.from_snapshot(stored) == policy.decide("ID", "ID")
    assert Policy.from_snapshot({}).emotion_inference is False


def test_the_table_has_the_27_members_and_three_eea_states() -> None:
    assert (
        len(
            [
                code
                for code in EMOTION_INFERENCE_PROHIBITED
                if code not in {"AX", "GF", "GP", "MF", "MQ", "RE", "YT"}
            ]
        )
        == 30
    )
    assert EMOTION_INFERENCE_PROHIBITED <= ISO_ALPHA2
    assert len(ISO_ALPHA2) == 249
    assert not {"GB", "CH", "UK"} & EMOTION_INFERENCE_PROHIBITED
