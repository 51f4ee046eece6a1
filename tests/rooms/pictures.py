"""Pictures of people for tests of the live analysis."""

from __future__ import annotations

import io
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

from tests.media_factory import empty_room, portrait


def encoded(rgb: np.ndarray, kind: str = "JPEG", **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, kind, **options)
    return file.getvalue()


@cache
def smiling_picture(light: float = 1.0) -> bytes:
    """A room with a smiling woman, 640×480, as JPEG."""
    room = empty_room(640, 480).copy()
    room[60:420, 140:500] = portrait(360, 360)
    return encoded((room * light).astype(np.uint8))
