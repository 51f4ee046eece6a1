"""`manage.py assess` as it is typed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from assessment.results import ResultsDocument
from tests import media_factory

ROOT = Path(__file__).resolve().parents[2]


def assess(*arguments: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "manage.py"), "assess", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, cwd=cwd, check=False)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("assess")
    speech = media_factory.make_speech("I like to solve hard problems.", folder / "speech.wav", voice="en-us")
    return media_factory.make_video(folder / "answer.mp4", speech=speech, size=(320, 240), fps=15.0)


def files_under(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file() or path.is_symlink()}


@pytest.mark.slow
def test_json_alone_on_standard_output_and_progress_on_standard_error(video: Path, tmp_path: Path) -> None:
    before = files_under(Path(settings.MEDIA_ROOT))
    done = assess(
        video, "--question", "What do you like?", "--candidate", "Sari", "--country", "id",
        "--language", "en", "--json", "-", "--pdf", tmp_path / "report.pdf",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    ResultsDocument.model_validate(document)
    assert document["name"] == "Sari" and document["metadata"]["candidate_country"] == "ID"
    assert "problems" in document["content"][0]["result"]["transkripsi_en"].lower()
    assert document["content"][0]["result"]["non_verbal_confidence_score"] is not None
    assert document["content"][0]["result"]["stress"]["timeline"] != []
    assert "transcribe done" in done.stderr and "grade done" in done.stderr
    assert ".cc:" not in done.stderr
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    assert video.is_file()
    assert files_under(Path(settings.MEDIA_ROOT)) == before


@pytest.mark.slow
def test_a_failed_answer_is_exit_1_and_the_others_are_in_the_json(video: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"not a video" * 100)
    before = files_under(Path(settings.MEDIA_ROOT))
    done = assess(video, broken, "--question", "One?", "--question", "Two?", "--json", tmp_path / "out.json")
    assert done.returncode == 1, done.stderr
    document = json.loads((tmp_path / "out.json").read_text())
    assert [item["status"] for item in document["content"]] == ["completed", "error"]
    assert document["content"][1]["error"]["code"] == "unreadable_media"
    assert "Perlu Tinjauan" in done.stdout
    assert broken.is_file()
    assert files_under(Path(settings.MEDIA_ROOT)) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "at least one video"),
        (("README.md",), "1 video(s) but 0 question(s)"),
        (("README.md", "--question", " "), "question is empty"),
        (("no-such.mp4", "--question", "Why?"), "No such file: no-such.mp4"),
        (("README.md", "--question", "Why?", "--language", "fr"), "invalid choice: 'fr'"),
        (("README.md", "--question", "Why?", "--country", "XX"), "ISO 3166"),
        (("README.md", "--question", "Why?", "--json", "/no/such/folder/x.json"), "No such folder"),
    ],
)
@pytest.mark.slow
def test_wrong_usage_is_exit_2(arguments: tuple[str, ...], said: str) -> None:
    done = assess(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stdout == ""
