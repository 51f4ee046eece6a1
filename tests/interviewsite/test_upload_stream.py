"""Uploads while they arrive: who may send, how much, what stays when they break off. The server is a fake that
speaks ASGI as uvicorn does, except in the last class."""

import asyncio
import http.client
import json
import socket
import tempfile
import threading
import time
from pathlib import Path

import psutil
import pytest
from django.conf import settings as site
from django.contrib.auth.models import User

from assessment.models import ApiToken, Assessment
from interviewsite import body as bodies
from interviewsite.asgi import application
from tests.assessment.conftest import files_below
from tests.bench.uploads import Server, form, padded_video, upload
from tests.media_factory import make_video, tone

BOUNDARY = "x-boundary-x"


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("media") / "v.mp4"
    return make_video(path, seconds=1.0, fps=10, size=(160, 120), face=False, samples=tone(1.0)).read_bytes()


@pytest.fixture
def token(transactional_db) -> str:
    return ApiToken.issue(User.objects.create_user("interviewer"))[1]


@pytest.fixture
def new_files():
    """Called: the uploads and media that have come since the fixture was made."""

    def look() -> set[Path]:
        return {*files_below(Path(site.FILE_UPLOAD_TEMP_DIR)), *files_below(Path(site.MEDIA_ROOT))}

    before = look()
    return lambda: look() - before


class Exchange:
    """One request: `pieces` come one by one as they are asked for; then the caller waits, or `leaves`."""

    def __init__(self, path, pieces=(), leaves=False, method="POST", **headers):
        named = [
            (name.replace("_", "-").encode(), str(value).encode("latin-1")) for name, value in headers.items()
        ]
        self.scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(b"host", b"localhost"), *named],
            "client": ("127.0.0.1", 5000),
            "server": ("localhost", 8000),
            "scheme": "http",
        }
        self.pieces = list(pieces)
        self.given = 0
        self.leaves = leaves
        self.sent = []
        self.answered = asyncio.Event()

    async def receive(self):
        if self.given < len(self.pieces):
            piece = self.pieces[self.given]
            self.given += 1
            last = self.given == len(self.pieces) and not self.leaves
            return {"type": "http.request", "body": piece, "more_body": not last}
        if not self.leaves:
            await self.answered.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        self.sent.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self.answered.set()

    async def run(self):
        await application(self.scope, self.receive, self.send)
        return self

    @property
    def status(self):
        return self.sent[0]["status"]

    @property
    def headers(self):
        return {name.lower(): value for name, value in self.sent[0]["headers"]}

    @property
    def document(self):
        return json.loads(b"".join(message.get("body", b"") for message in self.sent[1:]))

    @property
    def code(self):
        return self.document["error"]["code"]


def exchange(*arguments, **options):
    async def run():
        return await Exchange(*arguments, **options).run()

    return asyncio.run(run())


def multipart(video: bytes) -> bytes:
    return b"".join(form(BOUNDARY, {"candidate_name": "Sari", "questions": "One?"}, [video]))


def cut(content: bytes, size: int) -> list[bytes]:
    return [content[start : start + size] for start in range(0, len(content), size)]


def form_headers(token, length=None, **more):
    headers = {"content_type": f"multipart/form-data; boundary={BOUNDARY}", **more}
    headers |= {"authorization": f"Bearer {token}"} if token else {}
    return headers | ({"content_length": length} if length is not None else {})


class TestCallsWithoutUpload:
    """Django takes in the whole body of these before anything knows who sends it."""

    FORM = {"content_type": "application/x-www-form-urlencoded", "transfer_encoding": "chunked"}

    @pytest.fixture(autouse=True)
    def _spools(self, monkeypatch):
        self.kept = []
        make = tempfile.SpooledTemporaryFile

        class Spool(make):
            def write(spool, content):
                self.kept.append(len(content))
                return super().write(content)

        monkeypatch.setattr("django.core.handlers.asgi.tempfile.SpooledTemporaryFile", Spool)

    @pytest.mark.django_db(transaction=True)
    def test_a_long_body_is_not_kept_and_not_taken_for_a_whole_one(self):
        pieces = [b"username=x&"] + [b"x" * (1 << 20)] * 20
        done = exchange("/login/", pieces, cookie=f"csrftoken={'x' * 32}", **self.FORM)
        assert done.status == 400
        assert done.given == 21
        assert sum(self.kept) < 4 << 20

    @pytest.mark.django_db(transaction=True)
    def test_a_body_without_end_is_given_up(self, monkeypatch):
        monkeypatch.setattr(bodies, "LINGER_BYTES", 4 << 20)
        done = exchange("/api/rooms/create", [b"x" * (1 << 20)] * 100, **self.FORM)
        assert done.given < 10 and not done.sent

    @pytest.mark.django_db(transaction=True)
    def test_a_usual_body_comes_whole(self, token):
        content = json.dumps(
            {"title": "T" * 100, "candidate_name": "Sari", "candidate_country": "ID"}
        ).encode()
        headers = {"content_type": "application/json", "authorization": f"Bearer {token}"}
        assert exchange("/api/rooms/create", cut(content, 7), **headers).status == 201


class TestTaken:
    @pytest.mark.parametrize("size", [1 << 16, 1 << 20, 1013])
    def test_a_form_in_pieces_of_any_size(self, token, video, size):
        content = multipart(video)
        done = exchange("/upload", cut(content, size), **form_headers(token, len(content)))
        assert done.status == 200, done.document
        stored = Assessment.objects.get(uuid=done.document["session_id"]).answers.get()
        assert stored.media.read() == video
        assert b"connection" not in done.headers

    def test_a_form_of_unknown_length(self, token, video):
        done = exchange(
            "/upload", cut(multipart(video), 5000), **form_headers(token, transfer_encoding="chunked")
        )
        assert done.status == 200, done.document

    def test_json_in_pieces(self, token):
        content = json.dumps({"candidate_name": "Sari", "interviews": [{"question": "One?"}]}).encode()
        headers = {"content_type": "application/json", "authorization": f"Bearer {token}"}
        assert exchange("/upload_json", cut(content, 7), **headers).status == 200

    def test_the_page_takes_its_form_while_it_arrives(self, token, client, video):
        """Not signed in: sent to the sign-in page before anything is taken."""
        done = exchange("/assessments/new/", cut(multipart(video), 1000), **form_headers(None))
        assert (done.status, done.headers[b"location"]) == (302, b"/login/?next=/assessments/new/")

    def test_other_calls_go_djangos_own_way(self, transactional_db):
        done = exchange(
            "/login/", [b"username=a&", b"password=b"], content_type="application/x-www-form-urlencoded"
        )
        assert done.status == 403  # no CSRF token: the form was read
        assert exchange("/login/", [b""], method="GET").status == 200


class TestRefusedBeforeTheBody:
    @pytest.mark.parametrize("path", ["/upload", "/upload_json"])
    @pytest.mark.parametrize("token", [None, "wrong"])
    def test_strangers(self, transactional_db, path, token):
        waiting = form_headers(token, 300_000_000, expect="100-continue")
        done = exchange(path, [b"x" * 1000] * 3, **waiting)
        assert (done.status, done.code) == (401, "unauthenticated")
        assert done.given == 0

    @pytest.mark.parametrize("path, length", [("/upload", 600 * 1024 * 1024), ("/upload_json", 3_000_000)])
    def test_a_declared_length_over_the_limit(self, token, path, length):
        done = exchange(path, [b"x" * 1000] * 3, **form_headers(token, length, expect="100-continue"))
        assert (done.status, done.code) == (413, "too_large")
        assert done.given == 0

    def test_what_is_on_its_way_is_thrown_away_so_that_the_answer_is_read(self, transactional_db):
        """Without `Expect`, callers send on: a reset connection would take the answer from them."""
        done = exchange("/upload", [b"x" * 1000] * 30, **form_headers(None, 30_000))
        assert (done.status, done.code) == (401, "unauthenticated")
        assert done.given == 30
        assert done.headers[b"connection"] == b"close"
        assert [message.get("more_body") for message in done.sent[1:]] == [True, False]

    def test_a_caller_that_never_stops_is_cut_off(self, transactional_db, monkeypatch):
        monkeypatch.setattr(bodies, "LINGER_BYTES", 5000)
        done = exchange("/upload", [b"x" * 1000] * 30, **form_headers(None, 30_000))
        assert done.status == 401
        assert done.given <= 6

    def test_a_caller_that_goes_silent_is_cut_off(self, transactional_db, monkeypatch):
        monkeypatch.setattr(bodies, "LINGER_S", 0.2)

        async def run():
            silent = Exchange("/upload", **form_headers(None, 30_000))
            async with asyncio.timeout(60):
                return await silent.run()

        assert asyncio.run(run()).status == 401


class TestRefusedOnTheWay:
    def test_a_body_of_unknown_length_stops_at_the_limit(self, new_files, token, video, settings):
        settings.MAX_UPLOAD_MB = 1
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100_000
        content = multipart(video + b"\0" * 20_000_000)
        done = exchange("/upload", cut(content, 100_000), **form_headers(token, expect="100-continue"))
        assert (done.status, done.code) == (413, "too_large")
        assert done.given <= 13
        assert new_files() == set()

    def test_json_of_unknown_length_stops_at_its_limit(self, token, settings):
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10_000
        headers = {
            "content_type": "application/json",
            "authorization": f"Bearer {token}",
            "expect": "100-continue",
        }
        done = exchange("/upload_json", [b" " * 1000] * 100, **headers)
        assert (done.status, done.code) == (413, "too_large")
        assert done.given <= 12

    def test_a_caller_who_leaves_leaves_nothing(self, new_files, token, video):
        content = multipart(video + b"\0" * 500_000)
        began = time.monotonic()
        exchange("/upload", cut(content, 50_000)[:8], leaves=True, **form_headers(token, len(content)))
        assert time.monotonic() - began < 30
        assert new_files() == set()
        assert not Assessment.objects.exists()

    def test_a_body_that_stalls_is_given_up(self, new_files, token, video, monkeypatch):
        monkeypatch.setattr(bodies.BodyStream.__init__, "__defaults__", (0.2,))
        monkeypatch.setattr(bodies, "LINGER_S", 0.2)

        async def run():
            stalled = Exchange("/upload", cut(multipart(video), 1000)[:3], **form_headers(token, 900_000))
            stalled.receive = _stalling(stalled)
            await asyncio.wait_for(stalled.run(), 60)
            return stalled

        done = asyncio.run(run())
        assert (done.status, done.code) == (408, "upload_stalled")
        assert new_files() == set()

    def test_a_server_that_stops_does_not_wait_for_the_body(self, new_files, token, video):
        """Cancelled in the middle of a body: the thread that reads must end, or the event loop would wait for it."""

        async def run():
            stalled = Exchange("/upload", cut(multipart(video), 1000)[:3], **form_headers(token, 900_000))
            stalled.receive = _stalling(stalled)
            task = asyncio.create_task(stalled.run())
            await asyncio.sleep(0.5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(task, 60)

        before = threading.active_count()
        asyncio.run(run())
        assert threading.active_count() <= before + 1
        assert new_files() == set()


def _stalling(stalled: Exchange):
    async def receive():
        if stalled.given < len(stalled.pieces):
            stalled.given += 1
            return {"type": "http.request", "body": stalled.pieces[stalled.given - 1], "more_body": True}
        await asyncio.Event().wait()

    return receive


@pytest.mark.slow
class TestWithUvicorn:
    @pytest.fixture(scope="class")
    def server(self, tmp_path_factory):
        with Server(tmp_path_factory.mktemp("server"), "uvicorn") as running:
            yield running

    def test_a_hundred_megabytes_pass_in_little_memory(self, server, video):
        padded = padded_video(video, 100_000_000)
        report = upload(server, padded)
        assert report.status == 200
        assert report.growth_mb < 64

    def test_strangers_are_refused_before_they_send(self, server):
        with socket.create_connection(("127.0.0.1", server.port), 60) as caller:
            caller.sendall(b"POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 400000000\r\n\r\n")
            assert caller.recv(200).startswith(b"HTTP/1.1 401 ")

    def test_a_client_that_sends_it_all_reads_the_refusal(self, server):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
        connection.request("POST", "/upload", body=b"x" * 20_000_000)
        assert connection.getresponse().status == 401

    def test_a_broken_connection_leaves_nothing(self, server, video):
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", server.port), 60) as caller:
                head = (
                    f"POST /upload HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {server.token}\r\n"
                    f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: 90000000\r\n\r\n"
                )
                caller.sendall(head.encode() + multipart(video + b"\0" * 3_000_000))
                self.wait_for(lambda: files_below(server.folder / "uploads"))
        self.wait_for(lambda: not files_below(server.folder / "uploads"))
        self.wait_for(lambda: psutil.Process(server.process.pid).num_threads() < 12)
        assert upload(server, video).status == 200

    def wait_for(self, what):
        until = time.monotonic() + 90
        while not what():
            assert time.monotonic() < until
            time.sleep(0.05)
