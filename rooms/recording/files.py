"""Where the bytes of chunks are: a file each in the media store, which is a folder or an S3 bucket.

Nothing here belongs into a transaction: it may take as long as a disk or a network takes.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import islice
from pathlib import Path

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from assessment.stored import local_path
from rooms.models import CHUNK_FOLDER, chunk_name

logger = logging.getLogger(__name__)

DELETED_AT_ONCE = 1000
"""Objects in one request (S3 API, DeleteObjects)."""


class StorageAway(Exception):
    """The media store did not do what it was asked to; another try may help."""


def _not_done() -> tuple[type[Exception], ...]:
    """What an S3 store that is away, or refuses, raises. Only asked for once something was raised: boto3 is loaded by
    then, or not needed."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    return Boto3Error, BotoCoreError, ClientError


def write(room_id: str, key: uuid.UUID, sequence: int, content: bytes) -> str:
    """A chunk's bytes under a name that nobody else has; the name. Raises OSError, StorageAway."""
    name = chunk_name(room_id, key, sequence)
    try:
        try:
            return default_storage.save(name, ContentFile(content))
        except FileNotFoundError:  # the folder was found empty and removed at the same moment
            return default_storage.save(name, ContentFile(content))
    except OSError:
        raise
    except _not_done() as error:
        raise StorageAway("The media store did not take a chunk.") from error


def same(name: str, content: bytes) -> bool:
    """Whether a file has just this content. Raises StorageAway, also where it is gone meanwhile."""
    try:
        with default_storage.open(name, "rb") as file:
            return file.read(len(content) + 1) == content
    except FileNotFoundError as error:
        raise StorageAway("A chunk is gone.") from error
    except OSError:
        raise
    except _not_done() as error:
        raise StorageAway("The media store did not give a chunk.") from error


def remove(names: Sequence[str]) -> None:
    """Those that are there; folders that are empty then go too. Raises OSError, StorageAway."""
    try:
        bucket = getattr(default_storage, "bucket", None)
        if bucket is not None:
            _remove_objects(bucket, names)
        else:
            for name in names:
                default_storage.delete(name)
    except OSError:
        raise
    except _not_done() as error:
        raise StorageAway("The media store did not erase chunks.") from error
    _prune({name.rpartition("/")[0] for name in names})


def remove_soon(names: Sequence[str]) -> None:
    """As `remove`; what cannot be removed now, the next `purge` finds, as no row names it any more."""
    try:
        remove(names)
    except (OSError, StorageAway) as error:
        logger.warning("%d chunks could not be erased now (%s).", len(names), type(error).__name__)


def _remove_objects(bucket: object, names: Sequence[str]) -> None:
    keys = iter([default_storage._normalize_name(name) for name in names])  # type: ignore[attr-defined]
    while some := list(islice(keys, DELETED_AT_ONCE)):
        wanted = {"Objects": [{"Key": key} for key in some], "Quiet": True}
        answer = bucket.delete_objects(Delete=wanted)  # type: ignore[attr-defined]
        if answer.get("Errors"):
            raise StorageAway(f"{len(answer['Errors'])} chunks were not erased.")


def rooms() -> list[str]:
    """The names of the folders that rooms have; some may be of rooms that are gone."""
    return sorted(_listed(CHUNK_FOLDER)[0])


def of_room(room_id: str) -> list[str]:
    """Every file of a room, booked or not."""
    return list(_below(f"{CHUNK_FOLDER}/{room_id}"))


def _below(folder: str) -> Iterator[str]:
    folders, files = _listed(folder)
    yield from (f"{folder}/{name}" for name in files)
    for name in folders:
        yield from _below(f"{folder}/{name}")


def _listed(folder: str) -> tuple[list[str], list[str]]:
    try:
        return default_storage.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return [], []


def changed_before(names: Iterable[str], limit: datetime) -> list[str]:
    """Those that were last written before `limit`; without those that are gone meanwhile."""
    old = []
    for name in names:
        with suppress(FileNotFoundError, *_gone()):
            if default_storage.get_modified_time(name) < limit:
                old.append(name)
    return old


def _gone() -> tuple[type[Exception], ...]:
    return () if getattr(default_storage, "bucket", None) is None else _not_done()


def prune_room(room_id: str) -> None:
    """The folders of a room that are empty."""
    root = local_path(f"{CHUNK_FOLDER}/{room_id}")
    if root is not None and root.is_dir():
        _prune(f"{CHUNK_FOLDER}/{room_id}/{path.name}" for path in list(root.iterdir()) if path.is_dir())
        _rmdir(root)


def _prune(folders: Iterable[str]) -> None:
    for name in folders:
        path = local_path(name)
        if path is not None:
            _rmdir(path)
            _rmdir(path.parent)


def _rmdir(path: Path) -> None:
    with suppress(OSError):  # not empty: a chunk has just come
        path.rmdir()
