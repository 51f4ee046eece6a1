"""What is erased of media in a bucket: against a real server that speaks S3."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings as site
from django.utils import timezone

from assessment import leftovers, retention
from interviewsite import media_store
from tests.assessment.records import make_assessment
from tests.rooms.s3 import BUCKET, PREFIX, STORAGE, S3Server, running_s3

pytestmark = [pytest.mark.slow, pytest.mark.django_db]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with running_s3(tmp_path_factory.mktemp("s3")) as made:
        yield made


@pytest.fixture
def s3(server: S3Server, settings, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    settings.STORAGES = {**site.STORAGES, "default": media_store.bucket(STORAGE)}
    settings.MEDIA_STORAGE = STORAGE
    return server


def put(s3: S3Server, name: str, prefix: str = f"{PREFIX}/") -> str:
    s3.client.put_object(Bucket=BUCKET, Key=f"{prefix}{name}", Body=b"half")
    return name


def test_objects_that_no_answer_names_go_after_a_day_and_what_is_named_stays(s3: S3Server) -> None:
    named = make_assessment().answers.get().media.name
    folder = str(Path(named).parent)
    left = [put(s3, f"answers/{uuid.uuid4().hex}/half"), put(s3, f"{folder}/half"), put(s3, "answers/stray")]
    elsewhere = [put(s3, "answers-of-others/half"), put(s3, f"others/{left[0]}")]
    put(s3, "answers/half", prefix="another-site/")
    now = timezone.now()
    assert retention.purge(now + timedelta(hours=23)).leftover_files == 0
    assert set(s3.names()) == {named, *left, *elsewhere}
    assert retention.purge(now + timedelta(hours=25)).leftover_files == 3
    assert set(s3.names()) == {named, *elsewhere}
    others = s3.client.list_objects_v2(Bucket=BUCKET, Prefix="another-site/")
    assert others["KeyCount"] == 1
    for key in (named, *elsewhere):
        s3.client.delete_object(Bucket=BUCKET, Key=f"{PREFIX}/{key}")


def test_more_objects_than_one_answer_of_the_store_lists(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leftovers, "LISTED_AT_ONCE", 10)
    monkeypatch.setattr(leftovers, "AT_ONCE", 7)
    named = {answer.media.name for answer in make_assessment(answers=3).answers.all()}
    for _ in range(45):
        put(s3, f"answers/{uuid.uuid4().hex}/half")
    assert leftovers.erase(timezone.now() + timedelta(hours=1)) == 45
    assert set(s3.names("answers/")) == named
