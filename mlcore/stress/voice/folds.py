"""Actors -> who tests, who chooses the epoch, who is learned from. Nobody in two of the three."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlcore.errors import AnalysisError

PUBLISHED = ((2, 5, 14, 15, 16), (3, 6, 7, 13, 18), (10, 11, 12, 19, 20), (8, 17, 21, 23, 24), (1, 4, 9, 22))
"""The folds of Luna-Jiménez et al. 2021 (Sensors 21, 7665), so that figures can be compared."""
LEAST_ACTORS = 3


@dataclass(frozen=True)
class Parts:
    """Actors by what they are for."""

    learn: tuple[int, ...]
    choose: tuple[int, ...]
    test: tuple[int, ...]


def folds_of(actors: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """The published folds as far as their actors are there, empty ones left out.

    AnalysisError ``too_few_people`` with fewer than three actors, or all in one fold."""
    there = sorted(set(actors))
    folds = tuple(tuple(actor for actor in fold if actor in there) for fold in PUBLISHED)
    found = tuple(fold for fold in folds if fold)
    if len(there) < LEAST_ACTORS or len(found) < 2:
        raise AnalysisError(
            "too_few_people",
            f"Training needs three actors of two folds at least, to learn from, to choose the epoch and to test on; "
            f"found: {', '.join(map(str, there)) or 'none'}. Unpack all of RAVDESS.",
        )
    return found


def parts(actors: Sequence[int], test: Sequence[int], member: int, seed: int) -> Parts:
    """For the `member`-th network: a man and a woman choose (one of them where there are no more than two left), other
    ones for the next member; who is neither among these nor in `test` is learned from."""
    rest = np.random.default_rng(seed).permutation(sorted(set(actors) - set(test)))
    by_sex = [[int(actor) for actor in rest if actor % 2 == sex] for sex in (0, 1)]
    choose = [group[member % len(group)] for group in by_sex if group]
    choose = choose[: max(1, min(2, len(rest) - 1))] if len(rest) > 2 else choose[:1]
    learn = [int(actor) for actor in rest if actor not in choose]
    return Parts(tuple(sorted(learn)), tuple(sorted(choose)), tuple(sorted(test)))
