"""People and media that many tests of this app need."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.utils.translation import trans_real

from assessment.models import ApiToken
from tests.media_factory import make_video, tone


@pytest.fixture(scope="session")
def short_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of picture and tone, in a small MP4."""
    path = tmp_path_factory.mktemp("media") / "short.mp4"
    return make_video(path, seconds=1.0, fps=10, size=(160, 120), face=False, samples=tone(1.0))


@pytest.fixture
def interviewer(db: None) -> User:
    return User.objects.create_user("interviewer", password="a long enough password")


@pytest.fixture
def stranger(db: None) -> User:
    return User.objects.create_user("stranger", password="a long enough password")


@pytest.fixture
def hr_admin(db: None) -> User:
    return User.objects.create_superuser("hr", password="a long enough password")


@pytest.fixture
def bearer(interviewer: User) -> dict[str, str]:
    """Headers of the interviewer's API token, for the test client."""
    return {"HTTP_AUTHORIZATION": f"Bearer {ApiToken.issue(interviewer)[1]}"}


@pytest.fixture(scope="session")
def translations() -> None:
    """The Indonesian texts, compiled from what stands in locale/ now."""
    if shutil.which("msgfmt") is None:
        pytest.skip("msgfmt of gettext is not installed")
    for source in Path(settings.BASE_DIR, "locale").rglob("*.po"):
        made = source.with_suffix(f".{os.getpid()}")
        subprocess.run(["msgfmt", "--check", "-o", made, source], check=True, timeout=120)
        made.replace(source.with_suffix(".mo"))  # whole: sites and tests beside this one read it meanwhile
    trans_real._translations.clear()


def files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file()) if folder.exists() else []


@pytest.fixture
def nothing_stored() -> "NothingStored":
    return NothingStored()


class NothingStored:
    """Called: no file and no record has come since the fixture was made."""

    def __init__(self) -> None:
        self._before = self._look()

    def _look(self) -> list[Path]:
        return files_below(Path(settings.MEDIA_ROOT)) + files_below(Path(settings.FILE_UPLOAD_TEMP_DIR))

    def __call__(self) -> None:
        from assessment.models import Assessment, Candidate

        assert self._look() == self._before
        assert not Assessment.objects.exists()
        assert not Candidate.objects.exists()
