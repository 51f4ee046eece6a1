"""Patience: what the site gives up after a few seconds, tests on a machine that stalls for as long do not. Those that
are about such a limit set it themselves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rooms import sockets
from rooms.consumers import transport
from rooms.inference import wire
from rooms.live import constants

PATIENT_S = 60.0


@pytest.fixture(autouse=True)
def _patient() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:  # of its own: some tests undo theirs in the middle
        patch.setattr(sockets, "IN_DATABASE_TIMEOUT_S", PATIENT_S)
        patch.setattr(wire, "TIMEOUT_S", PATIENT_S)
        patch.setattr(transport, "LOOK_EVERY_S", 3600.0)  # or a test that takes long hears of one more look
        yield


@pytest.fixture
def patient_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was agreed to counts for longer than a stall: else a frame that comes just then is left out, and tests that
    wait for its result wait for ever."""
    monkeypatch.setattr(constants, "READ_COUNTS_S", PATIENT_S)
