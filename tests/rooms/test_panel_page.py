"""Words of the panel: every text that its scripts ask for is there, and no gap is left open."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation import gettext, pgettext

from assessment.policy import MESSAGES
from mlcore.stress.quality import FaceQuality, VoiceQuality
from rooms import panel_page
from rooms.live import words
from rooms.models import Alert

ROOT = Path(__file__).resolve().parent.parent.parent
SCRIPTS = ROOT / "static" / "js" / "rooms"


def texts(found: Any) -> Iterator[str]:
    if isinstance(found, dict):
        for one in found.values():
            yield from texts(one)
    elif isinstance(found, str):
        yield found


def used_parts() -> set[str]:
    source = "".join(file.read_text() for file in SCRIPTS.glob("panel*.js"))
    return set(re.findall(r'part\("([a-z-]+)"\)', source)) - {"root"}


@pytest.mark.parametrize("language", ["en", "id"])
def test_what_a_button_shows_is_in_its_name(language: str) -> None:
    """Who speaks to the computer says what they see (WCAG 2.5.3)."""
    with translation.override(language):
        questions = panel_page.strings()["questions"]
        pairs = [
            (questions["next"], questions["next_whole"]),
            (pgettext("analysis", "Turn off"), gettext("Turn off the analysis")),
            (pgettext("recording", "Stop"), gettext("Stop the recording")),
        ]
    assert [pair for pair in pairs if pair[0].casefold() not in pair[1].casefold()] == []


@pytest.mark.parametrize("language", ["en", "id"])
def test_texts_are_plain_and_their_gaps_well_formed(language: str) -> None:
    with translation.override(language):
        strings = panel_page.strings()
    assert json.loads(json.dumps(strings)) == strings
    for text in texts(strings):
        assert text
        assert "%%" not in text
        assert "%" not in re.sub(r"%\(\w+\)s| %", "", text)


def test_every_quality_severity_and_reason_has_its_words() -> None:
    strings = panel_page.strings()
    assert set(strings["face"]["quality"]) == set(FaceQuality) - {"ok"}
    assert set(strings["voice"]["quality"]) == set(VoiceQuality) - {"ok"}
    assert set(strings["alerts"]["severity"]) == set(Alert.Severity.values)
    assert set(strings["policy"]) == set(MESSAGES) - {"not_agreed"}  # no reason of the candidate's own
    assert {"on", "off", "paused", "delayed"} <= set(strings["states"])


def test_the_template_has_every_part_that_the_scripts_fill() -> None:
    html = render_to_string("rooms/_panel.html")
    parts = set(re.findall(r'data-part="([\w-]+)"', html))
    assert len(used_parts()) > 25
    assert used_parts() <= parts
    assert not re.search(r'\bstyle="|\bon\w+="|<script(?![^>]*\bsrc=)', html)


def test_alerts_and_recommendations_are_those_of_the_live_analysis() -> None:
    strings = panel_page.strings()
    assert strings["alerts"]["titles"]["no_face"] == "No face for %(value)s s"
    assert set(strings["alerts"]["titles"]) == set(strings["alerts"]["advice"]) == set(words.ALERTS)
    assert strings["alerts"]["decimals"]["fast_speech"] == 1
    assert strings["alerts"]["decimals"]["no_face"] == 0
    assert set(strings["recommendations"]) == set(words.RECOMMENDATIONS)


def test_no_word_claims_more_than_an_indicator() -> None:
    shown = " ".join(texts(panel_page.strings())) + render_to_string("rooms/_panel.html")
    assert not re.search(r"stress detected|cheat|liar|lying|suspicious|failed", shown, re.IGNORECASE)
