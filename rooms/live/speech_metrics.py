"""Stretches of speech as they are heard -> rate, pauses and share of the last half minute."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from rooms.live import constants as c

SEAM_S = 0.05
"""Pieces that follow one another within this are one stretch: times are rounded on the way."""


@dataclass(frozen=True)
class Piece:
    """What was heard from `start_s` to `end_s`, seconds of the room. Pieces do not overlap."""

    start_s: float
    end_s: float
    speech: tuple[tuple[float, float], ...]
    syllables_s: tuple[float, ...]


@dataclass(frozen=True)
class SpeechMetrics:
    """Of the last half minute, of which `measured_s` were heard. `rate`: syllables a second of speech; it and the words
    a minute, an estimate, are None with too little speech, and those also where the language is not known."""

    t_s: float
    measured_s: float
    speech_s: float
    rate: float | None
    words_per_minute: int | None
    speech_share: float | None
    pauses_s: tuple[float, ...]

    @property
    def longest_pause_s(self) -> float | None:
        return max(self.pauses_s, default=None)

    def message(self) -> dict[str, Any]:
        """As docs/protocol.md has it."""
        return {
            "type": "speech_metrics",
            "t": round(self.t_s, 1),
            "rate": _rounded(self.rate, 1),
            "rate_unit": "syllables/s",
            "rate_method": "syllable nuclei",
            "words_per_minute": self.words_per_minute,
            "speech_share": _rounded(self.speech_share, 2),
            "pauses": len(self.pauses_s),
            "longest_pause_s": _rounded(self.longest_pause_s, 1),
            "window_s": c.SPEECH_WINDOW_S,
            "measured_s": round(self.measured_s, 1),
        }


@dataclass
class SpeechLog:
    """The pieces of the last `SPEECH_WINDOW_S`; `language` is the room's ("en", "id", "auto")."""

    language: str
    _pieces: deque[Piece] = field(default_factory=deque)

    def add(self, piece: Piece) -> None:
        """In order of time. What overlaps an earlier piece is cut off: each second counts once."""
        if self._pieces and piece.start_s < self._pieces[-1].end_s:
            piece = _cut(piece, self._pieces[-1].end_s, piece.end_s)
        if piece.end_s > piece.start_s:
            self._pieces.append(piece)
        while self._pieces and self._pieces[0].end_s <= piece.end_s - c.SPEECH_WINDOW_S:
            self._pieces.popleft()

    def clear(self) -> None:
        self._pieces.clear()

    def metrics(self, t_s: float) -> SpeechMetrics | None:
        """At `t_s`; None where nothing was heard in the window."""
        start_s = t_s - c.SPEECH_WINDOW_S
        pieces = [_cut(piece, start_s, t_s) for piece in self._pieces if piece.end_s > start_s]
        measured_s = sum(piece.end_s - piece.start_s for piece in pieces)
        if measured_s <= 0:
            return None
        speech_s = sum(end_s - begin_s for piece in pieces for begin_s, end_s in piece.speech)
        rate = None
        if speech_s >= c.LEAST_SPEECH_S:
            rate = sum(len(piece.syllables_s) for piece in pieces) / speech_s
        return SpeechMetrics(
            t_s,
            measured_s,
            speech_s,
            rate,
            self._words_per_minute(rate),
            min(1.0, speech_s / measured_s),
            tuple(_pauses(pieces)),
        )

    def _words_per_minute(self, rate: float | None) -> int | None:
        per_word = c.SYLLABLES_PER_WORD.get(self.language)
        return None if rate is None or per_word is None else round(60 * rate / per_word)


def _pauses(pieces: list[Piece]) -> Iterator[float]:
    """Silences between speech and speech, over the seams of pieces that follow one another, never over a gap."""
    for run in _runs(pieces):
        for (_, before_s), (after_s, _) in pairwise(part for piece in run for part in piece.speech):
            if c.PAUSE_S <= after_s - before_s <= c.LONGEST_PAUSE_S:
                yield after_s - before_s


def _runs(pieces: list[Piece]) -> Iterator[list[Piece]]:
    run: list[Piece] = []
    for piece in pieces:
        if run and piece.start_s - run[-1].end_s > SEAM_S:
            yield run
            run = []
        run.append(piece)
    if run:
        yield run


def _cut(piece: Piece, start_s: float, end_s: float) -> Piece:
    start_s, end_s = max(piece.start_s, start_s), min(piece.end_s, end_s)
    inside = ((max(begin, start_s), min(stop, end_s)) for begin, stop in piece.speech)
    return Piece(
        start_s,
        end_s,
        tuple((begin, stop) for begin, stop in inside if stop > begin),
        tuple(at_s for at_s in piece.syllables_s if start_s <= at_s < end_s),
    )


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
