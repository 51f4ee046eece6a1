"""Media where it lies: in a folder, or in a store that has none."""

from __future__ import annotations

from pathlib import Path

from django.core.files.storage import default_storage


def local_path(name: str) -> Path | None:
    """The file behind a name of the media storage; None where that is no file of this machine, as in a bucket."""
    try:
        return Path(default_storage.path(name))
    except NotImplementedError:
        return None
