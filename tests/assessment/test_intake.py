"""Intake beneath the API: what is fetched from addresses, and what is stored."""

from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile, TemporaryUploadedFile

from assessment import intake
from assessment.errors import IntakeError
from assessment.intake import NewAnswer, create_assessment, fetch_media
from assessment.models import Answer, Assessment, Candidate
from mlcore.errors import AnalysisError
from tests.assessment.web_server import giving, redirecting, serving
from tests.media_factory import make_text_named

pytestmark = pytest.mark.django_db


@pytest.fixture
def downloading(interviewer):
    """An answer whose video is being fetched, as the job calls it."""
    candidate = Candidate.objects.create(name="Sari")
    assessment = Assessment.objects.create(candidate=candidate, owner=interviewer, source="json")
    return Answer.objects.create(assessment=assessment, position=1, question="One?", status="downloading")


def fetch(answer, path, answers, settings, allowed=True):
    shares = []
    with serving(answers) as (host, _):
        settings.DOWNLOAD_ALLOW_HOSTS = [host] if allowed else []
        answer.source_url = f"http://{host}{path}"
        fetch_media(answer, shares.append)
    return shares


def left_over(settings):
    folder = Path(settings.FILE_UPLOAD_TEMP_DIR)
    return sorted(folder.iterdir()) if folder.exists() else []


class TestFetch:
    def test_the_video_is_stored_with_what_its_container_says(self, downloading, short_video, settings):
        answers = {"/a": redirecting("/v.mp4"), "/v.mp4": giving(short_video.read_bytes())}
        shares = fetch(downloading, "/a", answers, settings)
        stored = Answer.objects.get()
        assert stored.media.read() == short_video.read_bytes()
        assert stored.media_info["has_video"]
        assert downloading.media == stored.media
        assert shares[-1] == 1.0
        assert left_over(settings) == []

    @pytest.mark.parametrize(
        "answers, code",
        [
            ({"/v.mp4": giving(b"this is text, not a video " * 50)}, "unreadable_media"),
            ({"/v.mp4": giving(b"<html></html>", "text/html")}, "download_failed"),
            ({"/v.mp4": giving(b"", status=404)}, "download_failed"),
            ({"/v.mp4": redirecting("http://169.254.169.254/latest/")}, "url_refused"),
        ],
    )
    def test_what_fails_stores_nothing(self, downloading, settings, answers, code):
        with pytest.raises(AnalysisError) as caught:
            fetch(downloading, "/v.mp4", answers, settings)
        assert caught.value.code == code
        assert not Answer.objects.get().media
        assert left_over(settings) == []

    def test_loopback_is_refused_unless_allowed(self, downloading, short_video, settings):
        answers = {"/v.mp4": giving(short_video.read_bytes())}
        with pytest.raises(AnalysisError) as caught:
            fetch(downloading, "/v.mp4", answers, settings, allowed=False)
        assert caught.value.code == "url_refused"

    def test_over_the_limit(self, downloading, short_video, settings):
        settings.MAX_UPLOAD_MB = 1
        answers = {"/v.mp4": giving(short_video.read_bytes() + b"\0" * 2_000_000, length=None)}
        with pytest.raises(AnalysisError) as caught:
            fetch(downloading, "/v.mp4", answers, settings)
        assert caught.value.code == "too_large"

    def test_an_answer_erased_meanwhile_keeps_no_file(self, downloading, short_video, settings, monkeypatch):
        real = intake.downloads.download

        def download_and_erase(*arguments, **options):
            size = real(*arguments, **options)
            Answer.objects.all().delete()
            return size

        monkeypatch.setattr(intake.downloads, "download", download_and_erase)
        with pytest.raises(AnalysisError):
            fetch(downloading, "/v.mp4", {"/v.mp4": giving(short_video.read_bytes())}, settings)
        assert list(Path(settings.MEDIA_ROOT).rglob(f"{downloading.assessment.uuid.hex}/*")) == []


class TestCreate:
    def make(self, *answers, **fields):
        fields = {"owner": None, "candidate_name": "Sari", "language": "en", "source": "command"} | fields
        return create_assessment(answers=answers, **fields)

    def test_all_answers_or_none(self, short_video, tmp_path, nothing_stored):
        good = NewAnswer(1, "One?", SimpleUploadedFile("a.mp4", short_video.read_bytes()))
        bad = SimpleUploadedFile("b.mp4", make_text_named(tmp_path / "b.mp4").read_bytes())
        with pytest.raises(IntakeError) as caught:
            self.make(good, NewAnswer(2, "Two?", bad))
        assert caught.value.details["video"] == 2
        nothing_stored()

    def test_a_refusal_between_good_answers_keeps_its_place(self, short_video):
        media = [SimpleUploadedFile("a.mp4", short_video.read_bytes()) for _ in range(2)]
        assessment = self.make(
            NewAnswer(7, "One?", media[0]),
            NewAnswer(8, "Two?", refusal=("no_video", "There is none.")),
            NewAnswer(9, "Three?", media[1]),
        )
        rows = assessment.answers.values_list("position", "status", "error_code")
        assert list(rows) == [(7, "queued", ""), (8, "error", "no_video"), (9, "queued", "")]

    def test_what_was_streamed_to_disk_is_renamed_and_private(self, short_video, settings):
        """Not copied: 500 MB would take longer than the answer may."""
        folder = Path(settings.FILE_UPLOAD_TEMP_DIR)
        folder.mkdir(parents=True, exist_ok=True)
        streamed = TemporaryUploadedFile("a.mp4", "video/mp4", 0, None)
        streamed.write(short_video.read_bytes())
        streamed.flush()
        inode = Path(streamed.temporary_file_path()).stat().st_ino
        stored = Path(self.make(NewAnswer(1, "One?", streamed)).answers.get().media.path)
        assert stored.stat().st_ino == inode
        assert stored.stat().st_mode & 0o777 == 0o600
        assert stored.parent.stat().st_mode & 0o777 == 0o700
        streamed.close()
        assert stored.exists()

    def test_no_answers(self, nothing_stored):
        with pytest.raises(IntakeError):
            self.make()
        nothing_stored()

    def test_the_shown_name_has_nothing_that_acts(self):
        media = SimpleUploadedFile("x", b"")
        media._name = "../../\x1b[2Ja\u202eb" + "c" * 200
        shown = intake.shown_name(media)
        assert "/" not in shown
        assert "\x1b" not in shown
        assert "\u202e" not in shown
        assert len(shown) <= 80

    def test_what_is_done_within_the_transaction_undoes_all(self, short_video, nothing_stored):
        def fail(assessment):
            raise RuntimeError("no")

        with pytest.raises(RuntimeError):
            self.make(
                NewAnswer(1, "One?", SimpleUploadedFile("a.mp4", short_video.read_bytes())),
                within=fail,
            )
        nothing_stored()

    @pytest.mark.django_db(transaction=True)
    def test_a_failure_after_the_commit_leaves_the_media(self, short_video, monkeypatch):
        from django.db import transaction

        def defect_on_commit(answer):
            transaction.on_commit(lambda: 1 / 0)

        monkeypatch.setattr(intake.jobs, "enqueue", defect_on_commit)
        with pytest.raises(ZeroDivisionError):
            self.make(NewAnswer(1, "One?", SimpleUploadedFile("a.mp4", short_video.read_bytes())))
        assert Answer.objects.get().media.read() == short_video.read_bytes()
