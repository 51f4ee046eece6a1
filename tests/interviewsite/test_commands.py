"""The small commands."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command

from assessment.models import ApiToken, AuditEntry, hash_token
from interviewsite import first_run

pytestmark = pytest.mark.django_db


def test_create_token_prints_the_token_and_nothing_else(capsys):
    user = get_user_model().objects.create_user("rina")
    call_command("create_token", "rina")
    printed = capsys.readouterr()
    assert re.fullmatch(r"\S{40,}\n", printed.out)
    assert printed.err == ""
    token = ApiToken.objects.get(digest=hash_token(printed.out.strip()))
    assert (token.user, token.revoked_at) == (user, None)
    assert AuditEntry.objects.get().subject == f"user:{user.pk}"


def test_create_token_needs_an_active_user_that_exists():
    get_user_model().objects.create_user("left", is_active=False)
    with pytest.raises(CommandError, match="no user named nobody"):
        call_command("create_token", "nobody")
    with pytest.raises(CommandError, match="not active"):
        call_command("create_token", "left")
    assert not ApiToken.objects.exists()


def test_the_first_run_makes_an_administrator_and_an_interviewer(settings):
    settings.INITIAL_PASSWORD = ""
    made = first_run.create_initial_users()
    hr, interviewer = (get_user_model().objects.get(username=one.username) for one in made)
    assert [one.username for one in made] == ["hr", "interviewer"]
    assert (hr.is_superuser, hr.is_staff) == (True, True)
    assert (interviewer.is_superuser, interviewer.is_staff) == (False, False)
    assert all(user.check_password(one.password) for user, one in zip((hr, interviewer), made, strict=True))
    assert made[0].password != made[1].password
    assert str(made[0]) == f"username=hr password={made[0].password}"
    assert first_run.create_initial_users() == []


def test_sweep_reports_in_one_line(capsys, settings, tmp_path):
    settings.REDIS_URL, settings.QUEUE_URL_FILE = "", tmp_path / "none"
    call_command("sweep")
    line = "0 requeued, 0 failed, 0 enqueued again, 0 finalized; the queue is away\n"
    assert capsys.readouterr().out == line


@pytest.mark.parametrize("option", ["--port=0", "--port=70000", "--workers=-1"])
def test_serve_refuses_senseless_options(option):
    with pytest.raises(CommandError):
        call_command("serve", option)
