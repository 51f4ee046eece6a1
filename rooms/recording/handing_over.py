"""From chunks to an assessment: joined, made seekable, cut at the questions, and handed to the recorded pipeline."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.utils import translation

from assessment import fields, intake
from assessment.errors import is_disk_full
from assessment.hand_in import NewAnswer
from assessment.models import Assessment
from assessment.policy import Policy
from mlcore import media, media_remux
from mlcore.errors import AnalysisError
from rooms.consent import Granted
from rooms.models import Chunk, QuestionMark, Room, Segment
from rooms.recording.plan import MIN_PIECE_S, Mark, Part, Planned, plan

logger = logging.getLogger(__name__)

LONGER_THAN_ROOM_S = 60.0
"""A segment's times are not believed that pass the end of the interview by more. Assumption: a late stop."""
NOTHING_MESSAGE = "Nothing of this interview was recorded."


class Prepared(UploadedFile):
    """A file that was made here, to be moved into the storage by a rename."""

    def __init__(self, path: Path) -> None:
        super().__init__(file=None, name=path.name, size=path.stat().st_size)
        self._path = path

    def temporary_file_path(self) -> str:
        return str(self._path)


def prepare_and_create(
    room: Room, agreed: Granted, within: Callable[[Assessment], None], step: Callable[[], None]
) -> Assessment:
    """The assessment of a room's recording. `within` runs inside the transaction that makes it, `step` now and then
    (it may raise).

    Raises AnalysisError('nothing_recorded', 'unreadable_recording', 'storage_full', …)."""
    if not Chunk.objects.filter(segment__recording__room=room).exists():
        raise AnalysisError("nothing_recorded", NOTHING_MESSAGE)
    with _folder() as folder, translation.override(_language(room)):
        parts = _parts(room, folder, step)
        if not parts:
            raise unreadable()
        answers = _answers(room, folder, parts, agreed, step)
        return _create(room, agreed, answers, within)


def unreadable() -> AnalysisError:
    return AnalysisError("unreadable_recording", "The recording that arrived cannot be read.")


@contextmanager
def _folder() -> Iterator[Path]:
    """On the disk of the uploads, so that storing is a rename; what a killed worker leaves, `purge` removes."""
    uploads = Path(settings.FILE_UPLOAD_TEMP_DIR)
    uploads.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=uploads, prefix="recording-"))
    try:
        yield folder
    except OSError as error:
        if not is_disk_full(error):
            raise
        raise AnalysisError("storage_full", "The server's disk is full.", permanent=False) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _language(room: Room) -> str:
    """Of the words that stand for questions: that of the interview, where it is known."""
    return room.language if room.language in dict(settings.LANGUAGES) else settings.LANGUAGE_CODE


# -- Joining ------------------------------------------------------------------------------------


def _parts(room: Room, folder: Path, step: Callable[[], None]) -> list[Part]:
    parts: list[Part] = []
    for segment in Segment.objects.filter(recording__room=room):
        step()
        parts += _parts_of(room, segment, _join(segment, folder))
    return parts


def _join(segment: Segment, folder: Path) -> list[Path]:
    """The segment as one file, or where chunks are missing, as several, each readable by itself: what follows a gap
    begins with the next cluster or fragment, after the header of the first."""
    chunks = list(Chunk.objects.filter(segment=segment).order_by("sequence"))
    runs = [
        [chunk for _index, chunk in run]
        for _offset, run in groupby(enumerate(chunks), key=lambda pair: pair[1].sequence - pair[0])
    ]
    if not runs or runs[0][0].sequence != 0:
        logger.warning("Segment %s lacks its beginning; it cannot be read.", segment.pk)
        return []
    if len(runs) > 1:
        logger.warning("Segment %s lacks chunks in %d places.", segment.pk, len(runs) - 1)
    first = _written(folder / f"{segment.pk}-0", runs[0])
    header = media_remux.header_of(first)
    rest = [_resumed(folder / f"{segment.pk}-{n}", run, header) for n, run in enumerate(runs[1:], start=1)]
    return [first, *(path for path in rest if path is not None)]


def _written(target: Path, chunks: Sequence[Chunk]) -> Path:
    with target.open("wb") as out:
        for chunk in chunks:
            with chunk.file.open("rb") as file:
                shutil.copyfileobj(file, out)
    return target


def _resumed(target: Path, chunks: Sequence[Chunk], header: bytes) -> Path | None:
    raw = _written(target.with_name(f"{target.name}-raw"), chunks)
    at = media_remux.resume_at(raw)
    if at is None or not header:
        raw.unlink()
        return None
    with raw.open("rb") as file, target.open("wb") as out:
        out.write(header)
        file.seek(at)
        shutil.copyfileobj(file, out)
    raw.unlink()
    return target


def _parts_of(room: Room, segment: Segment, paths: Sequence[Path]) -> list[Part]:
    """What is readable of a segment. Its clock starts with its first file: the others tell the same one."""
    longest_s = _longest_s(room, segment)
    found = [(path, extent) for path in paths if (extent := _measured(segment, path, longest_s)) is not None]
    if not found:
        return []
    first_path, first = found[0]
    # A little below 0 is what coders of sound put before it.
    origin_s = max(0.0, first.start_s) if first_path == paths[0] else 0.0
    end_s = max(extent.end_s for _path, extent in found) - origin_s
    zero_s = _begun_s(room, segment, end_s) - origin_s
    parts = [Part(path, zero_s, zero_s + one.start_s, zero_s + one.end_s, one.kind) for path, one in found]
    return [part for part in parts if part.end_s <= segment.started_s + longest_s + LONGER_THAN_ROOM_S]


def _measured(segment: Segment, path: Path, longest_s: float) -> media_remux.Extent | None:
    """None for what cannot be read. Raises AnalysisError where another try may help."""
    try:
        return media_remux.measure(path, intake.media_limits(), longest_s=longest_s)
    except AnalysisError as error:
        if not error.permanent:
            raise
        logger.warning("A part of segment %s is left out: %s", segment.pk, error.code)
        return None


def _begun_s(room: Room, segment: Segment, seconds: float) -> float:
    """When the recorder began, in the room's time: as it was told, but early enough for all to be recorded before it
    arrived. Word of the start, or the first chunk in its stead, may have been late."""
    last = Chunk.objects.filter(segment=segment).latest("created_at")
    return max(0.0, min(segment.started_s, room.seconds_at(last.created_at) - seconds))


def _longest_s(room: Room, segment: Segment) -> float:
    return max(0.0, room.seconds_at(room.ended_at) - segment.started_s) + LONGER_THAN_ROOM_S


# -- Handing over -------------------------------------------------------------------------------


def _answers(
    room: Room, folder: Path, parts: Sequence[Part], agreed: Granted, step: Callable[[], None]
) -> list[NewAnswer]:
    """Raises AnalysisError where there is none that can be used."""
    marks = [Mark(mark.number, mark.t_s) for mark in QuestionMark.objects.filter(room=room)]
    planned = plan(parts, marks, room.questions, room.title, settings.MAX_DURATION_S)
    if not planned:
        raise AnalysisError("nothing_recorded", f"The recording is shorter than {MIN_PIECE_S:.0f} s.")
    longest_s = room.seconds_at(room.ended_at) + LONGER_THAN_ROOM_S
    answers = []
    for number, one in enumerate(planned, start=1):
        step()
        answers.append(_answer(folder / f"answer-{number}", number, one, agreed, longest_s))
    if all(answer.refusal for answer in answers):
        raise unreadable()
    return answers


def _answer(target: Path, number: int, planned: Planned, agreed: Granted, longest_s: float) -> NewAnswer:
    """Without consent to the analysis of the face, the sound alone. What cannot be made a file of becomes an answer
    that says so; the others go on."""
    limits, question = intake.media_limits(), planned.question[: fields.MAX_QUESTION_LENGTH]
    try:
        media_remux.write(target, planned.pieces, limits, longest_s=longest_s, video=agreed.face)
        media.probe([target], limits)
    except AnalysisError as error:
        if not error.permanent:
            raise
        logger.warning("Answer %d of a recording cannot be used: %s", number, error.code)
        target.unlink(missing_ok=True)
        return NewAnswer(number, question, refusal=(error.code, error.message))
    return NewAnswer(number, question, media=Prepared(target))


def _create(
    room: Room, agreed: Granted, answers: Sequence[NewAnswer], within: Callable[[Assessment], None]
) -> Assessment:
    policy = Policy.from_snapshot(room.policy)
    return intake.create_assessment(
        owner=room.owner,
        candidate=room.candidate,
        panel=list(room.panel.all()),
        source=Assessment.Source.ROOM,
        country=room.country,
        language=room.language,
        answers=answers,
        decided=policy if agreed.face and agreed.voice else policy.without_agreement(),
        consent_reference=f"room {room.code}",
        within=within,
    )
