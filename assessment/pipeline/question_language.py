"""The language of a question, which nobody hands in."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Literal

from assessment import services
from assessment.services.text import words


@cache
def _function_words(language: str) -> frozenset[str]:
    lists = json.loads(Path(services.__file__).with_name("wordlists.json").read_text(encoding="utf-8"))
    return frozenset(lists["stop_words"][language])


def guess_language(text: str) -> Literal["en", "id"]:
    """By the share of function words of either language; English where they tell nothing (assumption)."""
    found = words(text)
    indonesian = sum(word in _function_words("id") for word in found)
    english = sum(word in _function_words("en") for word in found)
    return "id" if indonesian > english else "en"
