"""Files of recordings that no row names: of requests that died over their work, and of rooms that are gone."""

from __future__ import annotations

import logging
import uuid
from datetime import datetime, timedelta

from rooms.models import Chunk
from rooms.recording import files

logger = logging.getLogger(__name__)

UNBOOKED_FOR = timedelta(hours=1)
"""A chunk has its row within seconds of its file. Assumption: nothing that is older is still being booked, however far
the clocks of site and store are apart."""


def erase(now: datetime) -> int:
    """Erase them, an hour after they were written; how many there were. Raises OSError, StorageAway."""
    count = 0
    for room_id in files.rooms():
        names = files.of_room(room_id)
        booked = _booked(room_id)  # after the files were listed: what came between is young
        left = files.changed_before((name for name in names if name not in booked), now - UNBOOKED_FOR)
        if left:
            files.remove(left)
            logger.info("%d files of recordings that nothing named are erased.", len(left))
        files.prune_room(room_id)
        count += len(left)
    return count


def _booked(room_id: str) -> set[str]:
    try:
        name = uuid.UUID(hex=room_id)
    except ValueError:  # not ours, but in our folder
        return set()
    return set(Chunk.objects.filter(segment__recording__room__uuid=name).values_list("file", flat=True))
