"""How many voices are found, on dialogues built from the shared recordings: `python -m tests.bench.voices`.

Half of the readers and actors were used for the fit (`--part tune`), the other half is for reporting (`--part held`,
the default); its figures were seen while variants were chosen. Nothing is written; see docs/models/voices.md.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import numpy as np
from scipy.signal import butter, fftconvolve, resample_poly, sosfilt

from mlcore.media import SAMPLE_RATE
from mlcore.speakers import Turn, find_voices
from mlcore.voice_activity import detect_voice
from tests.mlcore.sounds import SHARED, Samples, load, pink_noise

LEVEL = 0.05
CALM = {"01", "02", "03", "04"}
STEP_S = 0.01


@dataclass(frozen=True)
class Case:
    kind: str
    voices: int
    samples: Samples


def rms(samples: Samples) -> float:
    return float(np.sqrt(np.mean(np.square(samples))) + 1e-9)


def excerpt(rng: np.random.Generator, utterances: list[Samples], seconds: float) -> Samples:
    chosen = utterances[rng.integers(len(utterances))]
    length = min(len(chosen), int(seconds * SAMPLE_RATE))
    start = rng.integers(len(chosen) - length + 1)
    cut = chosen[start : start + length]
    return cut / rms(cut) * LEVEL


def gap(rng: np.random.Generator) -> Samples:
    return np.zeros(int(rng.uniform(0.2, 0.8) * SAMPLE_RATE), dtype=np.float32)


def conversation(
    rng: np.random.Generator,
    voices: list[list[Samples]],
    total_s: float,
    turn_s: tuple[float, float] = (3, 9),
) -> list[Samples]:
    parts: list[Samples] = []
    while sum(map(len, parts)) < total_s * SAMPLE_RATE:
        voice = voices[len(parts) // 2 % len(voices)]
        parts += [excerpt(rng, voice, rng.uniform(*turn_s)), gap(rng)]
    return parts


def prompted(
    rng: np.random.Generator, main: list[Samples], other: list[Samples], total_s: float
) -> list[Samples]:
    """One voice, and 3 to 5 s of another that is 3 to 15 dB quieter."""
    parts = conversation(rng, [main], total_s)
    at = 2 * int(rng.integers(1, len(parts) // 2))
    quiet = excerpt(rng, other, rng.uniform(3, 5)) * 10 ** (-rng.uniform(3, 15) / 20)
    return [*parts[:at], quiet.astype(np.float32), gap(rng), *parts[at:]]


def noisy(rng: np.random.Generator, samples: Samples) -> Samples:
    ratio = 10 ** (-rng.uniform(8, 15) / 20)
    noise = pink_noise(len(samples) / SAMPLE_RATE, 1.0, int(rng.integers(1 << 30)))
    return samples + np.resize(noise, len(samples)) * rms(samples) * ratio


def telephone(_: np.random.Generator, samples: Samples) -> Samples:
    band = sosfilt(butter(4, [300, 3400], "band", fs=SAMPLE_RATE, output="sos"), samples)
    narrow = resample_poly(resample_poly(band, 1, 2), 2, 1)[: len(samples)]
    coded = np.sign(narrow) * np.log1p(255 * np.abs(np.clip(narrow * 4, -1, 1))) / np.log(256)
    coded = np.round(coded * 127) / 127
    return (np.sign(coded) * (256 ** np.abs(coded) - 1) / 255 / 4).astype(np.float32)


def reverberant(rng: np.random.Generator, samples: Samples) -> Samples:
    length = int(rng.uniform(0.25, 0.6) * SAMPLE_RATE)
    response = rng.standard_normal(length) * 10 ** (-3 * np.arange(length) / length) * 0.15
    response[0], response[1:40] = 1.0, 0.0
    return (fftconvolve(samples, response)[: len(samples)] * 0.7).astype(np.float32)


CONDITIONS: dict[str, Callable[[np.random.Generator, Samples], Samples]] = {
    "clean": lambda _, samples: samples,
    "noise": noisy,
    "phone": telephone,
    "reverb": reverberant,
}


def readers(part: str) -> list[list[Samples]]:
    by_reader: dict[str, list[Samples]] = defaultdict(list)
    for path in sorted((SHARED / "conversation" / "librispeech").glob("*.flac")):
        by_reader[path.name[:4]].append(load(path))
    chosen = sorted(by_reader)[:3] if part == "tune" else sorted(by_reader)[3:]
    return [by_reader[name] for name in chosen]


def actor(number: int, emotions: set[str] | None) -> list[Samples]:
    found = []
    for path in sorted((SHARED / "ravdess" / f"Actor_{number:02d}").glob("*.flac")):
        speech = detect_voice(samples := load(path)).speech
        if speech and (emotions is None or path.stem.split("-")[2] in emotions):
            start, end = int(speech[0].start_s * SAMPLE_RATE), int(speech[-1].end_s * SAMPLE_RATE)
            found.append(samples[start:end])
    return found


def reader_cases(rng: np.random.Generator, part: str) -> Iterator[Case]:
    voices = readers(part)
    for _ in range(3):
        for index, one in enumerate(voices):
            other = voices[(index + 1) % 3]
            for kind, count, parts in (
                ("two readers", 2, conversation(rng, [one, other], 60)),
                ("quiet prompter", 2, prompted(rng, one, other, 60)),
                ("two, 12-18 s", 2, conversation(rng, [one, other], rng.uniform(12, 18), (2.5, 5))),
                ("one reader", 1, conversation(rng, [one], 60)),
                ("one, 8-20 s", 1, conversation(rng, [one], rng.uniform(8, 20))),
            ):
                yield Case(kind, count, np.concatenate(parts))
        yield Case("three readers", 3, np.concatenate(conversation(rng, voices, 75)))


def actor_cases(rng: np.random.Generator, part: str) -> Iterator[Case]:
    numbers = range(1, 11) if part == "tune" else range(11, 21)
    calm = [actor(number, CALM) for number in numbers]
    for index, number in enumerate(numbers):
        one, other, same = calm[index], calm[(index + 1) % 10], calm[(index + 2) % 10]
        for kind, count, parts in (
            ("actor, 4 emotions", 1, conversation(rng, [one], 40)),
            ("actor, 8 emotions", 1, conversation(rng, [actor(number, None)], 50)),
            ("man and woman acting", 2, conversation(rng, [one, other], 50)),
            ("same sex acting", 2, conversation(rng, [one, same], 50)),
            ("actor, prompter", 2, prompted(rng, one, calm[(index + 3) % 10], 45)),
        ):
            yield Case(kind, count, np.concatenate(parts))


def count_table(part: str) -> list[str]:
    rng = np.random.default_rng(0 if part == "tune" else 1)
    results: dict[str, list[tuple[str, int, int]]] = defaultdict(list)
    for case in (*reader_cases(rng, part), *actor_cases(rng, part)):
        for condition, alter in CONDITIONS.items():
            found = find_voices(alter(rng, case.samples)).num_speakers or 0
            results[case.kind].append((condition, case.voices, found))
    lines = [f"part {part}: recordings with more than one voice found"]
    for kind, rows in results.items():
        cells = []
        for condition in CONDITIONS:
            of_condition = [row for row in rows if row[0] == condition]
            cells.append(f"{condition} {sum(row[2] > 1 for row in of_condition)}/{len(of_condition)}")
        exact = sum(row[1] == row[2] for row in rows)
        lines.append(f"  {kind:22} {'  '.join(cells)}  exact {exact}/{len(rows)}")
    return lines


def reference(path: Path, recording: str) -> list[Turn]:
    rows = [line.split() for line in path.read_text().splitlines()]
    rows = [row for row in rows if row[1] == recording]
    names = {name: index for index, name in enumerate(dict.fromkeys(row[7] for row in rows))}
    return [Turn(float(row[3]), float(row[3]) + float(row[4]), names[row[7]]) for row in rows]


def activity(turns: list[Turn], voices: int, duration_s: float) -> np.ndarray:
    grid = np.zeros((voices, int(duration_s / STEP_S)), dtype=bool)
    for turn in turns:
        grid[turn.speaker, int(turn.start_s / STEP_S) : int(turn.end_s / STEP_S)] = True
    return grid


def diarization_error(truth: list[Turn], found: list[Turn], duration_s: float) -> float:
    """(missed + false alarm + confused) over reference speech, overlaps counted, no collar, best mapping."""
    voices = max(turn.speaker for turn in (*truth, *found)) + 1
    spoken, heard = activity(truth, voices, duration_s), activity(found, voices, duration_s)
    most = np.maximum(spoken.sum(axis=0), heard.sum(axis=0)).sum()
    right = max((spoken & heard[list(order)]).sum() for order in permutations(range(voices)))
    return float((most - right) / spoken.sum())


def real_conversations() -> list[str]:
    folder = SHARED / "conversation"
    sources = [(folder / "ami" / f"{name}.flac", folder / "ami" / "reference.rttm") for name in
               ("dev00", "trn03", "trn07")]  # fmt: skip
    sources.append((folder / "pyannote_sample.wav", folder / "pyannote_sample.rttm"))
    lines = ["real conversations: voices, found, diarization error (count found / count given)"]
    for path, rttm in sources:
        samples = load(path)
        truth = reference(rttm, path.stem.removeprefix("pyannote_"))
        voices = len({turn.speaker for turn in truth})
        found = find_voices(samples)
        errors = [
            diarization_error(truth, list(turns), len(samples) / SAMPLE_RATE)
            for turns in (found.turns, found.turns_by_count[voices])
        ]
        lines.append(f"  {path.stem:18} {voices} {found.num_speakers}  {errors[0]:.2f} / {errors[1]:.2f}")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=("tune", "held"), default="held")
    parser.add_argument("--real-only", action="store_true")
    wanted = parser.parse_args()
    lines = real_conversations()
    if not wanted.real_only:
        lines = [*count_table(wanted.part), *lines]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
