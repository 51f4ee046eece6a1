"""Which stretch of a recording answers which question. Pure: times in, pieces out.

All times are seconds since the candidate was let in, unless they are of a file: then they are by its own clock.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from pathlib import Path

from django.utils.translation import gettext as _

from mlcore.media_remux import Piece

SNAP_S = 1.0
"""A question mark so near the end or start of a segment is taken to be that: the browser learns of it over the network,
and starts anew when its recorder has stopped. Assumption."""
MIN_PIECE_S = 1.0
SMALL_TALK_S = 10.0
"""What is recorded before the first question is an answer of its own from here on, else the beginning of the first.
Assumption."""
MAX_GAP_S = 2.0
"""A pause between two pieces of an answer is kept up to this length."""
SPARE_S = 20.0
"""Pieces begin up to 10 s early, with a keyframe; answers of nearly the most length are split this much below it."""


@dataclass(frozen=True)
class Part:
    """A readable file of the recording. `zero_s`: the room's time at which the file's clock shows 0."""

    path: Path
    zero_s: float
    begin_s: float
    end_s: float
    kind: str


@dataclass(frozen=True)
class Mark:
    number: int
    t_s: float


@dataclass(frozen=True)
class Stretch:
    """A piece of one part, in the room's time."""

    part: Part
    begin_s: float
    end_s: float

    @property
    def seconds(self) -> float:
        return self.end_s - self.begin_s


@dataclass(frozen=True)
class Window:
    """A question, and from when to when it was the current one."""

    question: str
    begin_s: float
    end_s: float


@dataclass(frozen=True)
class Planned:
    """An answer to be: its question, and the pieces that make up its recording."""

    question: str
    pieces: tuple[Piece, ...]


def plan(
    parts: Sequence[Part], marks: Sequence[Mark], questions: Sequence[str], title: str, most_s: float
) -> list[Planned]:
    """One answer for each question mark under which something was recorded; without marks one for the whole, with the
    room's `title`. Where its pieces cannot stand in one file (another camera or browser in the middle), or are longer
    than `most_s` together, an answer goes on in the next."""
    marks = _changes(marks)
    windows = _windows(parts, marks, questions, title)
    answers = []
    for window, stretches in _assigned(parts, windows):
        for number, group in enumerate(_groups(stretches, most_s)):
            question = window.question if not number else _("%s (continued)") % window.question
            answers.append(Planned(question, _pieces(group)))
    return answers


def _changes(marks: Sequence[Mark]) -> list[Mark]:
    """Without those that repeat the question that is the current one already."""
    ordered = sorted(marks, key=lambda mark: mark.t_s)
    return [next(same) for _number, same in groupby(ordered, key=lambda mark: mark.number)]


def _windows(
    parts: Sequence[Part], marks: Sequence[Mark], questions: Sequence[str], title: str
) -> list[Window]:
    if not marks:
        return [Window(title, -math.inf, math.inf)]
    begins = [mark.t_s for mark in marks]
    first_s = begins[0]
    before_s = sum(max(0.0, min(part.end_s, first_s) - part.begin_s) for part in parts)
    windows = []
    if before_s >= SMALL_TALK_S:
        windows.append(Window(_("Before the first question"), -math.inf, first_s))
    else:
        begins[0] = -math.inf
    for mark, (begin_s, end_s) in zip(marks, pairwise([*begins, math.inf]), strict=True):
        windows.append(Window(_question(mark.number, questions), begin_s, end_s))
    return windows


def _question(number: int, questions: Sequence[str]) -> str:
    if number < len(questions) and questions[number].strip():
        return questions[number]
    return _("Question %d") % (number + 1)


def _assigned(parts: Sequence[Part], windows: Sequence[Window]) -> Iterator[tuple[Window, list[Stretch]]]:
    """Each part cut where a window ends inside of it; each stretch where its middle lies."""
    cuts = [window.begin_s for window in windows if math.isfinite(window.begin_s)]
    stretches = [stretch for part in parts for stretch in _cut(part, cuts) if stretch.seconds >= MIN_PIECE_S]
    stretches.sort(key=lambda one: one.begin_s)
    for window in windows:
        own = [one for one in stretches if window.begin_s <= (one.begin_s + one.end_s) / 2 < window.end_s]
        if own:
            yield window, own


def _cut(part: Part, cuts: Sequence[float]) -> list[Stretch]:
    inside = [at for at in sorted(cuts) if part.begin_s + SNAP_S < at < part.end_s - SNAP_S]
    return [Stretch(part, begin, end) for begin, end in pairwise([part.begin_s, *inside, part.end_s])]


def _groups(stretches: Sequence[Stretch], most_s: float) -> Iterator[list[Stretch]]:
    """Stretches that can follow each other in one file, none of them longer in all than `most_s`."""
    for _kind, same in groupby(stretches, key=lambda one: one.part.kind):
        group: list[Stretch] = []
        for stretch in _short(same, most_s):
            if group and sum(one.seconds + MAX_GAP_S for one in group) + stretch.seconds > most_s:
                yield group
                group = []
            group.append(stretch)
        yield group


def _short(stretches: Iterator[Stretch], most_s: float) -> Iterator[Stretch]:
    """Each cut into equal pieces, where it is longer than `most_s`."""
    limit_s = max(most_s / 2, most_s - SPARE_S)
    for stretch in stretches:
        count = 1 if stretch.seconds <= most_s else math.ceil(stretch.seconds / limit_s)
        step = stretch.seconds / count
        for number in range(count):
            begin_s = stretch.begin_s + number * step
            yield replace(stretch, begin_s=begin_s, end_s=begin_s + step)


def _pieces(stretches: Sequence[Stretch]) -> tuple[Piece, ...]:
    ends = [None, *(one.end_s for one in stretches)]
    return tuple(_piece(one, before) for one, before in zip(stretches, ends, strict=False))


def _piece(stretch: Stretch, previous_end_s: float | None) -> Piece:
    part = stretch.part
    gap_s = 0.0 if previous_end_s is None else stretch.begin_s - previous_end_s
    return Piece(
        path=part.path,
        from_s=None if stretch.begin_s <= part.begin_s else stretch.begin_s - part.zero_s,
        to_s=None if stretch.end_s >= part.end_s else stretch.end_s - part.zero_s,
        gap_s=min(max(0.0, gap_s), MAX_GAP_S),
    )
