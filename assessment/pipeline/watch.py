"""Stage: frames -> faces -> attention intervals and visual measures."""

from __future__ import annotations

from dataclasses import asdict
from types import ModuleType
from typing import TYPE_CHECKING, Any

from assessment.pipeline.models import face_tracker, package_versions
from mlcore import assets, faces
from mlcore.behaviour import AttentionInterval, Calibration, VisualMeasures, constants, measure_visual

if TYPE_CHECKING:
    from assessment.pipeline.attempt import Attempt

NAME = "watch"


def _numbers(module: ModuleType) -> dict[str, float]:
    """The module's constants that are numbers, by name."""
    found = {name.lower(): value for name, value in vars(module).items() if name.isupper()}
    return {name: value for name, value in found.items() if isinstance(value, int | float)}


THRESHOLDS = _numbers(faces) | _numbers(constants)


def versions() -> dict[str, Any]:
    model = f"{assets.FACE_LANDMARKER.name} {assets.FACE_LANDMARKER.version}"
    return package_versions("mediapipe") | {"model": model, "thresholds": THRESHOLDS}


def run(work: Attempt) -> dict[str, Any]:
    """The visual measures as JSON; all None without a video track."""
    stream = work.stream
    assert stream is not None
    seen = []
    if stream.info.has_video:
        expected_s = stream.info.duration_s or 0.0
        with face_tracker() as tracker:
            for frame in stream.frames():
                faces = tracker.detect(frame)
                seen.append(faces)
                if work.face_samples is not None:
                    work.face_samples.pass_by(frame, faces)
                work.progress.report(NAME, frame.t_s / expected_s if expected_s else 0.0)
    return asdict(measure_visual(seen, stream.duration_s))


def unpack(output: dict[str, Any]) -> VisualMeasures:
    """The measures that `run` stored."""
    calibration = Calibration(**output["calibration"]) if output["calibration"] else None
    intervals = tuple(AttentionInterval(**interval) for interval in output["intervals"])
    return VisualMeasures(**(output | {"calibration": calibration, "intervals": intervals}))
