"""What rooms hold of a candidate is erased with them."""

from __future__ import annotations

from assessment import retention
from assessment.models import Candidate
from rooms.models import Room


@retention.register_eraser
def erase_rooms(candidate: Candidate) -> dict[str, int]:
    """Rooms with everything in them; recordings' chunks go first, as files do everywhere."""
    from rooms import recording

    rooms = Room.objects.filter(candidate=candidate)
    chunks = sum(recording.erase(room) for room in rooms)
    count = rooms.count()
    rooms.delete()
    return {"rooms": count, "recording_chunks": chunks}
