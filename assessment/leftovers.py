"""Media that no answer names: of hand-ins that were never committed, and of downloads that died half-way.

Over the storage's own interface, so that folders and buckets are swept alike.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from django.core.files.storage import default_storage

from assessment.models import MEDIA_FOLDER, Answer
from assessment.stored import local_path

logger = logging.getLogger(__name__)

AT_ONCE = 500
"""Files that the database is asked about together."""
LISTED_AT_ONCE = 1000
"""Objects of a bucket in one answer: the most that the S3 API gives."""


def erase(before: datetime) -> int:
    """Erase the files that were last written before then and that no answer names; how many there were.

    Raises OSError, and what an S3 store raises that is away."""
    count = 0
    old = (name for name, changed_at in _stored() if changed_at < before)
    while some := list(islice(old, AT_ONCE)):
        named = _named(some)  # after they were listed: what came between is young
        for name in some:
            if name not in named:
                default_storage.delete(name)
                count += 1
    _prune(before)
    if count:
        logger.info("%d files of media that no answer named are erased.", count)
    return count


def _named(names: Iterable[str]) -> set[str]:
    """What the answers have, of the assessments whose folders these names are in."""
    assessments = {found for name in names if (found := _assessment_of(name)) is not None}
    answers = Answer.objects.filter(assessment__uuid__in=assessments).exclude(media="")
    return set(answers.values_list("media", flat=True))


def _assessment_of(name: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(hex=name.split("/")[1])
    except ValueError:  # not ours, but in our folder
        return None


# -- What is there ----------------------------------------------------------------------------


def _stored() -> Iterator[tuple[str, datetime]]:
    """Name and last change of all media, a few in memory at a time."""
    bucket = getattr(default_storage, "bucket", None)
    if bucket is not None:
        yield from _in_bucket(bucket)
        return
    for name in _below(MEDIA_FOLDER):
        with suppress(FileNotFoundError):  # erased meanwhile
            yield name, _changed_at(name)


def _in_bucket(bucket: Any) -> Iterator[tuple[str, datetime]]:
    """A page is one request, which tells the times too: no question for each object."""
    folder = default_storage._normalize_name(MEDIA_FOLDER)  # type: ignore[attr-defined]
    for found in bucket.objects.filter(Prefix=f"{folder}/").page_size(LISTED_AT_ONCE):
        yield MEDIA_FOLDER + found.key.removeprefix(folder), found.last_modified


def _below(folder: str) -> Iterator[str]:
    try:
        folders, files = default_storage.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return
    yield from (f"{folder}/{name}" for name in files)
    for name in folders:
        yield from _below(f"{folder}/{name}")


def _changed_at(name: str) -> datetime:
    """Of a link (`assessment.throwaway`) its own time: what it leads to may be years old. Raises FileNotFoundError."""
    path = local_path(name)
    if path is None:
        return default_storage.get_modified_time(name)
    return datetime.fromtimestamp(path.lstat().st_mtime, UTC)


def _prune(before: datetime) -> None:
    """Folders, where the storage has any, that are empty and in which nothing was done since: one that a file is just
    being put into is left alone."""
    root = local_path(MEDIA_FOLDER)
    if root is None or not root.is_dir():
        return
    for folder in root.iterdir():
        with suppress(OSError):  # not empty, or no folder, or gone meanwhile
            if folder.lstat().st_mtime < before.timestamp():
                folder.rmdir()
