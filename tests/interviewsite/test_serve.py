"""`manage.py serve` as a person runs it: real processes, real signals."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import requests

from interviewsite.serving.valkey import EmbeddedValkey
from tests.interviewsite.processes import (
    ROOT,
    Running,
    alive,
    children,
    clean_environment,
    command_line,
    free_port,
    running,
    wait_for,
)
from tests.media_factory import make_video, tone

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def health(port: int) -> dict | None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=10) as answer:
            return json.load(answer)
    except (OSError, http.client.HTTPException, ValueError):
        return None


@contextmanager
def serving(folder: Path, *options: str, **variables: str):
    """A site on a state folder of its own; the running command and its port."""
    port = free_port()
    environment = clean_environment(VAR_DIR=str(folder / "var"), **variables)
    command = ["serve", "--port", str(port), *options]
    with running(command, folder / "serve.log", environment) as site:
        yield site, port


def children_of(site: Running, part: str) -> list[psutil.Process]:
    """Living processes that `serve` itself started and whose command line has `part`.

    Not their own children: between fork and exec those carry their parent's command line.
    """
    return [process for process in children(site.pid) if part in command_line(process)]


def test_a_process_that_has_ended_has_neither_a_command_line_nor_children():
    process = psutil.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert "input()" in command_line(process)
    process.communicate(b"\n")
    assert command_line(process) == ""
    assert children(process.pid) == []


def test_from_an_empty_folder_it_comes_up_and_one_signal_stops_all_of_it(tmp_path):
    with serving(tmp_path) as (site, port):
        wait_for(lambda: health(port))
        site.says(f"Wawancara on http://127.0.0.1:{port}")
        passwords = dict(re.findall(r"^username=(\S+) password=(\S+)$", site.output(), re.MULTILINE))
        assert set(passwords) == {"hr", "interviewer"}
        assert all(len(password) >= 12 for password in passwords.values())
        queue_url = tmp_path / "var" / "run" / "queue_url"
        assert queue_url.stat().st_mode & 0o777 == 0o600
        wait_for(lambda: (health(port) or {}).get("workers") == "ok", within_s=180)
        everybody = site.family()
        assert len(alive(everybody)) >= 4, "serve, Valkey, web server, worker"
        site.stop()
        assert site.process.returncode == 0
        wait_for(lambda: not alive(everybody))
        assert not queue_url.exists()
    with serving(tmp_path) as (site, _port):
        site.says("Wawancara on")
        assert not site.lines("password=")
        os.killpg(os.getpgid(site.pid), signal.SIGINT)
        site.process.send_signal(signal.SIGINT)
        assert site.process.wait(timeout=90) == 0
        wait_for(lambda: not alive(site.family()))


def test_the_first_passwords_can_be_given(tmp_path):
    with serving(tmp_path, "--workers", "0", INITIAL_PASSWORD="kopi-tubruk-9") as (site, _port):
        site.says("username=hr password=kopi-tubruk-9")
        site.says("username=interviewer password=kopi-tubruk-9")


def test_dead_children_are_started_again_and_named(tmp_path):
    with serving(tmp_path) as (site, port):
        site.says("Wawancara on")
        for part, name in (
            ("manage.py work", "worker 1"),
            ("serving.web", "web server"),
            ("manage.py infer", "live analysis"),
            ("valkey", "queue"),
        ):
            [victim] = wait_for(lambda part=part: children_of(site, part))
            victim.kill()
            site.says(f"The {name} (process {victim.pid}) was ended by SIGKILL; starting it again.")
            wait_for(lambda part=part, victim=victim: victim not in (children_of(site, part) or [victim]))
        wait_for(lambda: (health(port) or {}).get("queue") == "ok")
        wait_for(lambda: (health(port) or {}).get("workers") == "ok", within_s=180)
        url = (tmp_path / "var" / "run" / "queue_url").read_text()
        [queue] = wait_for(lambda: children_of(site, "valkey"))
        assert f":{command_line(queue).rpartition(':')[2]}/" in url
        everybody = site.family()
        site.stop()
        wait_for(lambda: not alive(everybody))


def test_the_live_analysis_comes_with_the_site_without_workers_too_and_goes_with_it(tmp_path):
    path = tmp_path / "var" / "run" / "inference.sock"
    with serving(tmp_path, "--workers", "0") as (site, _port):
        site.says("Wawancara on")
        site.says("Models for live rooms loaded", within_s=240)
        [process] = children_of(site, "manage.py infer")
        assert path.stat().st_mode & 0o777 == 0o600
        site.stop()
        wait_for(lambda: not alive([process]))
    assert not path.exists()


def token_of(site: Running, folder: Path, username: str) -> str:
    command = [sys.executable, str(ROOT / "manage.py"), "create_token", username]
    environment = clean_environment(VAR_DIR=str(folder / "var"))
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout.strip()


def upload(port: int, token: str, video: Path) -> str:
    """Hand in one answer; the session id."""
    with video.open("rb") as file:
        answer = requests.post(
            f"http://127.0.0.1:{port}/upload",
            headers={"Authorization": f"Bearer {token}"},
            data={"candidate_name": "Sari", "questions": ["What did you build?"], "language": "en"},
            files={"videos": ("answer.mp4", file, "video/mp4")},
            timeout=120,
        )
    assert answer.status_code == 200, answer.text
    return answer.json()["session_id"]


def rows(folder: Path, sql: str, *values: str) -> list[tuple]:
    with contextlib.closing(sqlite3.connect(folder / "var" / "db.sqlite3", timeout=20)) as database:
        return database.execute(sql, values).fetchall()


def test_work_goes_on_by_itself_when_a_worker_is_killed_and_stops_with_the_site(tmp_path):
    video = make_video(tmp_path / "a.mp4", seconds=60.0, samples=tone(60.0), size=(480, 360), fps=15.0)
    answer = (
        "SELECT a.status, a.attempts FROM assessment_answer a JOIN assessment_assessment s "
        "ON s.id = a.assessment_id WHERE s.uuid = ?"
    )
    watching = (
        "SELECT 1 FROM assessment_stagerun WHERE stage = 'watch' AND status = 'running' AND percent > 0"
    )
    with serving(tmp_path) as (site, port):
        site.says("Wawancara on")
        token = token_of(site, tmp_path, "interviewer")
        first = upload(port, token, video)
        wait_for(lambda: rows(tmp_path, watching), within_s=180)
        [worker] = children_of(site, "manage.py work")
        [(_, attempts)] = rows(tmp_path, answer, first)
        worker.kill()
        site.says("1 answer(s) that it was working on will be resumed.")
        wait_for(lambda: rows(tmp_path, answer, first) == [("processing", attempts + 1)], within_s=180)
        wait_for(lambda: rows(tmp_path, answer, first)[0][0] == "completed", within_s=300)
        second = upload(port, token, video)
        wait_for(lambda: rows(tmp_path, answer, second)[0][0] == "processing", within_s=120)
        everybody = site.family()
        site.stop()
        wait_for(lambda: not alive(everybody))
    [(status, attempts)] = rows(tmp_path, answer, second)
    killed = site.lines("The worker 1 did not stop in time and was killed.")  # by a slow machine
    assert status == "queued"
    assert attempts == 0 or killed


def test_nothing_survives_when_serve_itself_is_killed(tmp_path):
    with serving(tmp_path) as (site, port):
        wait_for(lambda: (health(port) or {}).get("workers") == "ok", within_s=180)
        everybody = site.family()
        assert len(alive(everybody)) >= 4
        site.stop(signal.SIGKILL)
        wait_for(lambda: not alive(everybody))
    with serving(tmp_path, "--workers", "0") as (site, port):
        wait_for(lambda: (health(port) or {}).get("queue") == "ok")


def test_a_port_in_use_is_named_and_nothing_is_started(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        environment = clean_environment(VAR_DIR=str(tmp_path / "var"))
        with running(["serve", "--port", str(port)], tmp_path / "log", environment) as site:
            assert site.process.wait(timeout=90) == 1
            assert re.search(rf"Port {port} .* cannot be used: Address already in use", site.output())
            assert "Traceback" not in site.output()
    assert not (tmp_path / "var" / "db.sqlite3").exists()


def test_a_second_serve_on_the_same_state_is_refused(tmp_path):
    with serving(tmp_path, "--workers", "0") as (site, _port):
        site.says("Wawancara on")
        environment = clean_environment(VAR_DIR=str(tmp_path / "var"))
        command = ["serve", "--port", str(free_port())]
        with running(command, tmp_path / "second.log", environment) as second:
            assert second.process.wait(timeout=90) == 1
            assert f"Another `serve` (process {site.pid}) already runs" in second.output()
        assert (tmp_path / "var" / "run" / "queue_url").exists()


def test_a_redis_of_our_own_is_used_where_one_is_given(tmp_path):
    valkey = EmbeddedValkey(tmp_path / "valkey")
    valkey.start()
    try:
        with serving(tmp_path, REDIS_URL=valkey.url) as (site, port):
            wait_for(lambda: (health(port) or {}).get("workers") == "ok", within_s=180)
            assert not children_of(site, "valkey-server")
            assert not (tmp_path / "var" / "run" / "queue_url").exists()
            site.stop()
        wait_for(valkey.answers)  # it is not ours to stop
    finally:
        valkey.child.kill()


def test_the_web_process_does_without_the_analysis():
    load = "import interviewsite.asgi; from django.urls import get_resolver; get_resolver().url_patterns"
    look = (
        "import assessment.pipeline, sys; print(sorted({'torch', 'mediapipe', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{load}; {look}"],
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=180,
        check=True,
    )
    assert done.stdout.strip() == "[]", "these cost the web server 600 MB and seconds to start"


def test_the_embedded_queue_wants_its_password(tmp_path):
    import redis

    valkey = EmbeddedValkey(tmp_path / "valkey")
    valkey.start()
    try:
        with pytest.raises(redis.exceptions.AuthenticationError):
            redis.Redis(port=valkey.port).ping()
        wait_for(valkey.answers)
        assert valkey.url.split(":")[2].split("@")[0] not in " ".join(
            psutil.Process(valkey.child.pid).cmdline()
        )
    finally:
        valkey.child.kill()
