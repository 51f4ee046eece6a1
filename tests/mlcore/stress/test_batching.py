from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from mlcore.errors import AnalysisError
from mlcore.stress import batching
from mlcore.stress.batching import Batcher, Kind


class Doubler:
    """Doubles numbers, keeps the batches it saw, and can be held up."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.free, self.busy = threading.Event(), threading.Event()
        self.free.set()

    def __call__(self, values: Sequence[int]) -> list[int]:
        self.batches.append(list(values))
        self.busy.set()
        assert self.free.wait(60)
        if -1 in values:
            raise ValueError("minus one")
        return [2 * value for value in values]

    def hold(self, batcher: Batcher):
        """Make the thread busy with one input, so that the next ones wait together."""
        self.free.clear()
        self.busy.clear()
        first = batcher.submit("numbers", 0)
        assert self.busy.wait(60)
        return first


@pytest.fixture
def doubler() -> Doubler:
    return Doubler()


def opened(doubler: Doubler, **options: int) -> Batcher:
    return Batcher({"numbers": Kind(doubler, **options)}, name="test")


def test_one_input_is_not_kept_waiting_for_others(doubler: Doubler):
    with opened(doubler) as batcher:
        assert batcher.submit("numbers", 3).result(60) == 6
    assert doubler.batches == [[3]]


def test_what_waits_is_taken_together_up_to_the_limit(doubler: Doubler):
    with opened(doubler, max_batch=4) as batcher:
        doubler.hold(batcher)
        futures = [batcher.submit("numbers", value) for value in range(1, 7)]
        doubler.free.set()
        assert [future.result(60) for future in futures] == [2, 4, 6, 8, 10, 12]
    assert doubler.batches == [[0], [1, 2, 3, 4], [5, 6]]


def test_callers_in_many_threads_each_get_their_own_result(doubler: Doubler):
    with opened(doubler) as batcher, ThreadPoolExecutor(8) as pool:
        results = pool.map(lambda value: batcher.submit("numbers", value).result(60), range(200))
    assert list(results) == [2 * value for value in range(200)]


def test_a_failing_input_fails_alone(doubler: Doubler):
    with opened(doubler) as batcher:
        doubler.hold(batcher)
        futures = [batcher.submit("numbers", value) for value in (1, -1, 2)]
        doubler.free.set()
        assert (futures[0].result(60), futures[2].result(60)) == (2, 4)
        with pytest.raises(ValueError, match="minus one"):
            futures[1].result(60)
        assert batcher.submit("numbers", 5).result(60) == 10


def test_more_than_may_wait_are_refused_by_name(doubler: Doubler):
    with opened(doubler, max_waiting=2) as batcher:
        doubler.hold(batcher)
        waiting = [batcher.submit("numbers", value) for value in (1, 2)]
        with pytest.raises(AnalysisError) as caught:
            batcher.submit("numbers", 3)
        doubler.free.set()
        assert [future.result(60) for future in waiting] == [2, 4]
    assert caught.value.code == "analysis_busy"
    assert not caught.value.permanent


def test_inputs_that_nobody_waits_for_are_left_out(doubler: Doubler):
    with opened(doubler) as batcher:
        doubler.hold(batcher)
        given_up, wanted = batcher.submit("numbers", 1), batcher.submit("numbers", 2)
        assert given_up.cancel()
        doubler.free.set()
        assert wanted.result(60) == 4
    assert doubler.batches == [[0], [2]]


def test_what_has_waited_too_long_is_refused_and_does_not_hold_up_others(
    doubler: Doubler, monkeypatch: pytest.MonkeyPatch
):
    now = [100.0]
    monkeypatch.setattr(batching, "time", SimpleNamespace(monotonic=lambda: now[0]))
    with Batcher({"numbers": Kind(doubler, max_wait_s=0.3)}, name="numbers") as batcher:
        first = doubler.hold(batcher)
        late = batcher.submit("numbers", 1)
        now[0] += 0.4
        fresh = batcher.submit("numbers", 2)
        doubler.free.set()
        assert (first.result(60), fresh.result(60)) == (0, 4)
        with pytest.raises(AnalysisError) as caught:
            late.result(60)
    assert caught.value.code == "analysis_busy"
    assert doubler.batches == [[0], [2]]


def test_closing_ends_the_thread_and_fails_those_who_wait(doubler: Doubler):
    batcher = opened(doubler)
    running = doubler.hold(batcher)
    waiting = batcher.submit("numbers", 1)
    closer = threading.Thread(target=batcher.close)
    closer.start()
    with batcher._changed:
        assert batcher._changed.wait_for(lambda: batcher._closed, 60)
    doubler.free.set()
    closer.join(60)
    assert running.result(60) == 0
    with pytest.raises(AnalysisError) as caught:
        waiting.result(60)
    assert caught.value.code == "analysis_closed"
    assert not batcher._thread.is_alive()
    with pytest.raises(AnalysisError, match="start it again"):
        batcher.submit("numbers", 2)
    batcher.close()


def test_kinds_take_turns():
    order: list[str] = []
    hold = threading.Event()

    def faces(values: Sequence[int]) -> Sequence[int]:
        assert hold.wait(60)
        order.append(f"faces {len(values)}")
        return values

    def clips(values: Sequence[int]) -> Sequence[int]:
        order.append(f"clips {len(values)}")
        return values

    with Batcher({"faces": Kind(faces, 2), "clips": Kind(clips, 1)}, name="test") as batcher:
        futures = [batcher.submit("faces", value) for value in range(5)]
        futures += [batcher.submit("clips", value) for value in range(2)]
        hold.set()
        for future in futures:
            future.result(60)
    assert [step.split()[0] for step in order][:4] == ["faces", "clips", "faces", "clips"]
