"""What the candidate reads: versions, both languages, and what the country leaves of it."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from rooms import consent_texts
from rooms.consent_texts import VERSION, current
from tests.rooms.records import make_room

pytestmark = pytest.mark.django_db

WORDS = {"2026-11-22": "c4e3edc02ee03437c07297dd268403c78472735290dcb9602ef265d6bb8087ba"}
"""SHA-256 of all the words of a version. A changed sentence needs a new version: add it, and leave the old ones."""


def digest() -> str:
    parts = ("_SENTENCES", "_SCOPES", "_MEASURED", "_RIGHTS", "_KEPT")
    return hashlib.sha256(repr([getattr(consent_texts, part) for part in parts]).encode()).hexdigest()


def test_a_changed_sentence_is_a_new_version() -> None:
    assert WORDS[VERSION] == digest()


def test_both_languages_say_as_much() -> None:
    room = make_room(recording=True)
    english, indonesian = current(room, "en"), current(room, "id")
    assert [scope.scope for scope in english.scopes] == [scope.scope for scope in indonesian.scopes]
    assert len(english.sentences) == len(indonesian.sentences)
    assert len(english.rights) == len(indonesian.rights)
    assert english.digest != indonesian.digest
    for text in (english, indonesian):
        words = [*text.sentences, *text.rights, *(scope.text for scope in text.scopes)]
        assert not any("{" in word or "}" in word for word in words), "every gap is filled"


@pytest.mark.parametrize(
    ("country", "employer", "guesses"),
    [
        ("ID", "ID", True),
        ("DE", "ID", False),  # the candidate's law
        ("ID", "DE", False),  # the employer's
        ("NO", "ID", False),  # EEA, not EU
        ("GB", "ID", True),
        ("", "ID", False),  # not known: the careful way
    ],
)
def test_nobody_is_asked_for_what_may_not_be_done(
    country: str, employer: str, guesses: bool, settings: Any
) -> None:
    settings.EMPLOYER_COUNTRY = employer
    room = make_room(country=country)
    for language, word in (("en", "expressions"), ("id", "ekspresi")):
        shown = " ".join(scope.text for scope in current(room, language).scopes)
        assert (word in shown) is guesses


def test_what_was_decided_for_a_room_stays_when_table_or_employer_change(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from assessment import policy
    from rooms.consent import may_analyse
    from tests.rooms.records import let_in

    allowed, forbidden = make_room(country="ID"), make_room(country="DE")
    monkeypatch.setattr(policy, "EMOTION_INFERENCE_PROHIBITED", frozenset({"ID"}))
    settings.EMPLOYER_COUNTRY = "ID"
    for room, may in ((allowed, True), (forbidden, False)):
        place, _key = let_in(room)
        room.refresh_from_db()
        assert may_analyse(room, place).emotion is may
    assert not policy.decide("ID").emotion_inference, "rooms that are made from now on"
