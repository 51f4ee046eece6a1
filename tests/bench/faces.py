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
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import mediapipe
import numpy as np

from mlcore import assets
from mlcore.behaviour import measure_visual
from mlcore.faces import FaceFrame, FaceTracker
from mlcore.media import Frame, open_media
from tests.bench.material import talking_head

MODELS = Path(__file__).resolve().parents[2] / "var" / "models"
RATIO_BUDGET = 1.3
ROUNDS = 3
TURN_FRAMES = 15
"""The two take turns after so many frames, so that whatever else runs on the machine meets both alike."""


@dataclass
class Cost:
    """Seconds by the clock, and of processor time of all threads."""

    wall_s: float = 0.0
    cpu_s: float = 0.0

    def add(self, work: Callable[[], object]) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        self.wall_s += time.perf_counter() - wall
        self.cpu_s += time.process_time() - cpu


def measure(seconds: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        video, what = talking_head(Path(folder) / "video.mp4", seconds)
        with open_media(video, want_audio=False) as stream:
            frames = [Frame(frame.t_s, frame.rgb.copy()) for frame in stream.frames()]
    rounds = [_round(frames, seconds) for _ in range(ROUNDS)]
    return {
        "video": f"{seconds:g} s, {len(frames)} frames: {what}",
        "landmarker_ms_a_frame": round(
            1000 * statistics.median(b.wall_s for b, _ in rounds) / len(frames), 2
        ),
        "face_stage_ms_a_frame": round(
            1000 * statistics.median(s.wall_s for _, s in rounds) / len(frames), 2
        ),
        "ratio": round(statistics.median(stage.wall_s / bare.wall_s for bare, stage in rounds), 3),
        "ratios": [round(stage.wall_s / bare.wall_s, 3) for bare, stage in rounds],
        "ratios_of_processor_time": [round(stage.cpu_s / bare.cpu_s, 3) for bare, stage in rounds],
        "budget": RATIO_BUDGET,
    }


def _round(frames: list[Frame], seconds: float) -> tuple[Cost, Cost]:
    """What the landmarker alone cost, with the options that the tracker uses, and what the stage did."""
    bare, stage = Cost(), Cost()
    seen: list[FaceFrame] = []
    with FaceTracker(assets.face_landmarker_file(MODELS)) as tracker:
        with mediapipe.tasks.vision.FaceLandmarker.create_from_options(tracker.options) as landmarker:
            for start in range(0, len(frames), TURN_FRAMES):
                turn = frames[start : start + TURN_FRAMES]
                bare.add(partial(_land, landmarker, turn))
                stage.add(partial(_follow, tracker, turn, seen))
        stage.add(partial(measure_visual, seen, seconds))
    return bare, stage


def _land(landmarker: Any, frames: list[Frame]) -> None:
    for frame in frames:
        image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(frame.rgb))
        landmarker.detect_for_video(image, int(1000 * frame.t_s))


def _follow(tracker: FaceTracker, frames: list[Frame], seen: list[FaceFrame]) -> None:
    seen.extend(tracker.detect(frame) for frame in frames)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=20.0)
    json.dump(measure(parser.parse_args().seconds), sys.stdout, indent=2)


if __name__ == "__main__":
    main()
