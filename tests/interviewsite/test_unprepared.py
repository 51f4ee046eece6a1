"""Commands on a state folder that was never prepared say so in a sentence."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "command",
    [
        ["sweep"],
        pytest.param(["purge"], marks=pytest.mark.slow),
        pytest.param(["create_token", "hr"], marks=pytest.mark.slow),
    ],
)
def test_it_says_that_the_database_is_not_prepared(tmp_path: Path, command: list[str]) -> None:
    environment = {**os.environ, "VAR_DIR": str(tmp_path), "DATABASE_URL": ""}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    done = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), *command],
        capture_output=True,
        text=True,
        timeout=180,
        env=environment,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("CommandError: The database is not prepared.")
    assert done.stdout == ""
