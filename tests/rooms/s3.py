"""A real server that speaks S3, in a process of its own, with a bucket in it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from tests.interviewsite.processes import ROOT, free_port, wait_for

BUCKET, PREFIX = "interviews", "site"
STORAGE = f"s3://{BUCKET}/{PREFIX}"
UP_WITHIN_S = 180.0


@dataclass
class S3Server:
    """`environment`: what makes boto3, and so a site with ``MEDIA_STORAGE``, speak to it."""

    url: str
    environment: dict[str, str]
    client: Any
    process: subprocess.Popen[bytes]

    def names(self, below: str = "") -> list[str]:
        """The names of all objects that begin so, as the site names them."""
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=BUCKET, Prefix=f"{PREFIX}/{below}"
        )
        found = [one["Key"] for page in pages for one in page.get("Contents", ())]
        return [key.removeprefix(f"{PREFIX}/") for key in found]

    def stop(self) -> None:
        self.process.kill()
        self.process.wait(timeout=60)


@contextmanager
def running_s3(folder: Path) -> Iterator[S3Server]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "tester",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with (folder / "s3.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
        )
    client = boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="tester",
        aws_secret_access_key="secret",
        config=Config(retries={"max_attempts": 0}, connect_timeout=30, read_timeout=60),
    )
    server = S3Server(url, environment, client, process)

    def bucket_made() -> bool:
        try:
            client.create_bucket(Bucket=BUCKET)
        except BotoCoreError:
            return False
        return True

    try:
        wait_for(bucket_made, UP_WITHIN_S, 0.2)
        yield server
    finally:
        server.stop()
