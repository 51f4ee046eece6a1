"""JPEG or PNG -> RGB array, with limits that are checked before anything is decoded."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from rooms.inference.wire import InferenceError

MIN_SIDE_PX, MAX_SIDE_PX = 16, 4096
MAX_PIXELS = 4_000_000
"""A phone's 1080p frame has 2 million; the decoder takes 12 MB for the most."""
WORKED_ON_PX = 640
"""Longer side that the landmarker is given: larger frames cost more and show it no more faces. *Assumption*."""
MAX_SCANS = 64
"""Of a progressive JPEG: libjpeg's own script makes ten; each one more goes over the whole picture again."""
START_OF_SCAN = b"\xff\xda"

Picture = npt.NDArray[np.uint8]


def decoded(encoded: bytes, *, png: bool = False) -> Picture:
    """RGB, shape (height, width, 3), at most `WORKED_ON_PX` on the longer side; upright as its EXIF data say.

    Raises InferenceError('bad_frame') for what is no JPEG (or PNG, where that is allowed), is broken off, too small
    or too large. The size is read from the header."""
    formats = ("JPEG", "PNG") if png else ("JPEG",)
    try:
        with Image.open(io.BytesIO(encoded), formats=formats) as image:
            _check(image, encoded)
            return _worked_on(image)
    except InferenceError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:  # Pillow's own limits
        raise InferenceError("bad_frame", "The picture is too large.") from error
    except Exception as error:  # whatever a decoder makes of foreign bytes is their fault
        raise InferenceError("bad_frame", f"This is not a whole {' or '.join(formats)} picture.") from error


def _check(image: Image.Image, encoded: bytes) -> None:
    width, height = image.size
    if min(width, height) < MIN_SIDE_PX:
        raise InferenceError(
            "bad_frame", f"The picture is smaller than {MIN_SIDE_PX} pixels ({width}×{height})."
        )
    if max(width, height) > MAX_SIDE_PX or width * height > MAX_PIXELS:
        raise InferenceError(
            "bad_frame",
            f"The picture is too large ({width}×{height}): at most {MAX_SIDE_PX} pixels a side and "
            f"{MAX_PIXELS // 1_000_000} million in all.",
        )
    if image.format == "JPEG" and encoded.count(START_OF_SCAN) > MAX_SCANS:
        raise InferenceError("bad_frame", "The picture is put together from too many scans.")


def _worked_on(image: Image.Image) -> Picture:
    scale = min(1.0, WORKED_ON_PX / max(image.size))
    if image.format == "JPEG":  # decodes at half or a quarter where that is large enough
        image.draft("RGB", (round(image.width * scale), round(image.height * scale)))
    image.load()
    rgb = image if image.mode == "RGB" else image.convert("RGB")
    if max(rgb.size) > WORKED_ON_PX:
        rgb.thumbnail((WORKED_ON_PX, WORKED_ON_PX), Image.Resampling.BOX)
    ImageOps.exif_transpose(rgb, in_place=True)
    return np.asarray(rgb, np.uint8)
