"""The queue's pages in the admin are for staff."""

import pytest
from django.contrib.auth.models import User
from django.test import Client


@pytest.mark.parametrize("path", ["/admin/queue/", "/admin/queue/queues/0/"])
@pytest.mark.parametrize("signed_in", [False, True])
def test_nobody_else_sees_the_queue(db: None, client: Client, path: str, signed_in: bool) -> None:
    if signed_in:
        client.force_login(User.objects.create_user("interviewer", password="long enough for this"))
    response = client.get(path)
    assert response.status_code == 302
    assert "/login/" in response.headers["Location"]


def test_the_figures_are_for_staff_too(db: None, client: Client) -> None:
    assert "queues" not in client.get("/admin/queue/stats.json").json()
