"""What reading faces as our detector cuts them out costs against FER-2013's own crops, and what bad pictures cost.

``python -m tests.bench.crop_gap [--weights DIR | --checkpoint FILE] [--images N] [--parts fer videos pictures]`` prints
JSON. Needs shared/data. Three parts:
`fer`: the held-out (PublicTest) images as given, and cut anew from their enlargement by landmarker and `crop_face`;
`videos`: frames of real videos, our crop against moved, looser and plainer ones of the same face;
`pictures`: the same images darker, brighter, blurred, coarser: from where on the network contradicts itself.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from sklearn.metrics import f1_score

from mlcore import assets
from mlcore.face_detection import BoxDetector
from mlcore.face_geometry import Face, FaceBox, same_face
from mlcore.faces import ImageFaceDetector
from mlcore.media import open_media
from mlcore.native_logs import native_chatter_dropped
from mlcore.stress import weights
from mlcore.stress.datasets import fer2013
from mlcore.stress.face.crop import SIDE, Picture, Square, crop_face, crop_square, square_of
from mlcore.stress.face.model import FaceModel
from mlcore.stress.face.network import FaceNetwork
from mlcore.stress.labels import level_labels
from mlcore.stress.predictions import Predictions
from mlcore.stress.quality import GLARE, face_quality, picture_quality, sharpness
from tests.bench.material import SHARED

MODELS = Path(__file__).resolve().parents[2] / "var" / "models"
LANDMARKER = assets.face_landmarker_file(MODELS)
ENLARGED, MARGIN = 6, 24
"""The images are shown to the detector six times as large, with half their side of grey around them."""

Crops = dict[str, Picture]


def model_of(arguments: argparse.Namespace) -> FaceModel:
    if arguments.checkpoint is None:
        return FaceModel.load(arguments.weights)
    network = FaceNetwork()
    network.load_state_dict(torch.load(arguments.checkpoint, weights_only=True)["best"])
    return FaceModel(network.eval())


# -- FER-2013 -------------------------------------------------------------------------------


def enlarged(image: Picture, border: int) -> Picture:
    """RGB, (576, 576, 3): the image in the middle; `border` is OpenCV's way to fill what is around it."""
    large = cv2.resize(image, None, fx=ENLARGED, fy=ENLARGED, interpolation=cv2.INTER_CUBIC)
    around = [MARGIN * ENLARGED] * 4
    room = cv2.copyMakeBorder(large, *around, border, value=128)
    return np.repeat(room[..., None], 3, axis=2).astype(np.uint8)


def cut_anew(image: Picture, detector: ImageFaceDetector, boxes: BoxDetector) -> Crops | None:
    """The crops that we would make of the image, by name; None where no face is found."""
    seen = enlarged(image, cv2.BORDER_CONSTANT)
    faces = detector.detect(seen)
    if not faces:
        return None
    # What lies beyond FER-2013's edges is unknown; the grey that helps the detector is not to be part of the crop.
    return variants(enlarged(image, cv2.BORDER_REPLICATE), faces[0], boxes.boxes(seen))


def variants(rgb: Picture, face: Face, boxes: list[FaceBox]) -> Crops:
    height, width = rgb.shape[:2]
    square = square_of(face, width, height)
    side = square.side
    cuts = {
        "left 5 %": replace(square, x=square.x - 0.05 * side),
        "right 5 %": replace(square, x=square.x + 0.05 * side),
        "up 5 %": replace(square, y=square.y - 0.05 * side),
        "down 5 %": replace(square, y=square.y + 0.05 * side),
        "tighter 10 %": replace(square, side=0.9 * side),
        "looser 10 %": replace(square, side=1.1 * side),
        "looser 20 %": replace(square, side=1.2 * side),
        "looser 40 %": replace(square, side=1.4 * side),
        "roll left in": square_of(replace(face, roll_deg=0.0), width, height),
    }
    box = next((box for box in boxes if same_face(box, face)), None)
    if box is not None:
        cuts |= {f"detector's box + {margin} %": _boxed(box, width, height, margin) for margin in (0, 20, 40)}
    return {"ours": crop_face(rgb, face).pixels} | {
        name: crop_square(rgb, cut).pixels for name, cut in cuts.items()
    }


def _boxed(box: FaceBox, width: int, height: int, margin_percent: int) -> Square:
    side = max(box.width * width, box.height * height) * (1 + margin_percent / 100)
    return Square((box.x + box.width / 2) * width, (box.y + box.height / 2) * height, side)


def fer(model: FaceModel, images: fer2013.FaceImages) -> dict[str, Any]:
    with ImageFaceDetector(LANDMARKER, num_faces=1) as detector:
        boxes = BoxDetector(LANDMARKER)
        cut = [cut_anew(image, detector, boxes) for image in images.images]
        boxes.close()
    found = np.array([crops is not None for crops in cut])
    kept = images.take(found)
    given = model.predict(kept.images)
    report = {
        "images": len(images),
        "found": round(float(found.mean()), 4),
        "given, all": scores(model.predict(images.images), images.emotions),
        "given": scores(given, kept.emotions),
    }
    crops = [one for one in cut if one is not None]
    for name in crops[0]:
        there = np.array([name in one for one in crops])
        said = model.predict(np.stack([one[name] for one in crops if name in one]))
        same = _rows(given, there)
        report[name] = scores(said, kept.emotions[there]) | {"n": int(there.sum())} | apart(same, said)
    return report


def scores(said: Predictions, emotions: np.ndarray) -> dict[str, float]:
    levels = level_labels(emotions)
    guessed = said.probabilities.argmax(axis=1)
    right = said.probabilities[np.arange(len(levels)), levels]
    return _rounded(
        accuracy=(guessed == levels).mean(),
        macro_f1=f1_score(levels, guessed, average="macro"),
        emotion_accuracy=(said.emotions.argmax(axis=1) == emotions).mean(),
        log_loss=-np.log(np.maximum(right, 1e-6)).mean(),
    )


def apart(one: Predictions, other: Predictions) -> dict[str, float]:
    """How often both name one level, and the mean total variation distance of their probabilities."""
    same = one.probabilities.argmax(axis=1) == other.probabilities.argmax(axis=1)
    distance = np.abs(one.probabilities - other.probabilities).sum(axis=1) / 2
    return _rounded(agreement=same.mean(), distance=distance.mean())


def _rows(said: Predictions, rows: np.ndarray) -> Predictions:
    return Predictions(said.probabilities[rows], said.emotions[rows], said.embeddings[rows])


def _rounded(**values: float) -> dict[str, float]:
    return {name: round(float(value), 4) for name, value in values.items()}


# -- Real videos ----------------------------------------------------------------------------


def frames_of(video: Path, per_s: float) -> Iterator[Picture]:
    last = -1
    with open_media(video, want_audio=False) as stream:
        for frame in stream.frames():
            if int(frame.t_s * per_s) != last:
                last = int(frame.t_s * per_s)
                yield np.ascontiguousarray(frame.rgb)


def videos(model: FaceModel, per_s: float) -> dict[str, Any]:
    crops: list[Crops] = []
    qualities: Counter[str] = Counter()
    with ImageFaceDetector(LANDMARKER, num_faces=1) as detector:
        boxes = BoxDetector(LANDMARKER)
        for video in sorted((SHARED / "videos").iterdir()):
            for rgb in frames_of(video, per_s):
                faces = detector.detect(rgb)
                qualities[face_quality(rgb, faces[0] if faces else None)] += 1
                if faces:
                    crops.append(variants(rgb, faces[0], boxes.boxes(rgb)))
        boxes.close()
    ours = model.predict(np.stack([one["ours"] for one in crops]))
    report: dict[str, Any] = {
        "frames": qualities.total(),
        "faces": len(crops),
        "quality": ", ".join(f"{name} {count}" for name, count in qualities.most_common()),
        "emotions": mean_emotions(ours),
    }
    for name in crops[0]:
        if name != "ours":
            there = np.array([name in one for one in crops])
            said = model.predict(np.stack([one[name] for one in crops if name in one]))
            report[name] = {"n": int(there.sum())} | apart(_rows(ours, there), said)
    return report


def mean_emotions(said: Predictions) -> list[float]:
    return [round(float(value), 3) for value in said.emotions.mean(axis=0)]


# -- Bad pictures ---------------------------------------------------------------------------


def darker(gain: float) -> Callable[[Picture], Picture]:
    """As a camera would see it with so much of the light: fewer grey levels, and noise of one of them."""
    noise = np.random.default_rng(0)
    return lambda image: np.clip(image * gain + noise.normal(0, 1, image.shape), 0, 255).astype(np.uint8)


def brighter(gain: float) -> Callable[[Picture], Picture]:
    return lambda image: np.clip(image * gain, 0, 255).astype(np.uint8)


def blurred(sigma: float) -> Callable[[Picture], Picture]:
    return lambda image: cv2.GaussianBlur(image, (0, 0), sigma).astype(np.uint8)


def coarser(side: int) -> Callable[[Picture], Picture]:
    def change(image: Picture) -> Picture:
        small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
        return cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR).astype(np.uint8)

    return change


CHANGES = (
    {f"{gain:g} of the light": darker(gain) for gain in (0.5, 0.25, 0.15, 0.1, 0.06, 0.03)}
    | {f"{gain:g} times the light": brighter(gain) for gain in (1.5, 2.0, 3.0, 4.0, 6.0, 10.0)}
    | {f"blurred by {sigma:g} px": blurred(sigma) for sigma in (0.7, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0)}
    | {f"{side} px": coarser(side) for side in (36, 30, 24, 20, 16, 12)}
)


def pictures(model: FaceModel, images: fer2013.FaceImages) -> dict[str, Any]:
    given = model.predict(images.images)
    report: dict[str, Any] = {"as given": scores(given, images.emotions) | measured(images.images)}
    for name, change in CHANGES.items():
        changed = np.stack([change(image) for image in images.images])
        said = model.predict(changed)
        report[name] = scores(said, images.emotions) | apart(given, said) | measured(changed)
    return report


def measured(images: Picture) -> dict[str, Any]:
    """Fifth percentile, median and ninety-fifth of the measures that quality goes by, and the share let through."""
    glare = np.mean(images >= GLARE, axis=(1, 2))
    sharp = np.array([sharpness(image) for image in images])
    passed = np.mean([picture_quality(image).value == "ok" for image in images])
    return {
        "glare": [round(float(v), 3) for v in np.percentile(glare, (5, 50, 95))],
        "brightness": [round(float(v)) for v in np.percentile(images.mean(axis=(1, 2)), (5, 50, 95))],
        "sharpness": [round(float(v), 3) for v in np.percentile(sharp, (5, 50, 95))],
        "passed": round(float(passed), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--weights", type=Path, default=weights.WEIGHTS)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--frames-per-s", type=float, default=2.0)
    parser.add_argument("--parts", nargs="*", default=["fer", "videos", "pictures"])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = model_of(arguments)
    images = fer2013.load(SHARED / "fer2013").of_split("validation")
    images = images.take(np.random.default_rng(0).permutation(len(images))[: arguments.images])
    parts = {
        "fer": lambda: fer(model, images),
        "videos": lambda: videos(model, arguments.frames_per_s),
        "pictures": lambda: pictures(model, images),
    }
    with native_chatter_dropped():
        json.dump({name: parts[name]() for name in arguments.parts}, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
