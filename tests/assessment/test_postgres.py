"""Claims and rooms on PostgreSQL, where two transactions really run side by side: a throw-away cluster, a pytest."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.interviewsite.processes import ROOT, free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

OURS = ("VAR_DIR", "WAWANCARA_TEST_VAR", "PYTEST_XDIST_WORKER")


def programs() -> Path | None:
    """Where initdb and its like are: on the path, or where Debian puts them."""
    found = shutil.which("initdb")
    folders = (
        [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    )
    return next((folder for folder in folders if (folder / "initdb").exists()), None)


def as_database_user(command: list[str]) -> list[str]:
    """PostgreSQL refuses to run as root."""
    return ["runuser", "-u", "postgres", "--", *command] if os.geteuid() == 0 else command


@pytest.fixture(scope="module")
def postgres_url() -> Iterator[str]:
    folder = programs()
    if folder is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    home = Path(tempfile.mkdtemp(prefix="wawancara-pg-", dir="/tmp"))  # short: the socket's path is limited
    if os.geteuid() == 0:
        shutil.chown(home, "postgres", "postgres")
    port, cluster = free_port(), str(home / "cluster")

    def run(*command: str) -> None:
        done = subprocess.run(
            as_database_user(list(command)),
            cwd=home,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    run(
        str(folder / "initdb"),
        "-D",
        cluster,
        "-U",
        "tester",
        "-A",
        "trust",
        "--no-sync",
        "--no-locale",
        "-E",
        "UTF8",
    )
    options = f"-p {port} -k {home} -c listen_addresses=127.0.0.1 -c fsync=off"
    run(str(folder / "pg_ctl"), "-D", cluster, "-w", "-l", str(home / "log"), "-o", options, "start")
    try:
        yield f"postgres://tester@127.0.0.1:{port}/postgres"
    finally:
        run(str(folder / "pg_ctl"), "-D", cluster, "-m", "immediate", "-w", "stop")
        shutil.rmtree(home, ignore_errors=True)


def test_claims_retention_jobs_and_rooms_hold_on_postgres(postgres_url: str, tmp_path: Path):
    environment = {k: v for k, v in os.environ.items() if k not in OURS}
    tests = [f"tests/assessment/test_{name}.py" for name in ("claims", "retention", "jobs")]
    tests += [
        f"tests/rooms/test_{name}.py" for name in ("lifecycle", "consumers", "recording", "recording_races")
    ]
    tests.append("tests/rooms/test_erasing.py")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--reuse-db",
            "-m",
            "not slow",
            *tests,
        ],
        cwd=ROOT,
        env=environment | {"DATABASE_URL": postgres_url},
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
    with psycopg.connect(postgres_url.replace("/postgres", "/test_postgres")) as database:
        [count] = database.execute("SELECT count(*) FROM django_migrations").fetchone()
    assert count > 0, "the tests ran on another database"
