"""How often passwords may be tried, counted in a real Valkey."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client
from redis import Redis

from assessment import work_queue
from assessment.models import AuditEntry
from interviewsite import sign_in
from interviewsite.serving.valkey import EmbeddedValkey
from tests.assessment.conftest import translations  # noqa: F401 - a fixture
from tests.interviewsite.processes import free_port, running_valkey, wait_for

pytestmark = pytest.mark.django_db

RIGHT = "a long enough password"
HOME, ELSEWHERE = "198.51.100.7", "203.0.113.9"


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedValkey]:
    with running_valkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture
def memory(valkey: EmbeddedValkey, settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Redis]:
    """What is counted; empty at the start. Nothing is given up because the machine that tests it stalls."""
    monkeypatch.setattr(work_queue, "CONNECT_TIMEOUT_S", 30.0)
    monkeypatch.setattr(work_queue, "ANSWER_TIMEOUT_S", 30.0)
    settings.REDIS_URL = valkey.url
    settings.SIGN_IN_FAILURES, settings.SIGN_IN_WAIT_S = 3, 600
    settings.SIGN_IN_FAILURES_ADDRESS = settings.SIGN_IN_FAILURES_NAME = 1000
    with Redis.from_url(valkey.url) as client:
        client.flushdb()
        yield client


@pytest.fixture(autouse=True)
def hr() -> User:
    return User.objects.create_superuser("hr", password=RIGHT)


def attempt(
    password: str, name: str = "hr", address: str = HOME, path: str = "/login/", **more: str
) -> HttpResponse:
    """By a browser that nobody is signed in with."""
    return Client().post(path, {"username": name, "password": password}, REMOTE_ADDR=address, **more)


def fail(times: int, **more: str) -> list[int]:
    return [attempt("wrong", **more).status_code for _ in range(times)]


def without_csrf(response: HttpResponse) -> str:
    return re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", response.content.decode())


@pytest.mark.parametrize("path", ["/login/", "/admin/login/"])
def test_after_some_failures_it_says_when_to_try_again_and_looks_at_no_password(
    memory: Redis, path: str
) -> None:
    assert fail(4, path=path) == [200, 200, 200, 429]
    held, right = attempt("wrong", path=path), attempt(RIGHT, path=path)
    assert (right.status_code, without_csrf(right)) == (429, without_csrf(held))
    assert "_auth_user_id" not in right.wsgi_request.session
    assert "sign_in_held.html" in [template.name for template in right.templates]
    assert b"Try again in 10 minutes." in right.content
    assert 540 < int(right.headers["Retry-After"]) <= 600
    assert "no-store" in right.headers["Cache-Control"]
    assert Client().get(path, REMOTE_ADDR=HOME).status_code == 200


def test_both_pages_count_together_and_names_however_they_are_written(memory: Redis) -> None:
    assert fail(1) + fail(1, path="/admin/login/") + fail(1, name=" HR ") == [200, 200, 200]
    assert fail(1) + fail(1, path="/admin/login/", name="ＨＲ") == [429, 429]
    assert fail(1, name="interviewer") == [200]


def test_a_name_is_not_held_elsewhere_by_who_merely_knows_it(memory: Redis, settings) -> None:
    settings.SIGN_IN_FAILURES_NAME = 5
    assert fail(10)[3:] == [429] * 7
    assert attempt(RIGHT, address=ELSEWHERE).status_code == 302


@pytest.mark.slow
def test_a_name_that_is_tried_from_many_places_is_held_but_for_who_signed_in_there_before(
    memory: Redis, settings
) -> None:
    assert attempt(RIGHT).status_code == 302
    settings.SIGN_IN_FAILURES_NAME = 6
    tried = [fail(1, address=f"203.0.113.{number}")[0] for number in range(7)]
    assert tried == [200] * 6 + [429]
    assert attempt(RIGHT, address=ELSEWHERE).status_code == 429
    assert attempt(RIGHT).status_code == 302
    assert fail(4) == [200, 200, 200, 429]


def test_an_address_that_tries_many_names_is_held(memory: Redis, settings) -> None:
    settings.SIGN_IN_FAILURES_ADDRESS = 6
    tried = [fail(1, name=f"somebody{number}")[0] for number in range(7)]
    assert tried == [200] * 6 + [429]
    assert attempt(RIGHT).status_code == 429
    assert attempt(RIGHT, address=ELSEWHERE).status_code == 302


@pytest.mark.slow
def test_who_signs_in_is_not_counted(memory: Redis, settings) -> None:
    settings.SIGN_IN_FAILURES_ADDRESS = settings.SIGN_IN_FAILURES_NAME = 5
    assert [attempt(RIGHT).status_code for _ in range(6)] == [302] * 6
    assert fail(2) == [200, 200]
    assert attempt(RIGHT).status_code == 302
    assert fail(3) == [200] * 3, "two failures count for the address still, not for the name at it"
    assert attempt(RIGHT).status_code == 429


def test_who_is_signed_in_as_somebody_cannot_undo_the_count_of_another(memory: Redis) -> None:
    """The page sends them on without looking at the password."""
    User.objects.create_user("interviewer", password=RIGHT)
    person = Client(REMOTE_ADDR=HOME)
    assert fail(2) == [200, 200]
    person.post("/login/", {"username": "interviewer", "password": RIGHT})
    assert person.post("/login/", {"username": "hr", "password": "wrong"}).status_code == 302
    assert fail(1) == [429]


def test_a_form_that_is_not_filled_in_is_no_try(memory: Redis) -> None:
    assert [attempt("").status_code for _ in range(2)] == [200] * 2
    assert [attempt("wrong", name=name).status_code for name in (" ", "hr\0")] == [200] * 2
    assert memory.keys() == []


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unix:", "unix:"),
    ],
)
def test_the_addresses_of_one_customer_are_one_place(address: str, place: str) -> None:
    assert sign_in.place_of(address) == place


@pytest.mark.slow
def test_counts_end_by_themselves_and_hold_no_name_and_no_address(memory: Redis, settings) -> None:
    settings.SIGN_IN_WAIT_S = 2
    attempt(RIGHT, address=ELSEWHERE)
    fail(4)
    keys = memory.keys()
    assert keys
    assert all(memory.pttl(key) != -1 for key in keys), "a key without an end"
    assert not any(word in key for key in keys for word in (b"hr", HOME.encode(), ELSEWHERE.encode()))
    wait_for(lambda: attempt(RIGHT).status_code == 302, within_s=60, every_s=0.2)


def test_tries_at_the_same_moment_are_no_more_than_one_after_the_other(memory: Redis) -> None:
    tried = sign_in.Try("hr", HOME)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: sign_in.take(tried), range(24)))
    assert sum(answer.wait_s == 0 for answer in answers) == 3
    assert sum("name_and_address" in answer.filled for answer in answers) == 1


def test_bounds_can_be_switched_off(memory: Redis, settings) -> None:
    settings.SIGN_IN_FAILURES = settings.SIGN_IN_FAILURES_ADDRESS = settings.SIGN_IN_FAILURES_NAME = 0
    assert fail(5) == [200] * 5


@pytest.mark.slow
def test_being_held_leaves_one_audit_line_and_no_name_in_the_log(
    memory: Redis, hr: User, caplog: pytest.LogCaptureFixture
) -> None:
    fail(5)
    fail(5, name="sari@example.org")
    lines = AuditEntry.objects.order_by("pk").values_list("action", "subject", "actor", "details")
    held = {"bounds": ["name_and_address"]}
    assert list(lines) == [
        ("sign_in.held", f"user:{hr.pk}", None, held),
        ("sign_in.held", "sign-in", None, held),
    ]
    assert "Too many sign-ins failed (name_and_address)" in caplog.text
    assert not any(word in caplog.text for word in ("sari", "hr ", HOME))


def test_without_a_redis_people_sign_in_all_the_same_and_the_log_says_so(
    settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sign_in._silence, "until_s", time.monotonic())
    settings.SIGN_IN_FAILURES = 2
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    assert fail(5) == [200] * 5
    assert attempt(RIGHT).status_code == 302
    assert [one.getMessage() for one in caplog.records if "not counted" in one.getMessage()] == [
        "Sign-ins are not counted: the queue does not answer (ConnectionError)."
    ]
    assert settings.REDIS_URL not in caplog.text


def test_it_is_told_in_indonesian_too(memory: Redis, translations: None) -> None:  # noqa: F811
    fail(3)
    told = attempt(RIGHT, headers={"Accept-Language": "id"}).content.decode()
    assert "Terlalu banyak percobaan" in told
    assert "Coba lagi dalam 10 menit." in told


def test_programs_read_it_as_they_read_other_errors(memory: Redis) -> None:
    fail(3)
    held = attempt(RIGHT, headers={"Accept": "application/json"})
    assert (held.status_code, held.json()["error"]["code"]) == (429, "too_many_tries")
    assert held.json()["error"]["details"]["retry_after_s"] == int(held.headers["Retry-After"])
