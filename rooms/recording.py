"""The candidate's stream in chunks, and what becomes of it."""

from __future__ import annotations

from rooms.models import Chunk, Recording, Room


def stop(room: Room) -> None:
    """The interview is over: take no more chunks. In the transaction that ends the room."""
    Recording.objects.filter(room=room, state__in=("initiated", "active")).update(state="stopped")


def erase(room: Room) -> int:
    """Erase all chunks of a room's recording; how many there were."""
    chunks = list(Chunk.objects.filter(segment__recording__room=room))
    for chunk in chunks:
        chunk.file.delete(save=False)
    Chunk.objects.filter(pk__in=[chunk.pk for chunk in chunks]).delete()
    return len(chunks)
