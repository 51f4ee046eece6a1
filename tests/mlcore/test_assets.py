"""Model files: fetched with resume, checked, refused when wrong."""

import hashlib
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mlcore import assets
from mlcore.assets import Asset, ModelFile, UrlSource
from mlcore.errors import AnalysisError

CONTENT = bytes(range(256)) * 8000


class Store(BaseHTTPRequestHandler):
    """Serves CONTENT with ranges; `breaks_after` cuts the next answer off after so many bytes."""

    breaks_after: int | None = None
    ranges: list[str | None] = []

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        Store.ranges.append(asked)
        if self.path == "/missing":
            self.send_error(404)
            return
        start = int(re.fullmatch(r"bytes=(\d+)-", asked).group(1)) if asked else 0
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        end = len(CONTENT) if Store.breaks_after is None else start + Store.breaks_after
        Store.breaks_after = None
        self.wfile.write(CONTENT[start:end])

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def store() -> Iterator[str]:
    Store.breaks_after, Store.ranges = None, []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Store)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def asset_at(*urls: str, sha256: str | None = None) -> Asset:
    digest = sha256 or hashlib.sha256(CONTENT).hexdigest()
    file = ModelFile("weights.bin", len(CONTENT), digest, tuple(UrlSource(url) for url in urls))
    return Asset("thing", "1", "MIT", "tests", (file,))


def silent(name: str, done: int, total: int) -> None:
    pass


def test_it_fetches_checks_and_then_skips(store: str, tmp_path: Path) -> None:
    asset, seen = asset_at(f"{store}/file"), []
    assert assets.fetch(tmp_path, asset, lambda *step: seen.append(step)) == ["weights.bin"]
    assert (tmp_path / "thing" / "weights.bin").read_bytes() == CONTENT
    assert seen[-1] == ("weights.bin", len(CONTENT), len(CONTENT))
    assert assets.fetch(tmp_path, asset, silent) == []
    assert len(Store.ranges) == 1


def test_it_takes_a_broken_fetch_up_again(store: str, tmp_path: Path) -> None:
    asset = asset_at(f"{store}/file")
    Store.breaks_after = 1_100_000
    with pytest.raises(AnalysisError) as caught:
        assets.fetch(tmp_path, asset, silent)
    assert caught.value.code == "model_fetch_failed"
    kept = (tmp_path / "thing" / "weights.bin.part").stat().st_size
    assert 0 < kept <= 1_100_000
    assets.fetch(tmp_path, asset, silent)
    assert Store.ranges[-1] == f"bytes={kept}-"
    assert (tmp_path / "thing" / "weights.bin").read_bytes() == CONTENT


def test_it_refuses_a_wrong_hash_and_removes_the_file(store: str, tmp_path: Path) -> None:
    with pytest.raises(AnalysisError, match="SHA-256"):
        assets.fetch(tmp_path, asset_at(f"{store}/file", sha256="0" * 64), silent)
    assert list((tmp_path / "thing").iterdir()) == []


def test_it_tries_the_next_source(store: str, tmp_path: Path) -> None:
    assets.fetch(tmp_path, asset_at(f"{store}/missing", f"{store}/file"), silent)
    assert (tmp_path / "thing" / "weights.bin").read_bytes() == CONTENT


def test_a_damaged_file_is_fetched_again(store: str, tmp_path: Path) -> None:
    asset = asset_at(f"{store}/file")
    assets.fetch(tmp_path, asset, silent)
    damaged = bytearray(CONTENT)
    damaged[77] ^= 1
    (tmp_path / "thing" / "weights.bin").write_bytes(damaged)
    assert assets.fetch(tmp_path, asset, silent) == ["weights.bin"]
    assert (tmp_path / "thing" / "weights.bin").read_bytes() == CONTENT


def test_it_names_what_is_missing(tmp_path: Path) -> None:
    assert {"face_landmarker/face_landmarker.task", "whisper-base/model.bin"} <= {*assets.missing(tmp_path)}
    assert "whisper-small/model.bin" not in assets.missing(tmp_path)


def test_another_recogniser_is_wanted_beside_the_base_that_the_voice_model_hears_with(tmp_path: Path) -> None:
    wanted = assets.missing(tmp_path, "small")
    assert {"whisper-base/model.bin", "whisper-small/model.bin"} <= {*wanted}


def test_the_inventory_names_licence_and_more_than_one_source_for_the_large_files() -> None:
    for asset in assets.INVENTORY:
        assert asset.licence and asset.version and asset.size_bytes > 1_000_000
        largest = max(asset.files, key=lambda file: file.size_bytes)
        assert len(largest.sources) >= 2
        assert all(len(file.sha256) == 64 for file in asset.files)


def test_another_whisper_model_is_asked_of_the_hub(tmp_path: Path) -> None:
    with pytest.raises(AnalysisError, match="no-such-model"):
        assets.fetch_whisper(tmp_path, "no-such-model")
