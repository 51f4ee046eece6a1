"""Samples -> who spoke when (Resemblyzer embeddings, agglomerative clustering)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Turn:
    """`speaker` counts from 0 in order of first appearance."""

    start_s: float
    end_s: float
    speaker: int


@dataclass(frozen=True)
class Voices:
    """Who spoke when. `turns_by_count` keeps the turns for 1 to 4 voices, so that a reviewer can correct the
    count without the media. `confidence` 0-100, None without speech; `silhouette_score` is -1 for one voice."""

    num_speakers: int | None
    turns: tuple[Turn, ...]
    confidence: float | None
    silhouette_score: float
    turns_by_count: dict[int, tuple[Turn, ...]]
