"""Media in a bucket of a store that speaks S3."""

from __future__ import annotations

from typing import Any

SILENT_FOR_S = 20
"""A store that says nothing for so long is away. Assumption; boto3 itself waits for minutes, with a thread of the site
each time."""
CONNECT_WITHIN_S = 5
TRIES = 3


def bucket(address: str) -> dict[str, Any]:
    """For Django's `STORAGES`: objects below s3://bucket/prefix. Credentials, region and the store's own address are
    read by boto3 from the environment."""
    from botocore.config import Config

    name, _, prefix = address.removeprefix("s3://").partition("/")
    patience = Config(
        connect_timeout=CONNECT_WITHIN_S,
        read_timeout=SILENT_FOR_S,
        retries={"mode": "standard", "max_attempts": TRIES},
    )
    options = {"bucket_name": name, "location": prefix, "file_overwrite": False, "client_config": patience}
    return {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options}
