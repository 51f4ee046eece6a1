"""Where everything untrusted stops: what is handed in is checked, probed and stored, or refused as a
whole."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.files import File
from django.core.files.uploadedfile import UploadedFile
from django.db import OperationalError, transaction
from django.utils import timezone

from assessment import access, downloads, fields, jobs, policy
from assessment.errors import IntakeError, is_disk_full, storage_full
from assessment.hand_in import HandIn, NewAnswer
from assessment.models import Answer, Assessment, Candidate
from mlcore import media
from mlcore.errors import AnalysisError
from mlcore.media_types import MediaInfo, MediaLimits

__all__ = ["HandIn", "IntakeError", "NewAnswer", "create", "create_assessment", "fetch_media", "media_limits"]

SHOWN_NAME_LENGTH = 80


class StoredFile(File):
    """A file that may be moved into the storage by a rename; the storage asks for `temporary_file_path`."""

    def temporary_file_path(self) -> str:
        assert self.name is not None
        return self.name


@dataclass(frozen=True)
class _Probed:
    answer: NewAnswer
    path: Path | None
    info: MediaInfo | None


def media_limits() -> MediaLimits:
    """What a recording may be like, from the settings."""
    return MediaLimits(
        max_duration_s=settings.MAX_DURATION_S,
        max_pixels=settings.MAX_VIDEO_PIXELS,
        min_side_px=settings.MIN_VIDEO_SIDE_PX,
    )


def create(
    handed_in: HandIn,
    *,
    owner: User | None,
    source: str,
    within: Callable[[Assessment], None] | None = None,
) -> Assessment:
    """`create_assessment` of a checked hand-in."""
    return create_assessment(
        owner=owner,
        source=source,
        candidate_name=handed_in.candidate_name,
        answers=handed_in.answers,
        language=handed_in.language,
        project_score=handed_in.project_score,
        country=handed_in.country,
        candidate_email=handed_in.candidate_email,
        consent_reference=handed_in.consent_reference,
        within=within,
    )


def create_assessment(
    *,
    owner: User | None,
    answers: Sequence[NewAnswer],
    language: str,
    source: str,
    candidate_name: str = "",
    candidate: Candidate | None = None,
    decided: policy.Policy | None = None,
    panel: Sequence[User] = (),
    project_score: float | None = None,
    country: str = "",
    candidate_email: str = "",
    consent_reference: str = "",
    external_id: str = "",
    within: Callable[[Assessment], None] | None = None,
) -> Assessment:
    """Probe the media of all `answers`, store it, make the records in one transaction and enqueue the work.

    All or nothing: raises IntakeError with nothing stored. `within` runs inside the transaction, after the
    records. Answers with a refusal are recorded as failed; the others go on. A `candidate` that is known already is
    used instead of the name, and a policy `decided` earlier instead of one of now.
    """
    candidate = candidate or Candidate(
        name=fields.name(candidate_name),
        email=fields.email(candidate_email),
        external_id=fields.text(external_id, "external_id", longest=fields.MAX_NAME_LENGTH, required=False),
    )
    code = fields.country(country)
    assessment = Assessment(
        candidate=candidate,
        owner=owner,
        language=fields.language(language),
        source=source,
        country=code,
        policy=(decided or policy.decide(code)).snapshot(),
        project_score=fields.score(project_score),
        consent_reference=fields.reference(consent_reference),
    )
    if not answers:
        raise fields.invalid("answers", "There are no answers to assess.", "count_out_of_range", count=0)
    with _paths(answers) as paths:
        probed = _probe_all(answers, paths)
        rows = [_row(assessment, order, one) for order, one in enumerate(probed)]
        with _disk_full_told(), _stored(rows, probed) as keep, transaction.atomic():
            transaction.on_commit(keep)
            _save(candidate, assessment, rows, owner)
            if panel:
                assessment.panel.set(panel)
            if within is not None:
                within(assessment)
    return assessment


@contextmanager
def _paths(answers: Sequence[NewAnswer]) -> Iterator[list[Path | None]]:
    """Each answer's file on disk: where the upload was streamed to, else (a file in memory) a temporary
    copy."""
    folder = Path(settings.FILE_UPLOAD_TEMP_DIR)
    folder.mkdir(parents=True, exist_ok=True)
    copies: list[Path] = []

    def path_of(answer: NewAnswer) -> Path | None:
        if answer.media is None:
            return None
        if hasattr(answer.media, "temporary_file_path"):
            return Path(answer.media.temporary_file_path())
        descriptor, name = tempfile.mkstemp(dir=folder, prefix="copy-")
        copies.append(Path(name))
        with os.fdopen(descriptor, "wb") as out:
            shutil.copyfileobj(answer.media.open(), out)
        return copies[-1]

    try:
        with _disk_full_told():
            paths = [path_of(answer) for answer in answers]
        yield paths
    finally:
        for copy in copies:
            copy.unlink(missing_ok=True)


@contextmanager
def _disk_full_told() -> Iterator[None]:
    try:
        yield
    except (OSError, OperationalError) as error:
        if not is_disk_full(error):
            raise
        raise storage_full() from error


def _probe_all(answers: Sequence[NewAnswer], paths: Sequence[Path | None]) -> list[_Probed]:
    present = [index for index, path in enumerate(paths) if path is not None]
    try:
        infos = media.probe([path for path in paths if path is not None], media_limits())
    except media.ProbeError as error:
        raise _refusal(answers, present[error.index], error) from error
    info_of = dict(zip(present, infos, strict=True))
    return [_Probed(answer, paths[index], info_of.get(index)) for index, answer in enumerate(answers)]


def _refusal(answers: Sequence[NewAnswer], index: int, error: AnalysisError) -> IntakeError:
    name = shown_name(answers[index].media)
    details: dict[str, Any] = {"field": f"videos[{index}]", "video": index + 1, "file": name}
    return IntakeError(error.code, f"Video {index + 1} ({name}): {error.message}", 400, details)


def shown_name(file: UploadedFile | None) -> str:
    """The last part of the uploader's file name, fit to be shown; it never becomes part of a path."""
    raw = PurePosixPath((file.name if file else None) or "").name
    clean = "".join(character for character in raw if character.isprintable())
    return clean[:SHOWN_NAME_LENGTH] or "without a name"


def _row(assessment: Assessment, order: int, probed: _Probed) -> Answer:
    given = probed.answer
    row = Answer(
        assessment=assessment,
        position=given.position,
        order=order,
        question=fields.question(given.question, f"questions[{order}]"),
        source_url=given.source_url,
        media_info=asdict(probed.info) if probed.info else {},
    )
    if given.refusal is not None:
        row.status = Answer.Status.ERROR
        row.error_code, row.error_message = given.refusal
        row.finished_at = timezone.now()
    return row


@contextmanager
def _stored(rows: Sequence[Answer], probed: Sequence[_Probed]) -> Iterator[Callable[[], None]]:
    """The media in the storage (by a rename where it is on the same disk); taken out again if the block fails
    before it calls what it is given."""
    kept = threading.Event()
    try:
        for row, one in zip(rows, probed, strict=True):
            if one.path is not None:
                _store(row, one.path)
        yield kept.set
    except BaseException:
        for row in rows:
            if row.media.name and not kept.is_set():
                row.media.storage.delete(row.media.name)
        raise


def _store(row: Answer, path: Path) -> None:
    with path.open("rb") as opened:
        row.media.save(path.name, StoredFile(opened, name=str(path)), save=False)


def _save(candidate: Candidate, assessment: Assessment, rows: Sequence[Answer], owner: User | None) -> None:
    if candidate.pk is None:
        candidate.save()
    assessment.candidate = candidate
    assessment.save()
    for row in rows:
        row.assessment = assessment
        row.save()
        if row.status == Answer.Status.QUEUED:
            jobs.enqueue(row)
    if all(row.status == Answer.Status.ERROR for row in rows):
        jobs.enqueue_finalize(assessment)
    access.record("assessment.create", assessment, owner, source=assessment.source, answers=len(rows))


def fetch_media(answer: Answer, on_progress: Callable[[float], None]) -> None:
    """Download `answer.source_url` into `answer.media`; in the job, before the first stage.

    Stored only when whole and readable. Raises AnalysisError('url_refused', 'download_failed', 'too_large',
    'storage_full', 'unreadable_media', …); `permanent` is False where another try may help.
    """
    folder = Path(settings.FILE_UPLOAD_TEMP_DIR)
    folder.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=folder, prefix="download-")
    os.close(descriptor)
    path = Path(name)
    try:
        downloads.download(answer.source_url, path, on_progress=on_progress)
        (info,) = media.probe([path], media_limits())
        _keep_download(answer, path, info)
    finally:
        path.unlink(missing_ok=True)


def _keep_download(answer: Answer, path: Path, info: MediaInfo) -> None:
    try:
        _store(answer, path)
    except OSError as error:
        if not is_disk_full(error):
            raise
        raise AnalysisError("storage_full", "The server's disk is full.", permanent=False) from error
    answer.media_info = asdict(info)
    kept = Answer.objects.filter(pk=answer.pk, status__in=Answer.ACTIVE).update(
        media=answer.media.name, media_info=answer.media_info
    )
    if not kept:
        answer.media.storage.delete(answer.media.name or "")
        raise AnalysisError("download_failed", "The answer was erased while its video was being fetched.")
