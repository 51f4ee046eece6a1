"""Media of one candidate as it comes -> results for the interviewers, within what is agreed to at each moment.

Plain asyncio: how media comes and where messages go is the caller's (`rooms.analysis_consumer`), and so are clock,
consent, database and inference, so that the logic can be tested by itself.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections import deque
from collections.abc import Awaitable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.db import Error as DatabaseError
from redis.exceptions import RedisError

from rooms.consent import MayAnalyse
from rooms.inference.wire import InferenceError
from rooms.live import constants as c
from rooms.live import words
from rooms.live.alerts import Raised
from rooms.live.flow import Counts, Pace
from rooms.live.gate import Gate
from rooms.live.hearing import Ears, Window
from rooms.live.observed import Observed
from rooms.live.outside import Inference, Message, Outside
from rooms.live.rates import Clock, TokenBucket
from rooms.live.store import OF_EMOTION, Row, Store
from rooms.media_messages import Frame, Sound
from rooms.models import Alert, Reading, Room

logger = logging.getLogger(__name__)

OUTGOING = 50
"""Messages to the panel that wait for the relay; the oldest go first."""


@dataclass(frozen=True)
class _Seen:
    jpeg: bytes
    arrived_s: float


class LiveAnalyzer:
    """Begin it with `start`, end it with `close`. All in one event loop; nothing of it blocks."""

    def __init__(
        self, room: Room, client: Inference, outside: Outside, clock: Clock = time.monotonic
    ) -> None:
        self.room, self._client, self._outside, self._clock = room, client, outside, clock
        self.counts = Counts()
        self.pace = Pace(clock)
        self.gate = Gate(outside.read, clock, self._consent_changed)
        self.store = Store(outside.write, clock)
        self._observed = Observed(room.language)
        self._ears = Ears()
        self._began_s, self._began_t_s = clock(), room.seconds_at()
        self._frames = TokenBucket(c.FRAMES_PER_S, c.FRAMES_AT_ONCE, clock)
        self._sound = TokenBucket(c.SOUND_S_PER_S, c.SOUND_S_AT_ONCE, clock)
        self._results = TokenBucket(c.RESULTS_PER_S, c.RESULTS_AT_ONCE, clock)
        self._frame: _Seen | None = None
        self._windows: deque[Window] = deque()
        self._there = {"frame": asyncio.Event(), "window": asyncio.Event(), "message": asyncio.Event()}
        self._outgoing: deque[tuple[int | None, Message]] = deque(maxlen=OUTGOING)
        self._generation = 0
        self._session = self._new_session()
        self._media_s = self._result_s = self._speech_s = self._status_s = float("-inf")
        self._said: tuple[Any, ...] = ()
        self._told: tuple[bool, bool] = (False, False)
        self._looked_s = float("-inf")
        self._news = self._frame_news = self._spoken = False
        self._tasks: set[asyncio.Task[None]] = set()

    # -- From the socket ------------------------------------------------------------------------

    async def start(self, *, ticking: bool = True) -> MayAnalyse:
        """Read the consent, then begin; what may be sent now. `ticking`: by itself, else the caller calls `tick`.

        Raises django.db.Error."""
        may = await self.gate.now()
        self._told = (may.face, may.voice)
        for work in (self._look_on, self._listen_on, self._send_on, *((self._tick_on,) if ticking else ())):
            self._begin(work())
        return may

    async def close(self, *, say_paused: bool = False) -> None:
        """Write what is left and end. `say_paused`: to the interviewers, where nobody else will."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.gate.close()
        self._frame = None
        self._windows.clear()
        self._ears.clear()
        if say_paused:
            # Not after what is left is written, which may take a while: another socket of this browser may speak then.
            await self._last_word()
        await self.store.close()
        await self._forget(self._session)
        logger.info(
            "Analysis of room %s ended: %s, %d readings lost", self.room.pk, self.counts, self.store.lost
        )

    def offer(self, media: Frame | Sound) -> None:
        """Take it, or drop it and count that."""
        self._media_s = self._clock()
        if self.gate.stale:
            self.gate.tick(busy=True)
        may = self.gate.allowed()
        if not (may.face if isinstance(media, Frame) else may.voice):
            self.counts.without_consent += 1
        elif isinstance(media, Frame):
            self._offer_frame(media)
        else:
            self._offer_sound(media)

    def _offer_frame(self, frame: Frame) -> None:
        if not self._frames.take():
            self.counts.too_fast += 1
            return
        self.counts.replaced += self._frame is not None
        self._frame = _Seen(frame.jpeg, self._clock())
        self._there["frame"].set()

    def _offer_sound(self, sound: Sound) -> None:
        if not self._sound.take(sound.seconds):
            self.counts.too_fast += 1
            return
        window = self._ears.take(sound, self._clock(), self.t_s(), self.pace.step_s)
        if window is None:
            return
        self._windows.append(window)
        if len(self._windows) > c.WINDOWS_WAITING:
            self._windows.popleft()
            self.counts.replaced += 1
        self._there["window"].set()

    # -- From the room --------------------------------------------------------------------------

    def consent(self) -> None:
        """Word came that it changed."""
        self.gate.ask()

    def reset(self) -> None:
        """An interviewer cleared the smoothing."""
        self._generation += 1
        self._observed.clear_smoothing()
        self._begin(self._reset(self._session))

    def _consent_changed(self, before: MayAnalyse, now: MayAnalyse) -> None:
        face, voice = before.face and not now.face, before.voice and not now.voice
        if now.withdrawals > before.withdrawals and before.anything and not (face or voice):
            face = voice = True  # taken back and given again between two looks
        if face or voice:
            self._withdraw(face=face, voice=voice)
        if (now.face, now.voice) != self._told and self._tasks:
            self._told = (now.face, now.voice)
            self._outside.candidate({"type": "capture", "face": now.face, "voice": now.voice})

    def _withdraw(self, *, face: bool, voice: bool) -> None:
        """Results under way were made with what was taken back: the generation tells them apart."""
        self._generation += 1
        if face:
            self._frame = None
        if voice:
            self._windows.clear()
            self._ears.clear()
        self._observed.forget(face=face, voice=voice)
        self.store.withdraw(face=face, voice=voice)
        old, self._session = self._session, self._new_session()
        self._begin(self._forget(old))

    def _new_session(self) -> str:
        """A name of the inference process's memory that nothing else has, before or after."""
        return f"room-{self.room.pk}-{uuid.uuid4().hex}"

    # -- Time -----------------------------------------------------------------------------------

    def t_s(self) -> float:
        """Seconds of the room, never going back, whatever is done to the server's or the candidate's clock."""
        return self._began_t_s + self._clock() - self._began_s

    def tick(self) -> None:
        """Whatever is due now."""
        now_s = self._clock()
        busy = now_s - self._media_s <= c.NO_MEDIA_S
        self.gate.tick(busy=busy)
        may = self.gate.allowed()
        due = self._news and may.anything and now_s - self._result_s >= c.RESULT_EVERY_S
        if due and (self._frame_news or not self._frames_come(now_s)) and self._results.take():
            self._result(may)
        if self._spoken and may.voice and now_s - self._speech_s >= c.SPEECH_EVERY_S:
            self._speech()
        if self.pace.changed():
            self._outside.candidate({"type": "flow", "frame_interval_ms": self.pace.interval_ms})
        self._say_status(self._state(busy))
        self.store.tick()

    async def _tick_on(self) -> None:
        while True:
            self.tick()
            await asyncio.sleep(c.TICK_S)

    # -- Inference ------------------------------------------------------------------------------

    async def _look_on(self) -> None:
        while True:
            await self._there["frame"].wait()
            self._there["frame"].clear()
            seen, self._frame = self._frame, None
            may = self.gate.allowed()
            if seen is not None and may.face:
                await self._look(seen, may.emotion)

    async def _look(self, seen: _Seen, emotion: bool) -> None:
        generation, t_s = self._generation, self.t_s()
        looked = await self._asked(self._client.look(self._session, t_s, seen.jpeg, emotion=emotion), seen)
        if looked is None:
            return
        if generation != self._generation or not self.gate.allowed().face:
            self.counts.thrown_away += 1
            return
        self._news = self._frame_news = True
        self._looked_s = self._clock()
        self._raise(self._observed.looked(t_s, looked))
        if self._results.take():
            self._result(self.gate.allowed())

    def _frames_come(self, now_s: float) -> bool:
        """Whether what was heard can go out with the next frame, so that frames never wait for it."""
        return now_s - self._looked_s <= 1.5 * self.pace.interval_ms / 1000

    async def _listen_on(self) -> None:
        while True:
            await self._there["window"].wait()
            if not self._windows:
                self._there["window"].clear()
                continue
            window, may = self._windows.popleft(), self.gate.allowed()
            if may.voice and window.silent:
                self._observed.silence(window)
                self._news = self._spoken = True
            elif may.voice:
                await self._listen(window, may.emotion)

    async def _listen(self, window: Window, emotion: bool) -> None:
        generation = self._generation
        listening = self._client.listen(self._session, self.t_s(), window.pcm(), emotion=emotion)
        heard = await self._asked(listening, window)
        if heard is None:
            return
        if generation != self._generation or not self.gate.allowed().voice:
            self.counts.thrown_away += 1
            return
        self._news = self._spoken = True
        self._raise(self._observed.heard(window, heard))

    async def _asked(self, asking: Awaitable[Any], what: _Seen | Window) -> Any:
        """The answer; None where there is none, which is counted and slows down the frames."""
        try:
            answer = await asking
        except InferenceError as error:
            self.counts.failed += 1
            if error.code in ("bad_frame", "bad_audio"):
                self._outside.candidate({"type": "error", "code": error.code, "message": error.message})
            else:
                self.pace.failed()
            return None
        self.pace.succeeded(1000 * (self._clock() - what.arrived_s))
        return answer

    async def _reset(self, session: str) -> None:
        try:
            await self._client.reset(session)
        except InferenceError as error:
            logger.info("The smoothing of room %s could not be cleared: %s", self.room.pk, error.code)

    async def _forget(self, session: str) -> None:
        try:
            await self._client.forget(session)
        except InferenceError as error:  # then its process has nothing to forget, or drops it in its time
            logger.info("A session of room %s was not forgotten: %s", self.room.pk, error.code)

    # -- Results --------------------------------------------------------------------------------

    def _result(self, may: MayAnalyse) -> None:
        self._news, self._frame_news, self._result_s = False, False, self._clock()
        result, raised = self._observed.result(self.t_s(), may)
        message = result.message(self.pace.latency_ms, self.counts.dropped)
        self._tell(message)
        if result.used:
            self.store.add(result.reading(self.room, message))
        self._raise(raised)

    def _speech(self) -> None:
        metrics = self._observed.speech(self.t_s())
        if metrics is None:
            return
        self._spoken, self._speech_s = False, self._clock()
        message = metrics.message()
        self._tell(message)
        stored = {name: value for name, value in message.items() if name not in ("type", "t")}
        self.store.add(Reading(room=self.room, t_s=metrics.t_s, from_voice=True, speech=stored))
        self._raise(self._observed.watch.spoke(metrics))

    def _raise(self, raised: list[Raised]) -> None:
        emotion = self.gate.allowed().emotion
        for alert in raised:
            if emotion or alert.kind not in OF_EMOTION:
                row = self.store.add(self._record(alert))
                self._begin(self._announce(alert, row, self._generation))

    def _record(self, alert: Raised) -> Alert:
        return Alert(
            room=self.room,
            t_s=alert.t_s,
            kind=alert.kind,
            severity=words.SEVERITIES[alert.kind],
            value=round(alert.value, 2),
            from_face="face" in alert.sources,
            from_voice="voice" in alert.sources,
        )

    async def _announce(self, alert: Raised, row: Row, generation: int) -> None:
        """With its number once it is stored, without where that takes long, not at all where consent is gone."""
        await asyncio.wait({row.stored}, timeout=c.ALERT_STORED_WITHIN_S)
        key: int | str | None = row.stored.result() if row.stored.done() else f"{alert.kind}-{alert.t_s:.1f}"
        if key is None or generation != self._generation:
            return
        title, advice = words.said(alert.kind, alert.value)
        self._tell(
            {
                "type": "real_time_alert",
                "id": key,
                "t": round(alert.t_s, 1),
                "kind": alert.kind,
                "severity": str(words.SEVERITIES[alert.kind]),
                "value": round(alert.value, 1),
                "message": title,
                "advice": advice,
            }
        )

    # -- Status ---------------------------------------------------------------------------------

    def _state(self, busy: bool) -> str:
        if not self.gate.last.anything:
            return "off"
        if not busy or self.gate.stale:
            return "paused"
        return "delayed" if self.pace.delayed else "on"

    def _say_status(self, state: str) -> None:
        """On changes, and every few seconds; not of a browser that is not in: another one's analysis speaks now."""
        if not self.gate.last.here:
            return
        said = (state, self.gate.last)
        if said != self._said or self._clock() - self._status_s >= c.STATUS_EVERY_S:
            self._said, self._status_s = said, self._clock()
            self._outgoing.append((None, self._status(state)))
            self._there["message"].set()

    async def _last_word(self) -> None:
        """That nothing comes any more. Where a withdrawal is why, it was told already by whoever stored it, and must
        not seem undone: hence by consent as it is now, and looked at once more after it was said."""
        said: MayAnalyse | None = None
        for _ in range(2):
            may = self.gate.last
            with suppress(DatabaseError, OSError, TimeoutError):
                may = await asyncio.wait_for(self._outside.read(), c.LAST_READ_WITHIN_S)
            if may == said or not may.here:
                return
            await self._to_panel(self._status("paused" if may.anything else "off", may))
            said = may

    def _status(self, state: str, may: MayAnalyse | None = None) -> Message:
        may, latency_ms = may or self.gate.last, self.pace.latency_ms
        return {
            "type": "analysis-status",
            "state": state,
            "face": may.face,
            "voice": may.voice,
            "emotion": may.emotion and may.anything,
            "dropped": self.counts.dropped,
            "latency_ms": None if latency_ms is None else round(latency_ms),
        }

    # -- To the panel ---------------------------------------------------------------------------

    def _tell(self, message: Message) -> None:
        """What derives from the candidate's media; not sent once consent or smoothing changed."""
        self._outgoing.append((self._generation, message))
        self._there["message"].set()

    async def _send_on(self) -> None:
        while True:
            await self._there["message"].wait()
            if not self._outgoing:
                self._there["message"].clear()
                continue
            generation, message = self._outgoing.popleft()
            if generation in (None, self._generation):
                await self._to_panel(message)

    async def _to_panel(self, message: Message) -> None:
        try:
            await self._outside.panel(message)
        except (RedisError, OSError) as error:
            logger.warning("A message %s did not get out: %s", message["type"], type(error).__name__)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("Analysis of room %s: a task failed", self.room.pk, exc_info=task.exception())
