"""Words, sentences and word lists of English and Indonesian, for the built-in grader and the translator."""

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

LONGEST_SENTENCE_WORDS = 40  # assumption: speech without punctuation is cut there

_WORD = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*")
_SENTENCE_END = re.compile(r"(?<=[.?!…])[\"'”’)]*\s+|\n+")

_LISTS: dict[str, dict[str, list[str]]] = json.loads(
    Path(__file__).with_name("wordlists.json").read_text(encoding="utf-8")
)


def word_list(name: str) -> frozenset[str]:
    """A list of wordlists.json, both languages together; KeyError when there is none of that name."""
    return frozenset(word for of_language in _LISTS[name].values() for word in of_language)


STOP_WORDS = word_list("stop_words")
CONNECTIVES = word_list("connectives")
EXAMPLE_MARKERS = word_list("example_markers")
NUMBER_WORDS = word_list("number_words")


def words(text: str) -> list[str]:
    """Words in lower case, in order; hyphens and apostrophes inside a word belong to it."""
    return [word.replace("’", "'") for word in _WORD.findall(text.casefold())]


def content_words(text: str) -> list[str]:
    """The words that carry meaning: no stop words, no single letters unless they are digits."""
    return [word for word in words(text) if word not in STOP_WORDS and (len(word) > 1 or word.isdigit())]


def stem(word: str) -> str:
    """A crude common beginning, so that "designing" meets "designed" (assumption: six letters)."""
    return word[:6]


def stems(text: str) -> set[str]:
    return {stem(word) for word in content_words(text)}


def sentences(text: str) -> list[str]:
    """Sentences in order; a stretch without punctuation is cut every 40 words."""
    found = []
    for part in _SENTENCE_END.split(text):
        pieces = part.split()
        step = LONGEST_SENTENCE_WORDS
        found += [" ".join(pieces[i : i + step]) for i in range(0, len(pieces), step)]
    return found


def passages(sentence_list: Sequence[str], longest_words: int) -> list[str]:
    """Neighbouring sentences joined up to `longest_words` words each."""
    joined: list[str] = []
    length = 0
    for sentence in sentence_list:
        count = len(sentence.split())
        if joined and length + count <= longest_words:
            joined[-1] += " " + sentence
            length += count
        else:
            joined.append(sentence)
            length = count
    return joined


def names_in(sentence_list: Iterable[str]) -> set[str]:
    """Words with a capital inside a sentence (never its first word, nor the English "I")."""
    found = set()
    for sentence in sentence_list:
        for word in _WORD.findall(sentence)[1:]:
            if word[0].isupper() and word.casefold() not in STOP_WORDS:
                found.add(word.casefold())
    return found


def plain(text: str, limit: int) -> str:
    """Text of one paragraph without control and formatting characters, cut at a word within `limit`."""
    visible = "".join(
        " " if c.isspace() else c for c in text if c.isspace() or unicodedata.category(c)[0] != "C"
    )
    line = " ".join(visible.split())
    if len(line) <= limit:
        return line
    return line[: limit - 1].rsplit(" ", 1)[0].rstrip(" ,;:") + "…"
