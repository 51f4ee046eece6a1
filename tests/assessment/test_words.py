"""Codes and numbers as people read them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
from django.conf import settings
from django.utils import translation

from assessment import words
from assessment.pipeline import STAGES
from assessment.results import schema


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0:00"),
        (41.4, "0:41"),
        (41.6, "0:42"),
        (60, "1:00"),
        (3599.4, "59:59"),
        (3599.6, "1:00:00"),
        (3600, "1:00:00"),
        (-3, "0:00"),
    ],
)
def test_times_are_minutes_and_seconds(seconds: float, shown: str) -> None:
    assert words.clock(seconds) == shown


@pytest.mark.parametrize(("language", "shown"), [("en", "1,234.5"), ("id", "1.234,5")])
def test_numbers_follow_the_language(language: str, shown: str, settings: object) -> None:
    settings.USE_THOUSAND_SEPARATOR = True  # type: ignore[attr-defined]
    with translation.override(language):
        assert words.number(1234.5, 1) == shown


def test_what_is_not_measured_is_a_dash_and_zero_is_a_number() -> None:
    assert (words.number(None), words.number(0.0)) == ("—", "0")


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, ""),
        (5, "less than a minute left"),
        (61, "about 2 minutes left"),
        (120, "about 2 minutes left"),
    ],
)
def test_time_left_is_rounded_up(seconds: float | None, shown: str) -> None:
    assert words.eta(seconds) == shown


@pytest.mark.parametrize(
    ("parts", "shown"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_lists_read_as_a_sentence(parts: list[str], shown: str) -> None:
    assert words.listing(parts) == shown


@pytest.mark.parametrize(
    ("kind", "reason", "shown"),
    [
        ("off_screen", "gaze_left", "eyes to the left"),
        ("off_screen", "head_down", "head lowered"),
        ("long_pause", "pause between words", "3.3 s"),
        ("second_voice", "another voice than the main one", ""),
    ],
)
def test_findings_are_told_in_words(kind: str, reason: str, shown: str) -> None:
    assert words.finding(kind, reason, 3.3) == shown


def test_a_warning_is_told_once_in_english_and_with_its_source_otherwise() -> None:
    assert words.caution("no_speech", "Nobody spoke.") == ("Nobody spoke.", "")
    with translation.override("id"):
        assert words.caution("no_speech", "Nobody spoke.")[1] == "Nobody spoke."


def test_every_code_of_the_document_has_its_words() -> None:
    assert set(get_args(schema.WarningCode)) == set(words.WARNINGS)
    assert set(get_args(schema.EvidenceKind)) == set(words.EVIDENCE)
    assert set(get_args(schema.Verdict)) == set(words.VERDICTS) - {None}
    assert set(STAGES) <= set(words.STAGES)


def test_every_text_is_written_in_indonesian() -> None:
    catalogue = Path(settings.BASE_DIR, "locale/id/LC_MESSAGES/django.po").read_text()
    entries = catalogue.split("\n\n")[1:]
    assert len(entries) > 300
    assert "fuzzy" not in catalogue
    empty = [entry for entry in entries if re.search(r'^msgstr(\[0\])? ""$', entry, re.MULTILINE)]
    assert empty == []


def test_the_words_people_read_are_in_the_catalogue(translations: None) -> None:
    with translation.override("id"):
        for told in (words.WARNINGS, words.EVIDENCE, words.STATUSES, words.ERRORS, words.REFUSALS):
            for text in told.values():
                assert str(text) != text._args[-1]
