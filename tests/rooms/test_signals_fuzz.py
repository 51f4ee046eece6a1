"""Whatever comes over the wire is answered or ignored, and never an exception."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rooms import signals
from rooms.signals import NotUnderstood
from tests.rooms.test_sockets_access import FIELDS
from tests.rooms.wire import Call, Wire, hang_up

ALL = {**signals.EVERYONE, **signals.CANDIDATE, **signals.INTERVIEWER}
NAMES = sorted(
    {name for schema in ALL.values() for name in schema.model_fields}
    | {"type", "sdp", "from", "name", "role"}
)

texts = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ["", "\0", "\ud800", "0" * 32, "f" * 33, "x" * 70_000, "offer", "-1", "null", "<script>", "٣" * 32]
    ),
)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=8,
)
fields = st.dictionaries(st.one_of(st.sampled_from(NAMES), texts), values, max_size=6)
kinds = st.one_of(st.sampled_from(sorted(signals.KNOWN)), texts)


@st.composite
def nearly(draw: st.DrawFn) -> dict[str, Any]:
    """A message as it should be, with a field or two replaced."""
    kind = draw(st.sampled_from(sorted(signals.KNOWN)))
    whole = {"type": kind, "to": "0" * 32, "peer": "0" * 32, **FIELDS.get(kind, {})}
    for name in draw(st.lists(st.sampled_from(sorted(whole)), max_size=2)):
        if name != "type":
            whole[name] = draw(values)
    return whole


messages = st.one_of(
    nearly(),
    st.builds(lambda kind, rest: {**rest, "type": kind}, kinds, fields),
    values,
)


@given(message=messages)
@settings(max_examples=100, deadline=None)
def test_the_checks_take_anything(message: Any) -> None:
    try:
        kind, document = signals.read(json.dumps(message))
        if kind in ALL:
            checked = signals.check(kind, ALL[kind], document)
            json.dumps(checked.model_dump()).encode()
    except NotUnderstood:
        pass


@given(text=st.text())
@settings(max_examples=200, deadline=None)
def test_the_checks_take_any_text(text: str) -> None:
    with contextlib.suppress(NotUnderstood):
        signals.read(text)


@pytest_asyncio.fixture
async def _hang_up(_django_db_helper: None) -> AsyncIterator[None]:
    yield
    await hang_up()


def _drawn(count: int) -> list[str]:
    """Messages for one socket; as strings, since drawing is not for an event loop."""
    found: list[str] = []

    @given(message=messages)
    @settings(max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    def draw(message: Any) -> None:
        found.append(json.dumps(message))

    draw()
    return [text for text in found if '"type": "end"' not in text and '"type": "leave"' not in text]


@pytest.mark.slow
@pytest.mark.asyncio
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_hang_up")
@pytest.mark.parametrize("side", ["candidate", "interviewer"])
async def test_sockets_take_anything(
    side: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signals, "RATE_PER_S", 1e6)
    monkeypatch.setattr(signals, "BURST", 1e6)
    call = await Call.start()
    wire: Wire = getattr(call, side)
    for text in _drawn(500):
        await wire.communicator.send_to(text_data=text)
        await wire.send("ping", id="alive")
        await wire.next("pong")
    await wire.settle()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert "try_again" not in [message.get("code") for message in wire.heard]
