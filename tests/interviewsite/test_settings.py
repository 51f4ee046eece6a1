"""Settings come from the environment and `.env`; a bad value stops the start with its name."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings as site
from django.core.exceptions import ImproperlyConfigured

from interviewsite import env, state

BAD_VALUES = {
    "RETENTION_DAYS": "abc",
    "DATABASE_URL": "nonsense",
    "DEVICE": "tpu",
    "LOG_LEVEL": "loud",
    "TIME_ZONE": "Mars",
    "EMPLOYER_COUNTRY": "ZZ",
    "REDIS_URL": "localhost",
    "PUBLIC_URL": "interviews.example.org",
    "TRUSTED_PROXIES": "proxy.lan",
    "CSRF_TRUSTED_ORIGINS": "interviews.example.org",
    "CORS_ALLOWED_ORIGINS": "https://front.example/path",
    "DEEPL_SERVER_URL": "deepl",
    "LLM_BASE_URL": "localhost:1234",
    "DOWNLOAD_ALLOW_HOSTS": "http://files.example",
    "ANALYSED_FRAMES_PER_S": "5",
    "STALLED_AFTER_S": "2",
    "MEDIA_STORAGE": "ftp://host",
    "DEBUG": "maybe",
}
READ_AGAIN = """
import os
os.environ.setdefault("SECRET_KEY", "not secret")
import runpy, sys
from django.core.exceptions import ImproperlyConfigured
for line in sys.stdin.read().splitlines():
    name, _, value = line.partition("=")
    os.environ[name] = value
    try:
        runpy.run_module("interviewsite.settings")
        print(name, "was accepted")
    except ImproperlyConfigured as error:
        print(error)
    del os.environ[name]
"""


def test_a_bad_value_stops_the_start_with_its_name(tmp_path: Path) -> None:
    lines = "\n".join(f"{name}={value}" for name, value in BAD_VALUES.items())
    done = subprocess.run(
        [sys.executable, "-c", READ_AGAIN],
        input=lines,
        env={"PATH": os.environ["PATH"], "VAR_DIR": str(tmp_path)},
        cwd=site.BASE_DIR,
        capture_output=True,
        text=True,
        timeout=180,
        check=True,
    )
    told = done.stdout.splitlines()
    assert [line.partition(":")[0] for line in told] == list(BAD_VALUES)


def test_good_addresses_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AN_URL", " http://127.0.0.1:9000/v1 ")
    assert env.url("AN_URL") == "http://127.0.0.1:9000/v1"
    assert env.url("NOT_SET") == ""
    monkeypatch.setenv("SOME_ORIGINS", "https://front.example:8443, *")
    assert env.origins("SOME_ORIGINS", wildcard=True) == ["https://front.example:8443", "*"]
    with pytest.raises(ImproperlyConfigured, match="SOME_ORIGINS"):
        env.origins("SOME_ORIGINS")
    monkeypatch.setenv("SOME_HOSTS", "files.lan:8080,10.0.0.7")
    assert env.hosts("SOME_HOSTS") == ["files.lan:8080", "10.0.0.7"]


BEHIND_A_PROXY = """
from interviewsite import settings as s
assert s.PUBLIC_URL == "https://interviews.example.org:8443", s.PUBLIC_URL
assert s.CSRF_TRUSTED_ORIGINS == [s.PUBLIC_URL]
assert s.ALLOWED_HOSTS == ["interviews.example.org", "localhost", "127.0.0.1", "[::1]"], s.ALLOWED_HOSTS
assert s.TRUSTED_PROXIES == ["10.0.0.5", "172.16.0.0/12"], s.TRUSTED_PROXIES
assert s.SESSION_COOKIE_SECURE and s.CSRF_COOKIE_SECURE and s.SECURE_HSTS_SECONDS == 3600
assert (str(s.MEDIA_ROOT), s.MEDIA_STORAGE) == ("/srv/media", ""), (s.MEDIA_ROOT, s.MEDIA_STORAGE)
assert s.STORAGES["default"]["OPTIONS"]["location"] == "/srv/media"
"""


def test_the_public_address_says_most_of_what_a_site_behind_a_proxy_needs(tmp_path: Path) -> None:
    variables = {
        "PUBLIC_URL": "https://Interviews.Example.Org:8443/",
        "TRUSTED_PROXIES": "10.0.0.5, 172.16.0.0/12",
        "MEDIA_STORAGE": "file:///srv/media",
        "SECRET_KEY": "not secret",
    }
    done = subprocess.run(
        [sys.executable, "-c", BEHIND_A_PROXY],
        env={"PATH": os.environ["PATH"], "VAR_DIR": str(tmp_path), **variables},
        cwd=site.BASE_DIR,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_dotenv_file_is_read_and_the_environment_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXAMINED_A", "environment")
    monkeypatch.setenv("EXAMINED_B", "to be removed")
    monkeypatch.delenv("EXAMINED_B")
    (tmp_path / ".env").write_text('EXAMINED_A=file\nEXAMINED_B="file # not a comment"\n')
    env.read_dotenv(tmp_path / ".env")
    assert env.text("EXAMINED_A") == "environment"
    assert env.text("EXAMINED_B") == "file # not a comment"


def test_a_dotenv_file_may_move_the_state_folder(tmp_path: Path) -> None:
    house = tmp_path / "house"
    (house / "interviewsite").mkdir(parents=True)
    for name in ("manage.py", "interviewsite/__init__.py", "interviewsite/env.py", "interviewsite/state.py"):
        shutil.copy(site.BASE_DIR / name, house / name)
    shutil.copytree(site.BASE_DIR / "assessment", house / "assessment")
    (house / "interviewsite/settings.py").write_text(
        "from interviewsite import state\n"
        "SECRET_KEY = state.read_private(state.secret_key_file()) or ''\n"
        "INSTALLED_APPS = []\n"
    )
    (house / ".env").write_text(f"VAR_DIR={tmp_path / 'state'}\n")
    subprocess.run(
        [sys.executable, "manage.py", "check"],
        env={"PATH": os.environ["PATH"]},
        cwd=house,
        capture_output=True,
        timeout=180,
        check=True,
    )
    assert (tmp_path / "state" / "secret_key").is_file()
    assert not (house / "var").exists()


def test_the_state_folder_is_its_owners_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAR_DIR", str(tmp_path / "deep" / "var"))
    monkeypatch.delenv("SECRET_KEY", raising=False)
    state.prepare_state()
    assert stat.S_IMODE((tmp_path / "deep" / "var").stat().st_mode) == 0o700
    assert stat.S_IMODE(state.secret_key_file().stat().st_mode) == 0o600
