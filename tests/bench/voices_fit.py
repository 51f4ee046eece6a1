"""Repeats the fit of `mlcore/voice_count.py` from the shared recordings, with the shipped code for the features.

``python -m tests.bench.voices_fit [--data ../shared/data] [--out FILE]`` builds the tuning recordings with the
draws of the first fit, computes the directions of `mlcore/voice_variation.npy` and the coefficients anew, and gives
both beside the shipped ones as JSON. Nothing shipped is changed; see docs/models/voices.md.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import subspace_angles
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from mlcore import voice_count
from mlcore.media import SAMPLE_RATE, open_media
from mlcore.speakers import TIGHT, spread
from mlcore.voice_activity import detect_voice
from mlcore.voice_count import Indexes, Windows
from mlcore.voice_embedding import embed_windows
from mlcore.voice_pitch import median_log_pitch
from tests.bench import voices
from tests.bench.voices import CALM, CONDITIONS, Case, conversation, excerpt, prompted
from tests.mlcore.sounds import Samples, load

Numbers = npt.NDArray[np.float64]

SEED = 10
"""Of the first fit: with it the same dialogues are drawn."""
NAMES = ("COSINE", "WITHIN", "BETWEEN", "SILHOUETTE", "LOG_SMALLER_S", "LOG_ALL_S", "PITCH", "BIAS")
DIRECTIONS = 5
DIRECTION_CONDITIONS = ("clean", "phone")
ACCEPTED_FROM = 0.45
"""The probability from which a split is accepted; the shipped bias is moved so that the cut lies at log odds 0."""
REAL_WEIGHT, ACTOR_WEIGHT = 4.0, 2.0
ROUNDS = 5
AGREEMENT = 1e-3
"""Log odds by which the features taken here may differ from the shipped code's own sum."""
PROGRESS_EVERY = 50
STARTED_S = time.perf_counter()


@dataclass(frozen=True)
class Recording:
    """What the fit takes of a recording: windows with embeddings as the network gives them, the number of voices,
    its weight, and the condition, "real" for those that were not built."""

    kind: str
    condition: str
    voices: int
    weight: float
    windows: Windows


@dataclass(frozen=True)
class Model:
    """`coefficients` in the order of NAMES, the last one for a probability of a half."""

    coefficients: Numbers

    def odds(self, features: Numbers) -> Numbers:
        """Log odds of rows of seven features, shape (splits, 7) -> (splits,)."""
        return np.asarray(features @ self.coefficients[:-1] + self.coefficients[-1])


def quick(rng: np.random.Generator, speakers: list[list[Samples]], total_s: float) -> list[Samples]:
    """Turns of 0.8-3.5 s, pauses of up to 0.4 s; one turn in five is followed by another of the same voice."""
    parts: list[Samples] = []
    current = 0
    while sum(map(len, parts)) < total_s * SAMPLE_RATE:
        parts.append(excerpt(rng, speakers[current], rng.uniform(0.8, 3.5)))
        parts.append(np.zeros(int(max(0.0, rng.uniform(-0.2, 0.4)) * SAMPLE_RATE), dtype=np.float32))
        current = (current + 1) % len(speakers) if rng.random() < 0.8 else current
    return parts


def reader_cases(rng: np.random.Generator) -> Iterator[Case]:
    """The order of the draws is part of the fit: another order gives other dialogues."""
    readers = voices.readers("tune")
    for _ in range(3):
        for index, one in enumerate(readers):
            other = readers[(index + 1) % 3]
            pair = [one, other]
            for kind, count, parts in (
                ("two readers", 2, conversation(rng, pair, 60)),
                ("two readers, quick", 2, quick(rng, pair, rng.uniform(20, 45))),
                ("two, 12-18 s", 2, conversation(rng, pair, rng.uniform(12, 18), (2.5, 5))),
                ("quiet prompter", 2, prompted(rng, one, other, 60)),
                ("one reader", 1, conversation(rng, [one], 60)),
                ("one, 8-20 s", 1, conversation(rng, [one], rng.uniform(8, 20))),
                ("one reader, quick", 1, quick(rng, [one], rng.uniform(15, 45))),
            ):
                yield Case(kind, count, np.concatenate(parts))
        yield Case("three readers", 3, np.concatenate(conversation(rng, readers, 75)))
        yield Case("three readers, quick", 3, np.concatenate(quick(rng, readers, 45)))


def actor_cases(rng: np.random.Generator) -> Iterator[Case]:
    calm = [voices.actor(number, CALM) for number in range(1, 11)]
    lively = [voices.actor(number, None) for number in range(1, 11)]
    for index, one in enumerate(calm):
        other, same, third = (calm[(index + step) % 10] for step in (1, 2, 3))
        for kind, count, parts in (
            ("actor, 4 emotions", 1, conversation(rng, [one], 40)),
            ("actor, 8 emotions", 1, conversation(rng, [lively[index]], 50)),
            ("actor, quick", 1, quick(rng, [lively[index]], rng.uniform(15, 40))),
            ("acting, man and woman", 2, conversation(rng, [one, other], 50)),
            ("acting, same sex", 2, conversation(rng, [one, same], 50)),
            ("acting, man and woman, quick", 2, quick(rng, [one, other], 35)),
            ("acting, same sex, quick", 2, quick(rng, [one, same], 35)),
            ("acting, prompter", 2, prompted(rng, one, third, 45)),
        ):
            yield Case(kind, count, np.concatenate(parts))


def altered(rng: np.random.Generator, cases: Sequence[Case]) -> Iterator[tuple[str, Case]]:
    """Each case in each condition; half of the acted ones in noise and reverberation are left out."""
    for case in cases:
        for condition, alter in CONDITIONS.items():
            if acted(case.kind) and condition in ("noise", "reverb") and rng.random() < 0.5:
                continue
            yield condition, replace(case, samples=alter(rng, case.samples).astype(np.float32))


def acted(kind: str) -> bool:
    return kind.startswith("act")


def one_actor(kind: str) -> bool:
    return kind.startswith("actor")


def excerpts_with_reference(data: Path) -> Iterator[Case]:
    """AMI and the pyannote sample, and each of their voices alone where it has more than 6 s. The AMI excerpt with
    four voices counts only by its single voices, none of which lasts so long."""
    folder = data / "conversation"
    sources = [(folder / "ami" / f"{name}.flac", folder / "ami" / "reference.rttm", name, count)
               for name, count in (("dev00", 2), ("trn03", 1), ("trn07", 4))]  # fmt: skip
    sources.append((folder / "pyannote_sample.wav", folder / "pyannote_sample.rttm", "sample", 2))
    for path, rttm, name, count in sources:
        samples, turns = load(path), voices.reference(rttm, name)
        if name != "trn07":
            yield Case(name, count, samples)
        for speaker in sorted({turn.speaker for turn in turns}):
            alone = alone_in(samples, turns, speaker)
            if len(alone) > 6 * SAMPLE_RATE:
                yield Case(f"{name}, voice {speaker}", 1, alone)


def alone_in(samples: Samples, turns: Sequence[voices.Turn], speaker: int) -> Samples:
    own, others = np.zeros(len(samples), dtype=bool), np.zeros(len(samples), dtype=bool)
    for turn in turns:
        spoken = own if turn.speaker == speaker else others
        spoken[int(turn.start_s * SAMPLE_RATE) : int(turn.end_s * SAMPLE_RATE)] = True
    return samples[own & ~others]


def real_cases(data: Path) -> Iterator[Case]:
    """What is not built. `trn03` counts as one voice: its second one says 1.2 s."""
    yield from excerpts_with_reference(data)
    yield Case("stereo sample", 2, load(data / "conversation" / "fw_stereo_diarization.wav"))
    for path in sorted((data / "videos").iterdir()):
        with open_media(path, want_video=False) as media:
            yield Case(path.stem, 1, media.samples())
    english = data / "speech_en"
    yield Case("jfk", 1, load(english / "jfk.flac"))
    for kind, paths in (("spk1", english.glob("sb*.wav")), ("lj", (english / "ljspeech").glob("*.flac"))):
        yield Case(kind, 1, np.concatenate([load(path) for path in sorted(paths)]))


def raw_windows(samples: Samples) -> Windows:
    """As `mlcore.speakers` takes them, before the directions are taken out."""
    intervals = detect_voice(samples).intervals(TIGHT) if len(samples) else ()
    spans = tuple(window for interval in intervals for window in spread(interval))
    return Windows(spans, embed_windows(samples, spans), median_log_pitch(samples, spans))


def recordings(data: Path) -> list[Recording]:
    rng = np.random.default_rng(SEED)
    cases = [*reader_cases(rng), *actor_cases(rng)]
    tell(f"{len(cases)} dialogues and single voices are built")
    found: list[Recording] = []
    for condition, case in altered(rng, cases):
        weight = ACTOR_WEIGHT if one_actor(case.kind) else 1.0
        found.append(Recording(case.kind, condition, case.voices, weight, raw_windows(case.samples)))
        if len(found) % PROGRESS_EVERY == 0:
            tell(f"{len(found)} recordings are embedded")
    found.extend(
        Recording(case.kind, "real", case.voices, REAL_WEIGHT, raw_windows(case.samples))
        for case in real_cases(data)
    )
    tell(f"{len(found)} recordings are embedded, those that were not built among them")
    return found


def directions(found: Sequence[Recording]) -> voice_count.Floats:
    """Where the windows of one actor's recording differ most from their mean, shape (5, 256), orthonormal rows."""
    centred = np.concatenate(
        [
            recording.windows.embeddings - recording.windows.embeddings.mean(axis=0)
            for recording in found
            if one_actor(recording.kind) and recording.condition in DIRECTION_CONDITIONS
        ]
    )
    _, vectors = np.linalg.eigh(centred.T @ centred / len(centred))
    return np.ascontiguousarray(vectors[:, ::-1][:, :DIRECTIONS].T, dtype=np.float32)


def split_features(windows: Windows) -> Numbers:
    """The seven numbers of each split that `mlcore.voice_count.best_split` would weigh, shape (0 to 2, 7)."""
    everyone = np.arange(len(windows.spans))
    if len(everyone) < voice_count.MIN_WINDOWS:
        return np.empty((0, len(NAMES) - 1))
    by_means = voice_count._by_means(windows.embeddings, voice_count._by_spread(windows.embeddings))
    sides = (by_means, voice_count._by_linkage(windows, everyone))
    splits = [
        (everyone[~second], everyone[second])
        for second in sides
        if second is not None and second.any() and not second.all()
    ]
    rows = [row for split in splits if (row := features(windows, *split)) is not None]
    return np.array(rows).reshape(-1, len(NAMES) - 1)


def features(windows: Windows, first: Indexes, second: Indexes) -> Numbers | None:
    """None where the shipped code refuses the split. Raises RuntimeError where the shipped coefficients on these
    features do not give the shipped log odds: then the features here are not the shipped ones any more."""
    shipped = voice_count._judged(windows, first, second)
    if shipped is None:
        return None
    members = np.concatenate([first, second])
    labels = np.repeat([0, 1], [len(first), len(second)])
    own, other, silhouette = voice_count.silhouettes(windows.embeddings[members], labels)
    groups = (first, second)
    centroids = voice_count.unit(np.stack([windows.embeddings[group].mean(axis=0) for group in groups]))
    smaller_s, all_s = min(map(windows.covered_s, groups)), windows.covered_s(np.sort(members))
    pitches = (windows.log_pitch[group] for group in groups)
    row = np.array(
        [
            centroids[0] @ centroids[1],
            own.mean(),
            other[labels == 0].mean(),
            silhouette.mean(),
            math.log(min(smaller_s, voice_count.SMALLER_CAP_S)),
            math.log(min(all_s, voice_count.ALL_CAP_S)),
            voice_count._pitch_difference(*pitches),
        ],
        dtype=np.float64,
    )
    if abs(float(Model(shipped_coefficients()).odds(row)) - shipped.log_odds) > AGREEMENT:
        raise RuntimeError("The features here are not those of mlcore.voice_count any more.")
    return row


def shipped_coefficients() -> Numbers:
    return np.array([getattr(voice_count, name) for name in NAMES])


def fit(rows: Sequence[Numbers], several: npt.NDArray[np.bool_], weights: Numbers) -> Model:
    """Of each recording the split with the farthest centroids takes part at first, then the likeliest by the
    regression before; the two classes weigh alike in sum."""
    model = fitted(np.array([row[np.argmin(row[:, 0])] for row in rows]), several, weights)
    for _ in range(ROUNDS - 1):
        model = fitted(np.array([row[np.argmax(model.odds(row))] for row in rows]), several, weights)
    return model


def fitted(chosen: Numbers, several: npt.NDArray[np.bool_], weights: Numbers) -> Model:
    balance = weights[~several].sum() / weights[several].sum()
    scaler = StandardScaler().fit(chosen)
    regression = LogisticRegression(C=1.0).fit(
        scaler.transform(chosen), several, sample_weight=weights * np.where(several, balance, 1.0)
    )
    slopes = regression.coef_[0] / scaler.scale_
    return Model(np.append(slopes, regression.intercept_[0] - slopes @ scaler.mean_))


def at_cut(model: Model) -> Model:
    """With the accepted probability at log odds 0."""
    moved = model.coefficients.copy()
    moved[-1] += math.log((1.0 - ACCEPTED_FROM) / ACCEPTED_FROM)
    return Model(moved)


def report(found: Sequence[Recording]) -> dict[str, Any]:
    axes = directions(found)
    cleaned = [without(recording.windows, axes) for recording in found]
    rows = [split_features(windows) for windows in cleaned]
    tell("features are taken")
    used = [index for index, row in enumerate(rows) if len(row)]
    several = np.array([found[index].voices > 1 for index in used])
    weights = np.array([found[index].weight for index in used])
    repeated = at_cut(fit([rows[index] for index in used], several, weights))
    shipped = Model(shipped_coefficients())
    angles = np.degrees(subspace_angles(axes.T.astype(float), voice_count._variation().T.astype(float)))
    return {
        "recordings": {"built": sum(one.condition != "real" for one in found),
                       "not built": sum(one.condition == "real" for one in found), "fitted on": len(used)},
        "directions": {"angles to the shipped ones, degrees": [round(float(angle), 3) for angle in angles]},
        "coefficients": {
            name: {"shipped": float(old), "repeated": round(float(new), 3), "difference": round(float(new - old), 3)}
            for name, old, new in zip(NAMES, shipped.coefficients, repeated.coefficients, strict=True)
        },
        "reported as more than one voice": {
            "shipped": reported(found, rows, shipped), "repeated": reported(found, rows, repeated)},
    }  # fmt: skip


def without(windows: Windows, axes: voice_count.Floats) -> Windows:
    """`mlcore.voice_count.without_variation` with directions of our own."""
    embeddings = windows.embeddings
    return replace(windows, embeddings=voice_count.unit(embeddings - (embeddings @ axes.T) @ axes))


def reported(found: Sequence[Recording], rows: Sequence[Numbers], model: Model) -> dict[str, str]:
    counts: dict[str, list[bool]] = {}
    for recording, row in zip(found, rows, strict=True):
        source = "real" if recording.condition == "real" else "acted" if acted(recording.kind) else "read"
        truth = "several voices" if recording.voices > 1 else "one voice"
        counts.setdefault(f"{source}, {truth}", []).append(bool(len(row)) and model.odds(row).max() > 0.0)
    return {name: f"{sum(several)}/{len(several)}" for name, several in counts.items()}


def tell(words: str) -> None:
    sys.stderr.write(f"{time.perf_counter() - STARTED_S:5.0f} s  {words}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=voices.SHARED)
    parser.add_argument("--out", type=Path)
    wanted = parser.parse_args()
    if not wanted.data.is_dir():
        parser.error(f"the shared recordings are not at {wanted.data}")
    # The builders of tests.bench.voices read from this folder.
    voices.SHARED = wanted.data
    text = json.dumps(report(recordings(wanted.data)), indent=2) + "\n"
    sys.stdout.write(text)
    if wanted.out:
        wanted.out.write_text(text)


if __name__ == "__main__":
    main()
