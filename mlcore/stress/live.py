"""Frames and samples as they come -> readings of one room after another, by models that all rooms share.

`StressAnalyzer` holds the models, the landmarker and the two threads that use them: one for faces, one for clips of
speech, so that a face never waits for a batch of voices. A `StressSession` is the memory of one room: its smoothing and
what was last seen and heard. An expression proxy, not a measure of what someone feels.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from threadpoolctl import ThreadpoolController

from mlcore import assets
from mlcore.closing import Closing
from mlcore.face_geometry import Face
from mlcore.faces import ImageFaceDetector
from mlcore.media import SAMPLE_RATE
from mlcore.stress.batching import MAX_WAITING, Batcher, Kind
from mlcore.stress.face.crop import FaceCrop, Picture, check_frame, crop_face
from mlcore.stress.face.model import FaceModel
from mlcore.stress.fusion import model as fusion
from mlcore.stress.fusion.model import FusionModel
from mlcore.stress.labels import EMOTIONS, LEVELS, Floats
from mlcore.stress.predictions import Predictions
from mlcore.stress.quality import MIN_SPEECH_S, FaceQuality, VoiceQuality, checked_clip, crop_quality
from mlcore.stress.readings import (
    NOT_SPEAKING,
    SPEAKING,
    FaceFinder,
    FacePart,
    FaceReader,
    Fuser,
    Source,
    StressReading,
    VoicePart,
    VoiceReader,
)
from mlcore.stress.smoothing import Smoother
from mlcore.stress.voice.model import VoiceModel
from mlcore.stress.weights import WEIGHTS
from mlcore.voice_activity import Interval, detect_voice, total_s

FACES, CLIPS, TASKS = "faces", "clips", "tasks"
FACES_AT_ONCE, CLIPS_AT_ONCE = 4, 2
"""All of a batch are answered when its last is, so a batch is no longer than it saves: landmarks are found one by one
(9 ms), and the network takes 1.5 ms a face in fours, 3 alone, 1 in sixteens. A window of speech takes about 22 ms, two
at once 21 each."""

CLIPS_NICE = 5
"""How much the thread of clips gives way to faces, and to the web server beside, where the processors do not suffice: a
third of the share. A result is expected within 300 ms of a frame (DESIGN §7); a window is 3 s long. *Assumption*."""

FACE_WAITS_S, CLIP_WAITS_S = 1.0, 3.0
"""What waits longer is refused: on a machine with too much to do all would else be answered when nobody wants them any
more. *Assumption*: a frame's interval; a window's length."""

TASKS_WAITING = 4
"""What is asked for beside the clips is left out rather than have them wait. *Assumption*."""

FACE_KEPT_S, VOICE_KEPT_S = 2.5, 5.0
"""How long the last face and the last speech go on counting when nothing newer was sent: two frames a second apart may
be lost, and a window of speech comes every 2 s while someone speaks. *Assumption*."""


@dataclass(frozen=True)
class _Seen:
    """`said` and `weight` (of the face, for the fusion) are None where the face was left out."""

    part: FacePart
    said: Predictions | None
    weight: float = 0.0
    face: Face | None = None


@dataclass(frozen=True)
class _Heard:
    part: VoicePart
    said: Predictions | None
    weight: float = 0.0
    speech: tuple[Interval, ...] = ()


@dataclass(frozen=True)
class _Asked:
    """A frame or a clip; without `emotions` the networks leave it alone."""

    content: Any
    emotions: bool


PartT = TypeVar("PartT", _Seen, _Heard)
ResultT = TypeVar("ResultT")


class StressAnalyzer(Closing):
    """The models of a process, used by a thread of faces and a thread of clips for all who ask. Thread-safe. Close it:
    that ends the threads, closes the detector, and fails those who wait with ``analysis_closed``."""

    def __init__(
        self,
        face_model: FaceReader,
        voice_model: VoiceReader,
        fusion_model: Fuser,
        detector: FaceFinder,
        *,
        max_waiting: int = MAX_WAITING,
        threads: int = 1,
    ) -> None:
        """`threads` is what torch and the linear algebra of the whole process are held to: on several cores they wait
        for each other longer than they gain."""
        self._face, self._voice, self.fusion = face_model, voice_model, fusion_model
        self._detector = detector
        faces = {FACES: Kind(self._look, FACES_AT_ONCE, max_waiting, FACE_WAITS_S)}
        clips = {
            CLIPS: Kind(self._listen, CLIPS_AT_ONCE, max_waiting, CLIP_WAITS_S),
            TASKS: Kind(_run_all, 1, TASKS_WAITING),
        }
        self._algebra = ThreadpoolController().limit(limits=threads, user_api="blas")

        def prepare() -> None:
            torch.set_num_threads(threads)

        def prepare_clips() -> None:
            prepare()
            _give_way(CLIPS_NICE)

        self._faces = Batcher(faces, name="stress-faces", prepare=prepare)
        self._clips = Batcher(clips, name="stress-clips", prepare=prepare_clips)

    @classmethod
    def load(
        cls,
        *,
        models_dir: Path,
        weights: Path = WEIGHTS,
        max_waiting: int = MAX_WAITING,
        threads: int = 1,
    ) -> Self:
        """With the shipped weights and the third-party models under `models_dir`.

        `AnalysisError`: ``weights_unreadable``, ``model_unreadable``, ``model_unavailable``."""
        return cls(
            FaceModel.load(weights),
            VoiceModel.load(weights, assets.whisper_folder(models_dir, "base")),
            FusionModel.load(weights),
            ImageFaceDetector(assets.face_landmarker_file(models_dir)),
            max_waiting=max_waiting,
            threads=threads,
        )

    def session(self) -> StressSession:
        """The memory of one room."""
        return StressSession(self)

    def close(self) -> None:
        self._faces.close()
        self._clips.close()
        self._detector.close()
        self._algebra.restore_original_limits()

    def look(self, rgb: Picture, *, emotions: bool = True) -> Future[_Seen]:
        """`AnalysisError`: ``frame_unreadable``; ``analysis_busy``, ``analysis_closed`` as `Batcher.submit`."""
        check_frame(rgb)
        return self._faces.submit(FACES, _Asked(rgb, emotions))

    def listen(
        self, samples: npt.ArrayLike, sample_rate: int = SAMPLE_RATE, *, emotions: bool = True
    ) -> Future[_Heard]:
        """`AnalysisError` as `checked_clip` and `Batcher.submit`."""
        quality, mono = checked_clip(samples, sample_rate)
        if quality is not VoiceQuality.OK:
            done: Future[_Heard] = Future()
            done.set_result(_Heard(VoicePart(False, quality), None))
            return done
        return self._clips.submit(CLIPS, _Asked(mono, emotions))

    def among_clips(self, task: Callable[[], ResultT]) -> Future[ResultT]:
        """Have `task` run in the thread of clips, after the batch it is at: for other work on voices. `AnalysisError`
        as `Batcher.submit`; few may wait."""
        return self._clips.submit(TASKS, task)

    def _look(self, asked: Sequence[_Asked]) -> list[_Seen]:
        found = [_found(one.content, self._detector.detect(one.content), one.emotions) for one in asked]
        crops = [crop for _, crop in found if crop is not None]
        said = iter(_rows(self._face.predict(np.stack([crop.pixels for crop in crops]))) if crops else ())
        weights = iter(fusion.face_quality(np.array([crop.side_px for crop in crops], np.float32)))
        return [
            replace(seen, said=next(said), weight=float(next(weights))) if crop is not None else seen
            for seen, crop in found
        ]

    def _listen(self, asked: Sequence[_Asked]) -> list[_Heard]:
        heard = [_heard(detect_voice(one.content).speech) for one in asked]
        wanted = [one.emotions and part.part.speaking for one, part in zip(asked, heard, strict=True)]
        clips = [one.content for one, want in zip(asked, wanted, strict=True) if want]
        said = iter(_rows(self._voice.predict(clips)) if clips else ())
        return [
            replace(part, said=next(said)) if want else part for part, want in zip(heard, wanted, strict=True)
        ]


class StressSession:
    """One room, or one caller. Several threads may call: a frame does not wait for speech that was sent before it."""

    def __init__(self, analyzer: StressAnalyzer) -> None:
        self._analyzer = analyzer
        self._lock = threading.Lock()
        self._smoother = Smoother()
        self._last_s = 0.0
        self._seen: _Kept[_Seen] = _Kept(FACE_KEPT_S)
        self._heard: _Kept[_Heard] = _Kept(VOICE_KEPT_S)

    def update(
        self,
        *,
        t_s: float,
        frame: Picture | None = None,
        samples: npt.ArrayLike | None = None,
        sample_rate: int = SAMPLE_RATE,
        emotions: bool = True,
    ) -> StressReading:
        """The reading at `t_s`, with what is new: a frame, RGB of shape (height, width, 3), the last 2 to 10 s of
        sound, or both. Times do not go back; where two threads come out in another order, the later time counts.

        Without `emotions` only faces and speech are found: the networks that read them are not run, what they said
        earlier is forgotten, and what follows from them is None.

        `AnalysisError` by name for what is no picture or no sound, and where the analysis is busy or closed; the
        session then stays as it was."""
        started = time.perf_counter()
        looking = self._analyzer.look(frame, emotions=emotions) if frame is not None else None
        listening = (
            self._analyzer.listen(samples, sample_rate, emotions=emotions) if samples is not None else None
        )
        new_seen = looking.result() if looking else None
        new_heard = listening.result() if listening else None
        with self._lock:
            self._last_s = max(self._last_s, t_s)
            seen, heard = (
                self._seen.updated(new_seen, self._last_s),
                self._heard.updated(new_heard, self._last_s),
            )
            if not emotions:
                self._forget()
                seen, heard = _unread(seen), _unread(heard)
            return replace(
                self._read(self._last_s, seen, heard, started),
                measured=new_seen.face if new_seen else None,
                speech=new_heard.speech if new_heard else (),
            )

    def reset(self) -> None:
        """Forget the smoothing and what was seen and heard."""
        with self._lock:
            self._forget()
            self._last_s = 0.0

    def _forget(self) -> None:
        self._smoother.reset()
        self._seen.value = self._heard.value = None

    def _read(self, t_s: float, seen: _Seen | None, heard: _Heard | None, started: float) -> StressReading:
        face, voice = seen.said if seen else None, heard.said if heard else None
        sources = _sources(face, voice)
        parts = (
            seen.part if seen else FacePart(False, 0, None),
            heard.part if heard else VoicePart(False, None),
        )
        if not sources:
            return StressReading(t_s, None, None, None, None, False, (), *parts, _since_ms(started))
        smooth = self._smoother.update(t_s, self._fused(seen, heard))
        shown = face if face is not None else voice
        assert shown is not None
        return StressReading(
            t_s,
            smooth.level,
            _named(LEVELS, smooth.probabilities),
            _named(EMOTIONS, shown.emotions[0]),
            smooth.confidence,
            smooth.unsure,
            sources,
            *parts,
            _since_ms(started),
        )

    def _fused(self, seen: _Seen | None, heard: _Heard | None) -> Floats:
        """Probabilities of the levels, shape (3,)."""
        rows = self._analyzer.fusion.predict(
            seen.said if seen else None,
            heard.said if heard else None,
            face_qualities=np.array([seen.weight], np.float32) if seen else None,
            voice_qualities=np.array([heard.weight], np.float32) if heard else None,
        )
        return rows[0]


class _Kept(Generic[PartT]):
    """The last thing of one modality, for as long as it counts."""

    def __init__(self, kept_s: float) -> None:
        self._kept_s = kept_s
        self._since_s = 0.0
        self.value: PartT | None = None

    def updated(self, new: PartT | None, t_s: float) -> PartT | None:
        if new is not None:
            self.value, self._since_s = new, t_s
        elif t_s - self._since_s > self._kept_s:
            self.value = None
        return self.value


def _give_way(nice: int) -> None:
    """Of this thread alone: Linux keeps a nice value for each, other systems for the whole process."""
    if sys.platform != "linux":
        return
    own = threading.get_native_id()
    with suppress(OSError):  # a policy of the host; then all share alike
        os.setpriority(os.PRIO_PROCESS, own, os.getpriority(os.PRIO_PROCESS, own) + nice)


def _run_all(tasks: Sequence[Callable[[], Any]]) -> list[Any]:
    return [task() for task in tasks]


def _found(rgb: Picture, faces: Sequence[Face], emotions: bool) -> tuple[_Seen, FaceCrop | None]:
    """What was found, not read yet; the crop to read where it is good enough and emotions are wanted."""
    face = faces[0] if faces else None
    if face is None:
        return _Seen(FacePart(False, 0, FaceQuality.NO_FACE), None), None
    crop = crop_face(rgb, face)
    quality = crop_quality(face, crop)
    seen = _Seen(FacePart(True, len(faces), quality), None, face=face)
    return seen, crop if emotions and quality is FaceQuality.OK else None


def _heard(speech: tuple[Interval, ...]) -> _Heard:
    """What was heard, not read yet."""
    seconds = np.array([total_s(speech)], np.float32)
    if seconds[0] < MIN_SPEECH_S:
        return _Heard(NOT_SPEAKING, None, speech=speech)
    return _Heard(SPEAKING, None, float(fusion.voice_quality(seconds)[0]), speech)


def _unread(part: PartT | None) -> PartT | None:
    return replace(part, said=None) if part else None


def _sources(face: Predictions | None, voice: Predictions | None) -> tuple[Source, ...]:
    there: list[Source] = []
    if face is not None:
        there.append("face")
    if voice is not None:
        there.append("voice")
    return tuple(there)


def _rows(said: Predictions) -> list[Predictions]:
    return [
        Predictions(said.probabilities[row], said.emotions[row], said.embeddings[row])
        for row in (slice(number, number + 1) for number in range(len(said)))
    ]


def _named(names: Sequence[str], values: Floats) -> dict[str, float]:
    return {name: float(value) for name, value in zip(names, values, strict=True)}


def _since_ms(started: float) -> float:
    return 1000 * (time.perf_counter() - started)
