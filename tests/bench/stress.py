"""What the stress models cost on one core: ``python -m tests.bench.stress [--weights DIR]`` prints JSON.

Faces in batches of 16, landmarks and cropping beside them; a window of 3 s of speech with everything it takes (voice
activity, Whisper's encoder, prosody, network); the fusion; and a live session's whole way. Medians, with the
processor's time of the process beside the clock's: the two part where something else runs on the machine.
"""

from __future__ import annotations

import os

# One core also for numpy's algebra, which reads this when it is first imported.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from mlcore import assets
from mlcore.faces import ImageFaceDetector
from mlcore.media import SAMPLE_RATE
from mlcore.native_logs import native_chatter_dropped
from mlcore.stress import weights
from mlcore.stress.face.crop import crop_face
from mlcore.stress.face.model import FaceModel
from mlcore.stress.fusion.model import FusionModel
from mlcore.stress.live import StressAnalyzer
from mlcore.stress.quality import face_quality
from mlcore.stress.voice.model import VoiceModel
from mlcore.voice_activity import detect_voice
from tests.media_factory import portrait
from tests.mlcore.sounds import say

MODELS = Path(__file__).resolve().parents[2] / "var" / "models"
TEXT = "We had two weeks, and nobody had written down how the old system worked, so I read the code."
FACES, WINDOW_S = 16, 3.0
REPEATS = 60
FACE_BUDGET, FACE_GOAL = 2.0, 0.8
VOICE_BUDGET, VOICE_GOAL = 30.0, 18.0


def timed(work: Callable[[], object], per: int = 1, repeats: int = REPEATS) -> dict[str, float]:
    """Milliseconds for each of the `per` inputs that `work` takes."""
    walls, cpus = [], []
    for _ in range(3):
        work()
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return {
        "ms": round(1000 * statistics.median(walls) / per, 2),
        "cpu_ms": round(1000 * statistics.median(cpus) / per, 2),
    }


def measure(folder: Path) -> dict[str, Any]:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    room = cv2.resize(portrait(480, 480), (480, 360)).astype(np.uint8)
    speech = say(TEXT)[: int(WINDOW_S * SAMPLE_RATE)]
    whisper = assets.whisper_folder(MODELS, "base")
    face_model, fusion = FaceModel.load(folder), FusionModel.load(folder)
    voice_model = VoiceModel.load(folder, whisper)
    with ImageFaceDetector(assets.face_landmarker_file(MODELS)) as detector:
        faces = detector.detect(room)
        crops = np.repeat(crop_face(room, faces[0]).pixels[None], FACES, axis=0)
        found = {
            "face_of_16": timed(lambda: face_model.predict(crops), FACES),
            "face_alone": timed(lambda: face_model.predict(crops[:1])),
            "landmarks": timed(lambda: detector.detect(room)),
            "quality_and_crop": timed(lambda: (face_quality(room, faces[0]), crop_face(room, faces[0]))),
            "voice_window": timed(lambda: (detect_voice(speech).speech, voice_model.predict([speech]))),
            "voice_activity": timed(lambda: detect_voice(speech).speech),
            "voice_window_of_4": timed(lambda: voice_model.predict([speech] * 4), 4, REPEATS // 3),
        }
    face, voice = face_model.predict(crops[:1]), voice_model.predict([speech])
    found["fusion"] = timed(lambda: fusion.predict(face, voice))
    return (
        found
        | _live(folder, room, speech)
        | {"budgets": {"face_of_16": [FACE_BUDGET, FACE_GOAL], "voice_window": [VOICE_BUDGET, VOICE_GOAL]}}
    )


def _live(folder: Path, room: np.ndarray, speech: np.ndarray) -> dict[str, dict[str, float]]:
    with StressAnalyzer.load(weights=folder, models_dir=MODELS) as analyzer:
        session = analyzer.session()
        return {
            "live_frame": timed(lambda: session.update(t_s=0.0, frame=room)),
            "live_samples": timed(lambda: session.update(t_s=0.0, samples=speech)),
        }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--weights", type=Path, default=weights.WEIGHTS)
    with native_chatter_dropped():
        json.dump(measure(parser.parse_args().weights), sys.stdout, indent=2)


if __name__ == "__main__":
    main()
