"""One attempt at an answer: the media open once, its stages run or taken over from an earlier attempt."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from django.conf import settings

from assessment.models import Answer
from assessment.pipeline import grade, listen, stages_of, stress, transcribe, translate, warnings, watch
from assessment.pipeline.runs import OnProgress, Progress, StageRecord, finished_outputs, recorded
from mlcore.errors import AnalysisError
from mlcore.media import MediaLimits, MediaStream, open_media
from mlcore.voice_activity import VoiceActivity, detect_voice

Output = dict[str, Any]
NEEDS_MEDIA = ("transcribe", "watch", "listen", "stress")
POLL_S = 0.1


def media_limits() -> MediaLimits:
    return MediaLimits(
        max_duration_s=settings.MAX_DURATION_S,
        max_pixels=settings.MAX_VIDEO_PIXELS,
        min_side_px=settings.MIN_VIDEO_SIDE_PX,
    )


@contextmanager
def local_media(answer: Answer) -> Iterator[Path]:
    """The recording as a file on this machine, fetched from remote storage for as long as it is needed."""
    try:
        path = Path(answer.media.path)
    except NotImplementedError:
        with (
            tempfile.NamedTemporaryFile(dir=settings.VAR_DIR, prefix="media-") as copy,
            answer.media.open("rb") as file,
        ):
            for chunk in file.chunks():
                copy.write(chunk)
            copy.flush()
            yield Path(copy.name)
        return
    yield path


@contextmanager
def begin(answer: Answer, attempt: int, on_progress: OnProgress) -> Iterator[Attempt]:
    """An attempt with its media open if a stage needs it. Raises AnalysisError('media_erased') without media."""
    outputs = finished_outputs(answer)
    expected = stages_of(answer.assessment)
    missing = [stage for stage in NEEDS_MEDIA if stage in expected and stage not in outputs]
    with ExitStack() as stack:
        stream = None
        audio = missing != ["watch"] or translate.wants_samples(outputs)
        if missing or translate.wants_samples(outputs):
            if not answer.media:
                raise AnalysisError(
                    "media_erased", "The recording was erased, so it cannot be analysed again."
                )
            path = stack.enter_context(local_media(answer))
            stream = stack.enter_context(
                open_media(
                    path,
                    frames_per_second=_frames_per_s(missing),
                    limits=media_limits(),
                    want_audio=audio,
                    want_video="watch" in missing or "stress" in missing,
                )
            )
        faces = _face_samples(missing)
        yield Attempt(answer, attempt, outputs, stream, Progress(answer, attempt, on_progress), faces)


def _frames_per_s(missing: list[str]) -> float:
    """Where an earlier attempt has watched the recording, only the faces for `stress` are looked at again."""
    return settings.ANALYSED_FRAMES_PER_S if "watch" in missing else settings.STRESS_FACES_PER_S


def _face_samples(missing: list[str]) -> stress.FaceSamples | None:
    wanted = "watch" in missing and "stress" in missing
    return stress.FaceSamples(settings.STRESS_FACES_PER_S) if wanted else None


@dataclass
class Attempt:
    """`stream` is None when every stage that needs media has finished before. `face_samples` are filled while the
    picture is watched; None where policy forbids `stress`, or one of the two has finished before."""

    answer: Answer
    number: int
    outputs: dict[str, Output]
    stream: MediaStream | None
    progress: Progress
    face_samples: stress.FaceSamples | None = None
    _watching: _Watching | None = field(default=None, init=False)

    @cached_property
    def samples(self) -> npt.NDArray[np.float32]:
        """16 kHz mono, shape (n,); empty without an audio track."""
        assert self.stream is not None
        return self.stream.samples()

    @cached_property
    def voice_activity(self) -> VoiceActivity:
        return detect_voice(self.samples)

    def run(self) -> None:
        """The stages in order; `watch` beside those of speech."""
        if "watch" not in self.outputs:
            self._watching = _Watching(self)
        try:
            self._stage(transcribe.NAME, transcribe.versions(), lambda: transcribe.run(self))
            self._stage(listen.NAME, listen.versions(), lambda: listen.run(self))
        except Exception:
            self._join_watch()  # what it finds is kept; an interruption, no `Exception`, does not wait for it
            raise
        self._join_watch()
        if stress.NAME in stages_of(self.answer.assessment):
            self._stage(stress.NAME, stress.versions(), lambda: stress.run(self))
        self._note_media()
        self._stage(translate.NAME, translate.versions(), lambda: translate.run(self))
        self._stage(grade.NAME, grade.versions(), lambda: grade.run(self))
        self.progress.flush()

    def _stage(self, name: str, versions: Output, compute: Callable[[], Output]) -> None:
        if name in self.outputs:
            return
        with recorded(self.answer, name, self.number, versions) as record:
            output = compute()
            record.row.versions |= output.pop("versions", {})  # what only the work itself could tell
            self.outputs[name] = output
            record.complete(output)
        self.progress.report(name, 1.0)
        self.progress.flush()

    def _join_watch(self) -> None:
        if self._watching is None:
            return
        while not self._watching.done.wait(POLL_S):
            self.progress.flush()
        self.outputs[watch.NAME] = self._watching.finish()
        self.progress.report(watch.NAME, 1.0)
        self.progress.flush()

    def _note_media(self) -> None:
        """What the decoder found out, kept for the attempts after this one."""
        if self.stream is None:
            return
        info, known = self.stream.info, self.answer.media_info
        truncated = bool(known.get("truncated")) or self.stream.truncated
        # Of a recording that breaks off the header promises more than there is; what was decoded counts.
        believed = "decode_s" in known or not truncated
        self.answer.media_info = known | {
            "container": info.container,
            "duration_s": max(self.stream.duration_s, (known.get("duration_s") if believed else None) or 0.0),
            "has_audio": info.has_audio,
            "has_video": info.has_video,
            "width": info.width,
            "height": info.height,
            "frame_rate": info.frame_rate,
            "truncated": truncated,
            "decode_s": known.get("decode_s", 0.0) + self.stream.decode_s,
        }
        self.answer.save(update_fields=["media_info"])

    def warnings(self) -> list[dict[str, str]]:
        return warnings.collect(self.answer, self.outputs)


class _Watching:
    """The face stage in a thread of its own. Only the thread that made it touches the database."""

    def __init__(self, attempt: Attempt) -> None:
        self.done = threading.Event()
        self._attempt = attempt
        self._record = StageRecord(attempt.answer, watch.NAME, attempt.number, watch.versions())
        self._started = time.perf_counter()
        self._seconds = 0.0
        self._output: Output = {}
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._output = watch.run(self._attempt)
        except BaseException as error:  # noqa: BLE001 - raised again by `finish`, in the owner's thread
            self._error = error
        finally:
            self._seconds = time.perf_counter() - self._started
            self.done.set()

    def finish(self) -> Output:
        self._thread.join()
        if self._error is not None:
            self._record.fail(self._error)
            raise self._error
        self._record.complete(self._output, self._seconds)
        return self._output
