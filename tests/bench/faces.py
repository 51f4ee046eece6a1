"""The face stage against the bare landmarker: the same frames, the same options, turn about in one run.

``python -m tests.bench.faces [--seconds 20]`` prints JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import mediapipe
import numpy as np

from mlcore import assets
from mlcore.behaviour import measure_visual
from mlcore.faces import FaceTracker
from mlcore.media import Frame, open_media
from tests.bench.material import talking_head

MODELS = Path(__file__).resolve().parents[2] / "var" / "models"
RATIO_BUDGET = 1.3
ROUNDS = 3


def measure(seconds: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        video, what = talking_head(Path(folder) / "video.mp4", seconds)
        with open_media(video, want_audio=False) as stream:
            frames = [Frame(frame.t_s, frame.rgb.copy()) for frame in stream.frames()]
    bare, stage = [], []
    for _ in range(ROUNDS):
        bare.append(_bare(frames))
        stage.append(_stage(frames, seconds))
    ratios = [ours / theirs for ours, theirs in zip(stage, bare, strict=True)]
    return {
        "video": f"{seconds:g} s, {len(frames)} frames: {what}",
        "landmarker_ms_a_frame": round(1000 * statistics.median(bare) / len(frames), 2),
        "face_stage_ms_a_frame": round(1000 * statistics.median(stage) / len(frames), 2),
        "ratio": round(statistics.median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "budget": RATIO_BUDGET,
    }


def _bare(frames: list[Frame]) -> float:
    """Seconds of the landmarker alone, with the options that the tracker uses."""
    model = assets.face_landmarker_file(MODELS)
    with FaceTracker(model) as tracker:
        landmarker = mediapipe.tasks.vision.FaceLandmarker.create_from_options(tracker.options)
    with landmarker:
        started = time.perf_counter()
        for frame in frames:
            image = mediapipe.Image(
                image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(frame.rgb)
            )
            landmarker.detect_for_video(image, int(1000 * frame.t_s))
        return time.perf_counter() - started


def _stage(frames: list[Frame], seconds: float) -> float:
    with FaceTracker(assets.face_landmarker_file(MODELS)) as tracker:
        started = time.perf_counter()
        seen = [tracker.detect(frame) for frame in frames]
        measure_visual(seen, seconds)
        return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=20.0)
    json.dump(measure(parser.parse_args().seconds), sys.stdout, indent=2)


if __name__ == "__main__":
    main()
