"""How much one link, one browser and one place may ask of a room, whoever holds them."""

from __future__ import annotations

from collections import OrderedDict
from datetime import timedelta

from rooms.signals import Allowance

MAX_PLACES = 20
"""Browsers that one link gives a place to. *Assumption*: far more than one person has, private windows counted."""
MAX_WAITING = 4
"""Who may wait at a room's door at once; the next knocks when one of them is gone. *Assumption*: what an interviewer
can take in during a call."""
KNOCK_LIVES = timedelta(seconds=75)
"""Whose socket has not been seen for so long, of two signs of life 30 s apart, does not wait any more."""
MAX_ANSWERS = 200
"""Stored answers to the consent page's scopes for a place; after that withdrawals alone are stored. *Assumption*: some
ten times what a person does who changes their mind at each question."""

VISITS_PER_S, VISITS_AT_ONCE = 0.5, 20.0
"""Sockets that a place may open. *Assumption*: pages pause for 0.25 to 8 s before they come back."""
_PLACES_KNOWN = 10_000


class Visits:
    """A bucket for each place, in this process; those of places that were not seen for long are forgotten."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[int, Allowance] = OrderedDict()

    def take(self, place_pk: int) -> bool:
        """Whether the place may open one more socket now."""
        bucket = self._buckets.pop(place_pk, None) or Allowance(VISITS_PER_S, VISITS_AT_ONCE)
        self._buckets[place_pk] = bucket
        while len(self._buckets) > _PLACES_KNOWN:
            self._buckets.popitem(last=False)
        return bucket.take()

    def forget(self) -> None:
        self._buckets.clear()


calls, media = Visits(), Visits()
"""Of the two sockets."""
